/**
 * Dead letters: read, put back, dropped. They lie in one stream for each shard and provider; a list merges the streams, newest
 * first, and its cursor names the last letter shown, so that paging is steady while letters come and go.
 */
import {
  type CountFinal,
  formatEntryId,
  formatOperationId,
  type Operation,
  type Place,
  parseEntryId,
  parseQueueName,
} from '../domain/operation.ts';
import type { ProviderError } from '../domain/provider-error.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { parseOperation } from './entry.ts';
import requeueSource from './requeue.lua';
import { acceptanceDigits, resultField } from './result.ts';

const requeueScript = defineScript('requeue', requeueSource);

export interface DeadLetterFilter {
  readonly provider?: string | undefined;
  readonly tenant?: string | undefined;
  readonly code?: string | undefined;
  readonly recordId?: string | undefined;
}

export interface DeadLetter {
  /** As submitted; its place gives the operation's id. */
  readonly operation: Operation;
  readonly attempts: number;
  readonly error: ProviderError;
  readonly deadAtMs: number;
}

export type DeadLetterPage =
  | { readonly status: 'listed'; readonly items: readonly DeadLetter[]; readonly nextCursor: string | undefined }
  | { readonly status: 'bad_cursor' };
export type Retried = { readonly status: 'retried'; readonly operationId: string } | { readonly status: 'not_found' };

export interface DeadLetters {
  /** Newest first. `limit` is at most 500. */
  list(filter: DeadLetterFilter, page: { limit: number; cursor?: string | undefined }): Promise<DeadLetterPage>;
  get(place: Place): Promise<DeadLetter | undefined>;
  /** Puts the operation back with its timestamp, as a new operation. */
  retry(place: Place): Promise<Retried>;
  /** Letters of providers that are not there any more stay where they are: nobody would look into their queues. */
  retryAll(filter: DeadLetterFilter, isRegistered: IsRegistered, part?: DeadLetterPart): Promise<RetriedAll | 'bad_cursor'>;
  /** The operation is `cancelled` then, for as long as its result is kept. */
  remove(place: Place): Promise<boolean>;
  removeAll(filter: DeadLetterFilter, part?: DeadLetterPart): Promise<number | 'bad_cursor'>;
}

/** Of the letters that match, in the order of the list: those after `cursor`, and at most `limit` that something becomes of. */
export interface DeadLetterPart {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** Asked once for each provider. */
export type IsRegistered = (provider: string) => Promise<boolean>;
/** How many letters were put back, and how many that match were left. */
export type RetriedAll = { readonly requeued: number; readonly skipped: number };

/** A letter's position among all: by time, then by stream. */
interface Position {
  readonly ms: number;
  readonly sequence: number;
  readonly shard: number;
  readonly provider: string;
}

interface Found {
  readonly position: Position;
  readonly letter: DeadLetter;
}

const scanPage = 200;

export interface DeadLettersDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  /** Of those that are dropped. */
  readonly countFinal: CountFinal;
}

export function createDeadLetters({ redis, keys, shards, countFinal }: DeadLettersDeps): DeadLetters {
  const streams = async (provider?: string) => {
    const perShard = await Promise.all(
      Array.from({ length: shards }, async (_, shard) =>
        (await redis.smembers(keys.deadLetterProviders(shard))).map((name) => ({ shard, provider: name })),
      ),
    );
    return perShard.flat().filter((stream) => provider === undefined || stream.provider === provider);
  };

  /** The newest matching letters of one stream after a position, at most `limit`. */
  const scan = async (
    stream: { shard: number; provider: string },
    filter: DeadLetterFilter,
    limit: number,
    after: Position | undefined,
  ) => {
    const found: Found[] = [];
    let end = after ? lastIdAfter(stream, after) : '+';
    while (found.length < limit) {
      const entries = await redis.xrevrange(keys.deadLetters(stream.shard, stream.provider), end, '-', 'COUNT', scanPage);
      for (const [id, fields] of entries) {
        const letter = parseLetter(stream.shard, fields);
        if (matches(letter, filter)) found.push({ position: { ...positionOf(id), ...stream }, letter });
      }
      if (entries.length < scanPage) break;
      end = `(${(entries.at(-1) as [string, string[]])[0]}`;
    }
    return found.slice(0, limit);
  };

  const requeue = async (place: Place, what: 'retry' | 'drop'): Promise<string | undefined> => {
    const { shard, queue, rank } = place;
    const { provider } = parseQueueName(queue);
    const scriptKeys = [
      keys.deadLetters(shard, provider),
      keys.deadLetterIndex(shard, provider),
      keys.deadLetterProviders(shard),
      keys.queue(shard, queue),
      keys.counters(shard, queue),
      keys.ready(shard),
      keys.queues(shard),
      keys.results(shard, queue, rank),
    ];
    const args = [queue, formatEntryId(place), provider, keys.bell(shard), what, resultField(rank), acceptanceDigits(place.ms)];
    const reply = (await requeueScript.run(redis, scriptKeys, args)) as [string, string];
    if (reply[0] === 'unknown') return undefined;
    if (reply[0] === 'dropped') return 'dropped';
    if (reply[0] !== 'requeued') throw unexpectedReply('requeue', reply);
    return formatOperationId({ shard, queue, ...parseEntryId(reply[1]) });
  };

  const listAll = async (filter: DeadLetterFilter, limit: number, after: Position | undefined) => {
    const parts = await Promise.all((await streams(filter.provider)).map((stream) => scan(stream, filter, limit, after)));
    return parts
      .flat()
      .sort((a, b) => compare(a.position, b.position))
      .slice(0, limit);
  };

  /** `act` says of how many letters something became. */
  const forEachPage = async (
    filter: DeadLetterFilter,
    { limit = Number.POSITIVE_INFINITY, cursor }: DeadLetterPart,
    act: (letters: readonly DeadLetter[]) => Promise<number>,
  ): Promise<number | 'bad_cursor'> => {
    let after = cursor === undefined ? undefined : parseCursor(cursor);
    if (after === 'bad_cursor') return after;
    let done = 0;
    do {
      const found = await listAll(filter, Math.min(scanPage, limit - done), after);
      done += await act(found.map(({ letter }) => letter));
      after = found.at(-1)?.position;
    } while (after && done < limit);
    return done;
  };

  /** How many were still there. */
  const retryMany = async (letters: readonly DeadLetter[]) => {
    const results = await Promise.all(letters.map(({ operation }) => requeue(operation.place, 'retry')));
    return results.filter((result) => result !== undefined && result !== 'dropped').length;
  };

  /** Whether it was still there. What kind of operation it was only the letter tells. */
  const drop = async (place: Place, letter: DeadLetter | undefined): Promise<boolean> => {
    const isDropped = (await requeue(place, 'drop')) !== undefined;
    if (isDropped && letter) countFinal(letter.operation.provider, letter.operation.kind, 'cancelled');
    return isDropped;
  };

  const dropMany = async (letters: readonly DeadLetter[]) => {
    const results = await Promise.all(letters.map((letter) => drop(letter.operation.place, letter)));
    return results.filter(Boolean).length;
  };

  const get = async (place: Place): Promise<DeadLetter | undefined> => {
    if (place.shard >= shards) return undefined;
    const { provider } = parseQueueName(place.queue);
    const id = await redis.hget(keys.deadLetterIndex(place.shard, provider), `${place.queue} ${formatEntryId(place)}`);
    const entry = id && (await redis.xrange(keys.deadLetters(place.shard, provider), id, id))[0];
    return entry ? parseLetter(place.shard, entry[1]) : undefined;
  };

  return {
    async list(filter, { limit, cursor }) {
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      if (after === 'bad_cursor') return { status: 'bad_cursor' };
      const found = await listAll(filter, limit + 1, after);
      const last = found.length > limit ? found[limit - 1] : undefined;
      return {
        status: 'listed',
        items: found.slice(0, limit).map(({ letter }) => letter),
        nextCursor: last && formatCursor(last.position),
      };
    },
    get,
    async retry(place) {
      const operationId = place.shard < shards ? await requeue(place, 'retry') : undefined;
      return operationId === undefined || operationId === 'dropped' ? { status: 'not_found' } : { status: 'retried', operationId };
    },
    async retryAll(filter, isRegistered, part = {}) {
      const registered = new Map<string, boolean>();
      let skipped = 0;
      const requeued = await forEachPage(filter, part, async (letters) => {
        for (const name of new Set(letters.map(({ operation }) => operation.provider)))
          if (!registered.has(name)) registered.set(name, await isRegistered(name));
        const ready = letters.filter(({ operation }) => registered.get(operation.provider));
        skipped += letters.length - ready.length;
        return retryMany(ready);
      });
      return requeued === 'bad_cursor' ? requeued : { requeued, skipped };
    },
    remove: async (place) => place.shard < shards && (await drop(place, await get(place))),
    removeAll: (filter, part = {}) => forEachPage(filter, part, dropMany),
  };
}

function parseLetter(shard: number, fields: readonly string[]): DeadLetter {
  const f: Record<string, string> = {};
  for (let i = 0; i < fields.length; i += 2) f[fields[i] as string] = fields[i + 1] as string;
  const { q: queue = '', i: entryId = '', o: header = '', d: data = '', n: attempts, e: errorJson = '', t: deadAt } = f;
  return {
    operation: parseOperation({ shard, queue, ...parseEntryId(entryId) }, header, data),
    attempts: Number(attempts),
    error: JSON.parse(errorJson) as ProviderError,
    deadAtMs: Number(deadAt),
  };
}

function matches({ operation, error }: DeadLetter, { tenant, code, recordId }: DeadLetterFilter): boolean {
  return (
    (tenant === undefined || operation.tenant === tenant) &&
    (code === undefined || error.code === code) &&
    (recordId === undefined || operation.recordId === recordId)
  );
}

/** Newest first; ties by shard, then provider. */
function compare(a: Position, b: Position): number {
  return b.ms - a.ms || a.shard - b.shard || (a.provider < b.provider ? -1 : a.provider > b.provider ? 1 : b.sequence - a.sequence);
}

function positionOf(id: string): { ms: number; sequence: number } {
  const { ms, rank } = parseEntryId(id);
  return { ms, sequence: rank };
}

/** Where a stream goes on after a position that may be another stream's. */
function lastIdAfter(stream: { shard: number; provider: string }, after: Position): string {
  const probe = { ...stream, ms: after.ms, sequence: after.sequence };
  if (stream.shard === after.shard && stream.provider === after.provider) return `(${after.ms}-${after.sequence}`;
  return compare(after, probe) < 0 ? String(after.ms) : `(${after.ms}-0`;
}

const formatCursor = ({ ms, sequence, shard, provider }: Position) =>
  Buffer.from(JSON.stringify([ms, sequence, shard, provider])).toString('base64url');

function parseCursor(cursor: string): Position | 'bad_cursor' {
  try {
    const [ms, sequence, shard, provider] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const areNumbers = [ms, sequence, shard].every((n) => Number.isSafeInteger(n) && n >= 0);
    // Redis refuses to look before 0-0.
    return areNumbers && ms > 0 && typeof provider === 'string' ? { ms, sequence, shard, provider } : 'bad_cursor';
  } catch {
    return 'bad_cursor';
  }
}
