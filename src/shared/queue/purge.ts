/**
 * Giving up a provider's queues: every operation that is not final becomes a dead letter, then the queues are removed. It works with and without
 * workers. This acts in the name and epoch of a shard's last owner, alive or dead, so that order is kept with the owner's own settling, and what
 * the next owner is told of the last one stays true; what the owner has in flight at that moment may still end after it.
 */
import { type CountFinal, parseEntryId, parseQueueName } from '../domain/operation.ts';
import type { ProviderError } from '../domain/provider-error.ts';
import { isRetryable } from '../domain/settlement.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { createBacklogReader } from './backlog.ts';
import { createQueueReader } from './claim.ts';
import { parseOperation, withDoubt } from './entry.ts';
import forgetSource from './forget.lua';
import { createLeases } from './leases.ts';
import pageSource from './purge-page.lua';
import { createSettle, type FinalSettlement } from './settle.ts';
import { parseTrial, type Trial } from './trial.ts';

const pageScript = defineScript('purge-page', pageSource);
const forgetScript = defineScript('forget', forgetSource);
const pageSize = 200;
const passingLeaseMs = 10_000;

export interface PurgeDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  readonly statusTtlMs: number;
  /** Names this process where a shard never had an owner. */
  readonly processId: string;
  now(): number;
  readonly countFinal: CountFinal;
}

export interface Purge {
  /** Returns how many operations became dead letters. */
  deadLetterAll(provider: string, error: ProviderError): Promise<number>;
  /**
   * Removes what is left of the provider's queues; dead letters stay, and results until they expire. False where something was accepted in the
   * meantime: those queues stay.
   */
  forget(provider: string): Promise<boolean>;
}

export function createPurge(deps: PurgeDeps): Purge {
  const { redis, keys, shards, statusTtlMs } = deps;
  const leases = createLeases(deps);
  const backlog = createBacklogReader(deps);
  const reader = createQueueReader({ redis, keys, workerId: deps.processId });

  /** How many operations of a page were given up; 'again' where the shard changed hands meanwhile; 'empty' when nothing is left. */
  const purgePage = async (shard: number, queue: string, error: ProviderError): Promise<number | 'again' | 'empty'> => {
    const as = await readLease(shard);
    const reply = (await pageScript.run(redis, [keys.queue(shard, queue), keys.counters(shard, queue)], [pageSize])) as Page;
    if (reply[0] !== 'page') throw unexpectedReply('purge-page', reply);
    const rows: Row[] = [];
    for (let i = 2; i < reply.length; i += 5) rows.push(reply.slice(i, i + 5) as Row);
    if (rows.length === 0) return 'empty';
    const { settledBefore, open } = await splitFinal(shard, queue, rows, reply[1]);
    const trials = await readTrials(shard, queue, open);
    const finals = open.map((row, i) => giveUp({ shard, queue, row, trial: trials[i] }, error, Math.round(deps.now())));
    const settle = createSettle({ redis, keys, workerId: as.owner, statusTtlMs });
    const { provider } = parseQueueName(queue);
    const [answer] = await settle([{ shard, queue, epoch: as.epoch, keep: 0, finals, retries: [], settledBefore }]);
    if (answer !== 'ok') return 'again';
    for (const { outcome } of finals) deps.countFinal(provider, outcome.kind, outcome.status);
    return finals.length;
  };

  /** After a lost group, entries come again that were final. */
  const splitFinal = async (shard: number, queue: string, rows: readonly Row[], checkUpTo: string) => {
    const upTo = checkUpTo === '' ? 0 : parseEntryId(checkUpTo).rank;
    const doubtful = rows.map(([id]) => parseEntryId(id).rank).filter((rank) => rank <= upTo);
    const final = doubtful.length === 0 ? new Set<number>() : await reader.findFinal(shard, queue, doubtful);
    const isFinal = ([id]: Row) => final.has(parseEntryId(id).rank);
    return { settledBefore: rows.filter(isFinal).map(([id]) => parseEntryId(id)), open: rows.filter((row) => !isFinal(row)) };
  };

  const readTrials = async (shard: number, queue: string, rows: readonly Row[]): Promise<(Trial | undefined)[]> => {
    if (rows.length === 0) return [];
    const packed = await redis.hmget(keys.tries(shard, queue), ...rows.map(([id]) => id));
    return packed.map((text) => (text === null ? undefined : parseTrial(text)));
  };

  const purgeShard = async (shard: number, provider: string, error: ProviderError) => {
    const queues = await backlog.queuesOf(shard, provider);
    if (queues.length === 0) return 0;
    await makeLease(shard);
    let count = 0;
    for (const queue of queues) {
      for (let page = await purgePage(shard, queue, error); page !== 'empty'; page = await purgePage(shard, queue, error))
        count += page === 'again' ? 0 : page;
    }
    return count;
  };

  const forgetQueue = async (shard: number, queue: string): Promise<boolean> => {
    const scriptKeys = [
      keys.queues(shard),
      keys.ready(shard),
      keys.queue(shard, queue),
      keys.counters(shard, queue),
      keys.records(shard, queue),
      keys.tries(shard, queue),
    ];
    const reply = (await forgetScript.run(redis, scriptKeys, [queue])) as [string];
    if (reply[0] !== 'forgotten' && reply[0] !== 'open') throw unexpectedReply('forget', reply);
    return reply[0] === 'forgotten';
  };

  /** A shard that never had an owner gets one for a moment. */
  const makeLease = async (shard: number): Promise<void> => {
    if ((await readLease(shard)).epoch > 0) return;
    const acquired = await leases.acquire(shard, deps.processId, passingLeaseMs);
    if (acquired.status === 'acquired') await leases.release(shard, deps.processId, acquired.epoch);
  };

  const readLease = async (shard: number) => {
    const [owner, epoch] = await redis.hmget(keys.lease(shard), 'owner', 'epoch');
    return { owner: owner ?? '', epoch: Number(epoch ?? 0) };
  };

  return {
    async deadLetterAll(provider, error) {
      const counts = await Promise.all(Array.from({ length: shards }, (_, shard) => purgeShard(shard, provider, error)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async forget(provider) {
      let isGone = true;
      for (let shard = 0; shard < shards; shard++) {
        const queues = await backlog.queuesOf(shard, provider);
        const forgotten = await Promise.all(queues.map((queue) => forgetQueue(shard, queue)));
        isGone = isGone && forgotten.every(Boolean);
      }
      return isGone;
    },
  };
}

type Page = [status: string, checkUpTo: string, ...rows: (string | number)[]];
type Row = [id: string, header: string, data: string, digest: string, wasRead: 0 | 1];

interface GivenUp {
  readonly shard: number;
  readonly queue: string;
  readonly row: Row;
  readonly trial: Trial | undefined;
}

/** What a worker has read it may have called; whatever became of that, nobody waits for it. */
function giveUp({ shard, queue, row, trial }: GivenUp, reason: ProviderError, nowMs: number): FinalSettlement {
  const [id, header, data, digest, wasRead] = row;
  const attempts = trial?.attempts ?? 0;
  const error = trial?.error ? { ...reason, message: `${reason.message}; its last attempt: ${trial.error.message}` } : reason;
  const entry = parseEntryId(id);
  const { kind, entity, recordId } = parseOperation({ shard, queue, ...entry }, header, data);
  return {
    entry,
    hadTrial: true,
    outcome: {
      status: 'dead_lettered',
      kind,
      entity,
      recordId,
      acceptedAtMs: entry.ms,
      completedAtMs: nowMs,
      attempts,
      error: { code: error.code, message: error.message, retryable: isRetryable(error) },
    },
    deadLetter: {
      header: wasRead === 1 ? withDoubt(header, true) : header,
      data,
      digest,
      attempts,
      errorJson: JSON.stringify(error),
    },
  };
}
