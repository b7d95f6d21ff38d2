/**
 * Records in a hash of Redis, as texts with versions; what they say is their store's concern. Every change goes through a script that
 * compares versions, counts the change and announces its field, so that copies can follow (change-watch.ts).
 */
import type { RedisClient } from './connection.ts';
import removeSource from './remove-record.lua';
import { defineScript, unexpectedReply } from './script.ts';
import writeSource from './write-record.lua';

const writeRecord = defineScript('write-record', writeSource);
const removeRecord = defineScript('remove-record', removeSource);

/** Counts changes; no record can have this name. */
export const changesField = ':version';
/** Writers meet rarely; this many lost races in a row mean something else is wrong. */
const maxRaces = 10;

/** What every record begins with, `version` first: the scripts read it from the beginning of the text. */
export interface Stamps {
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface WriteOptions {
  /** Refuse unless this is the stored version; `any`: unless there is one. */
  readonly ifVersion?: number | 'any' | undefined;
}

/** What became of a removal. */
export type Removed = { readonly status: 'removed' | 'not_found' } | Conflict;

export interface Conflict {
  readonly status: 'conflict';
  /** The stored one; 0: there is none. */
  readonly version: number;
}

export interface WriteBounds {
  /** A field that must be there: `orphan` where it is not. */
  readonly parent?: string | undefined;
  /** Records that there may be: `full` where a new one would be one more. */
  readonly maxRecords?: number;
}

export interface VersionedRecordsDeps {
  readonly redis: RedisClient;
  /** The hash. */
  readonly key: string;
  /** Where the fields that change are announced. */
  readonly channel: string;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

export type VersionedRecords = ReturnType<typeof createVersionedRecords>;

export function createVersionedRecords({ redis, key, channel, now }: VersionedRecordsDeps) {
  const read = async (field: string): Promise<string | undefined> => (await redis.hget(key, field)) ?? undefined;

  return {
    read,

    /** Every field with its text, and how many changes there have been. */
    async readAll(): Promise<{ changes: number; texts: Map<string, string> }> {
      const { [changesField]: changes, ...texts } = await redis.hgetall(key);
      return { changes: Number(changes ?? 0), texts: new Map(Object.entries(texts)) };
    },

    async countChanges(): Promise<number> {
      return Number((await read(changesField)) ?? 0);
    },

    /** `before` is what the writer has seen; undefined: there must be none. */
    async write(
      field: string,
      before: { readonly version: number; readonly created_at: string | undefined } | undefined,
      content: object,
      { parent = '', maxRecords }: WriteBounds = {},
    ): Promise<{ status: 'written'; text: string } | Conflict | { status: 'orphan' } | { status: 'full' }> {
      const seen = before?.version ?? 0;
      const updated_at = new Date(now()).toISOString();
      const stamps: Stamps = { version: seen + 1, created_at: before?.created_at ?? updated_at, updated_at };
      const text = JSON.stringify({ ...stamps, ...content });
      const reply = await writeRecord.run(redis, [key], [field, seen, text, channel, parent, maxRecords ?? '']);
      const [word, number] = Array.isArray(reply) ? reply : [];
      if (word === 'written') return { status: 'written', text };
      if (word === 'conflict') return { status: 'conflict', version: Number(number) };
      if (word === 'orphan' || word === 'full') return { status: word };
      throw unexpectedReply(writeRecord.name, reply);
    },

    /** Those go along whose fields begin with `along`. `texts`: what went, by field. */
    async remove(
      field: string,
      { ifVersion, along = '' }: WriteOptions & { readonly along?: string } = {},
    ): Promise<{ status: 'removed'; texts: Map<string, string> } | { status: 'missing' } | Conflict> {
      const reply = await removeRecord.run(redis, [key], [field, typeof ifVersion === 'number' ? ifVersion : '', channel, along]);
      const [word, number, ...gone] = Array.isArray(reply) ? reply.map(String) : [];
      if (word === 'missing') return { status: 'missing' };
      if (word === 'conflict') return { status: 'conflict', version: Number(number) };
      if (word === 'removed') return { status: 'removed', texts: toTexts(gone) };
      throw unexpectedReply(removeRecord.name, reply);
    },

    /** Reads, changes, writes; again if another writer came between. */
    async change<R extends { readonly status: string }>(
      field: string,
      { ifVersion }: WriteOptions,
      attempt: (before: string | undefined) => Promise<R | Conflict>,
    ): Promise<R | Conflict> {
      for (let races = 0; ; races += 1) {
        const before = await read(field);
        const version = before === undefined ? 0 : versionOf(before);
        if (!isMet(ifVersion, before, version)) return { status: 'conflict', version };
        const written = await attempt(before);
        if (written.status !== 'conflict' || races >= maxRaces) return written;
      }
    },
  };
}

/** From fields and texts in turn. */
function toTexts(parts: readonly string[]): Map<string, string> {
  return new Map(parts.flatMap((field, index) => (index % 2 === 0 ? [[field, parts[index + 1] ?? ''] as const] : [])));
}

/** A record whose `content` is an object; undefined where the text is damaged. */
export function parseRecord<C extends object>(text: string, content: keyof C & string): (Stamps & C) | undefined {
  try {
    const record = JSON.parse(text) as Stamps & C;
    const held: unknown = record[content];
    return Number.isSafeInteger(record.version) && typeof held === 'object' && held !== null && !Array.isArray(held) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** As the scripts see it, of a damaged text too. */
export function versionOf(text: string): number {
  return Number(/^\{"version":(\d+)[,}]/.exec(text)?.[1] ?? 0);
}

function isMet(ifVersion: WriteOptions['ifVersion'], before: string | undefined, version: number): boolean {
  if (ifVersion === undefined) return true;
  return before !== undefined && (ifVersion === 'any' || ifVersion === version);
}
