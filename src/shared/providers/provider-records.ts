/**
 * The hash of configurations, as texts with versions: who wrote what is not its concern. Every change goes through a script that compares
 * versions, counts the change and announces its field.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { FieldError } from './payload-schema.ts';
import { changesField, parseField, tenantFieldStart } from './provider-field.ts';
import removeSource from './remove-provider.lua';
import type { ProviderWire } from './wire.ts';
import writeSource from './write-provider.lua';

const writeProvider = defineScript('write-provider', writeSource);
const removeProvider = defineScript('remove-provider', removeSource);

/** What a field of the hash holds. `version` comes first: the script reads it from the beginning of the text. */
export interface StoredRecord<W> {
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  /** Always false for what a tenant has. */
  readonly paused: boolean;
  /** Secrets sealed. */
  readonly provider: W;
}

export interface WriteOptions {
  /** Refuse unless this is the stored version. */
  readonly ifVersion?: number;
}

export interface Conflict {
  readonly status: 'conflict';
  /** The stored one; 0: there is none. */
  readonly version: number;
}

export interface RecordsDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

/** Writers meet rarely; this many lost races in a row mean something else is wrong. */
const maxRaces = 10;

export type ProviderRecords = ReturnType<typeof createProviderRecords>;

export function createProviderRecords({ redis, keys, now }: RecordsDeps) {
  const read = async (field: string): Promise<string | undefined> => (await redis.hget(keys.providers, field)) ?? undefined;

  return {
    read,

    /** Every field with its text, and how many changes there have been. */
    async readAll(): Promise<{ changes: number; texts: Map<string, string> }> {
      const { [changesField]: changes, ...texts } = await redis.hgetall(keys.providers);
      return { changes: Number(changes ?? 0), texts: new Map(Object.entries(texts)) };
    },

    async countChanges(): Promise<number> {
      return Number((await read(changesField)) ?? 0);
    },

    /** `orphan`: a tenant's provider is not there. `before` undefined: there must be none. */
    async write<W>(
      field: string,
      before: StoredRecord<W> | undefined,
      after: Pick<StoredRecord<W>, 'paused' | 'provider'>,
    ): Promise<{ status: 'written'; text: string } | Conflict | { status: 'orphan' }> {
      const seen = before?.version ?? 0;
      const updated_at = new Date(now()).toISOString();
      const { paused, provider } = after;
      const text = JSON.stringify({ version: seen + 1, created_at: before?.created_at ?? updated_at, updated_at, paused, provider });
      const parsed = parseField(field);
      const parent = parsed?.tenant === undefined ? '' : parsed.name;
      const reply = await writeProvider.run(redis, [keys.providers], [field, seen, text, keys.providersChanged, parent]);
      const [word, number] = Array.isArray(reply) ? reply : [];
      if (word === 'written') return { status: 'written', text };
      if (word === 'conflict') return { status: 'conflict', version: Number(number) };
      if (word === 'orphan') return { status: 'orphan' };
      throw unexpectedReply(writeProvider.name, reply);
    },

    /** A provider's field takes those of its tenants along. `texts`: what went, by field. */
    async remove(field: string): Promise<{ status: 'removed'; texts: Map<string, string> } | { status: 'missing' }> {
      const along = parseField(field)?.tenant === undefined ? tenantFieldStart(field) : '';
      const reply = await removeProvider.run(redis, [keys.providers], [field, keys.providersChanged, along]);
      const [word, , ...gone] = Array.isArray(reply) ? reply.map(String) : [];
      if (word === 'missing') return { status: 'missing' };
      if (word === 'removed') return { status: 'removed', texts: toTexts(gone) };
      throw unexpectedReply(removeProvider.name, reply);
    },

    /** Reads, changes, writes; again if another writer came between. */
    async change<W, R extends { readonly status: string }>(
      field: string,
      options: WriteOptions,
      attempt: (before: StoredRecord<W> | undefined) => Promise<R | Conflict>,
    ): Promise<R | Conflict> {
      for (let races = 0; ; races += 1) {
        const text = await read(field);
        const before = text === undefined ? undefined : (parseRecord<W>(text) ?? damagedRecord<W>(text));
        const version = before?.version ?? 0;
        if (options.ifVersion !== undefined && options.ifVersion !== version) return { status: 'conflict', version };
        const written = await attempt(before);
        if (written.status !== 'conflict' || races >= maxRaces) return written;
      }
    },
  };
}

/** From fields and texts in turn. */
function toTexts(parts: readonly string[]): Map<string, string> {
  const pairs = parts.flatMap((field, index) => (index % 2 === 0 ? [[field, parts[index + 1] ?? ''] as const] : []));
  return new Map(pairs);
}

export function parseRecord<W>(text: string): StoredRecord<W> | undefined {
  try {
    const record = JSON.parse(text) as StoredRecord<W>;
    const isRecord = Number.isSafeInteger(record.version) && typeof record.provider === 'object' && record.provider !== null;
    return isRecord ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Stands for a text nobody can read, so that it can be replaced: its version as the script sees it. */
export function damagedRecord<W>(text: string): StoredRecord<W> {
  const version = Number(/^\{"version":(\d+)[,}]/.exec(text)?.[1] ?? 0);
  const provider = { auth_config: { type: 'none' } } satisfies Partial<ProviderWire>;
  return { version, created_at: new Date(0).toISOString(), updated_at: '', paused: false, provider: provider as W };
}

export function isDamaged(record: StoredRecord<unknown>): boolean {
  return record.updated_at === '';
}

/** Of a configuration that was valid when it was written. */
export function whyInvalid(errors: readonly FieldError[]): string {
  const [first] = errors;
  return `the stored configuration is not valid: ${first?.path} ${first?.message}`;
}
