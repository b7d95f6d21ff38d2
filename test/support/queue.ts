/** The queue's parts on a real Redis, without engine or providers: a test plays the worker itself. */
import type { Change, CountFinal, Place } from '../../src/shared/domain/operation.ts';
import { formatEntryId, parseOperationId } from '../../src/shared/domain/operation.ts';
import { createBacklogReader } from '../../src/shared/queue/backlog.ts';
import { createBacklogGuard } from '../../src/shared/queue/backlog-guard.ts';
import { type Claimed, type ClaimedEntry, createQueueReader, type Ownership } from '../../src/shared/queue/claim.ts';
import { createDeadLetters } from '../../src/shared/queue/dead-letters.ts';
import { parseOperation } from '../../src/shared/queue/entry.ts';
import { createLeases } from '../../src/shared/queue/leases.ts';
import { createPurge } from '../../src/shared/queue/purge.ts';
import { createRecordHasher } from '../../src/shared/queue/record-key.ts';
import type { Outcome } from '../../src/shared/queue/result.ts';
import { createSettle, type FinalSettlement, type Settlement } from '../../src/shared/queue/settle.ts';
import { createStatusReader } from '../../src/shared/queue/status.ts';
import { createSubmit, type Submission, type SubmitDeps } from '../../src/shared/queue/submit.ts';
import type { RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys, group } from '../../src/shared/redis/keys.ts';

export type QueueBench = Awaited<ReturnType<typeof createQueueBench>>;

export interface QueueBenchOptions {
  readonly shards?: number;
  readonly maxBacklog?: number;
  readonly maxDeadLetters?: number;
  readonly statusTtlMs?: number;
  readonly idempotencyTtlMs?: number;
  readonly submit?: Partial<SubmitDeps>;
}

/** `prefix` keeps tests on one Redis apart. */
export async function createQueueBench(redis: RedisClient, prefix: string, options: QueueBenchOptions = {}) {
  const { shards = 1, maxBacklog = 1_000_000, maxDeadLetters = 1_000, statusTtlMs = 60_000, idempotencyTtlMs = 60_000 } = options;
  const keys = createKeys(prefix);
  const hasher = await createRecordHasher();
  const deps = { redis, keys, shards };
  const backlog = createBacklogReader(deps);
  let clockMs = 0;
  const guard = createBacklogGuard({ maxBacklog, maxDeadLetters, readCounts: backlog.readCounts, now: () => clockMs });
  const door = { redisNow: Date.now, acceptWithinMs: 5_000, onPartFailed: () => {} };
  const submit = createSubmit({ ...deps, hasher, guard, idempotencyTtlMs, ...door, ...options.submit });
  const leases = createLeases(deps);
  const finals: Record<string, number> = {};
  const countFinal: CountFinal = (...labels) => {
    finals[labels.join(' ')] = (finals[labels.join(' ')] ?? 0) + 1;
  };

  const place = async (change: Partial<Change> = {}, idempotency?: Submission['idempotency']): Promise<Place> => {
    const [submitted] = await submit([{ change: changeOf(change), ...(idempotency ? { idempotency } : {}) }]);
    if (submitted?.status !== 'queued') throw new Error(`not queued: ${JSON.stringify(submitted)}`);
    return parseOperationId(submitted.operationId) as Place;
  };

  return {
    redis,
    keys,
    shards,
    hasher,
    guard,
    backlog,
    submit,
    leases,
    status: createStatusReader(deps),
    deadLetters: createDeadLetters({ ...deps, countFinal }),
    purge: createPurge({ ...deps, statusTtlMs, processId: 'purger', now: Date.now, countFinal }),
    /** How many ends were counted, by provider, kind and status. */
    finals,
    reader: (workerId: string) => createQueueReader({ redis, keys, workerId }),
    settler: (workerId: string) => createSettle({ redis, keys, workerId, statusTtlMs }),
    /** Counts are read anew only after so long. */
    passTime: (ms: number) => {
      clockMs += ms;
    },
    /** Submits one operation; where it lies. */
    place,
    /** Submits so many, to records `r0`, `r1`, ... */
    placeMany: (count: number, change: Partial<Change> = {}) =>
      Promise.all(Array.from({ length: count }, (_, i) => place({ recordId: `r${i}`, ...change }))),
    /** Takes a shard's lease, whoever holds it. */
    async own(worker: string, shard = 0, ttlMs = 60_000): Promise<Ownership> {
      const acquired = await leases.acquire(shard, worker, ttlMs);
      if (acquired.status !== 'acquired') throw new Error(`shard ${shard} is held by ${acquired.owner}`);
      return { shard, epoch: acquired.epoch };
    },
    /** What Redis holds of a queue. */
    async inspect(queue = 'crm', shard = 0) {
      const [length, pending, counters] = await Promise.all([
        redis.xlen(keys.queue(shard, queue)),
        redis.xpending(keys.queue(shard, queue), group).then(
          (summary) => Number(summary[0]),
          () => 0,
        ),
        redis.hgetall(keys.counters(shard, queue)),
      ]);
      return { length, pending, added: Number(counters['a'] ?? 0), final: Number(counters['f'] ?? 0), dead: Number(counters['x'] ?? 0) };
    },
  };
}

export function changeOf(part: Partial<Change> = {}): Change {
  return {
    kind: 'upsert',
    provider: 'crm',
    tenant: 'default',
    entity: 'contact',
    recordId: 'r',
    timestampMs: 1_000,
    source: 'api',
    dataJson: '{"a":1}',
    ...part,
  };
}

/** The entries of a claim; throws where it was refused. */
export function entriesOf(claimed: Claimed | undefined): readonly ClaimedEntry[] {
  if (claimed?.status !== 'read') throw new Error(`not read: ${claimed?.status}`);
  return claimed.entries;
}

/** The end of an entry's operation, as a worker would write it. */
export function finalOf(entry: ClaimedEntry, part: Partial<Outcome> = {}, queue = 'crm', shard = 0): FinalSettlement {
  const { ms, rank, header, data } = entry;
  const { kind, entity, recordId } = parseOperation({ shard, queue, ms, rank }, header, data);
  const outcome: Outcome = { status: 'succeeded', kind, entity, recordId, acceptedAtMs: ms, completedAtMs: ms + 5, attempts: 1, ...part };
  return { entry: { ms, rank }, outcome, hadTrial: false };
}

/** The same as a dead letter. */
export function deadOf(entry: ClaimedEntry, code = 'refused', queue = 'crm', shard = 0): FinalSettlement {
  const error = { kind: 'invalid', code, message: 'no', providerStatus: 400, answer: '{"why":"no"}' };
  const final = finalOf(entry, { status: 'dead_lettered', error: { code, message: 'no', retryable: false } }, queue, shard);
  const { header, data, digest } = entry;
  return { ...final, deadLetter: { header, data, digest, attempts: 1, errorJson: JSON.stringify(error) } };
}

export function settlementOf(owner: Ownership, part: Partial<Settlement> = {}): Settlement {
  return { ...owner, queue: 'crm', keep: 1_000, finals: [], retries: [], settledBefore: [], ...part };
}

export const entryIdOf = formatEntryId;
