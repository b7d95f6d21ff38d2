/**
 * Giving up a provider's queues: every operation that is not final becomes a dead letter, then the queues are removed. It works with and without
 * workers. Where a shard has an owner, this acts in the owner's name and epoch, so that order is kept with the owner's own settling; what the
 * owner has in flight at that moment may still end after it.
 */
import { parseEntryId } from '../domain/operation.ts';
import type { ProviderError } from '../domain/provider-error.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { createBacklogReader } from './backlog.ts';
import { parseOperation } from './entry.ts';
import { createLeases } from './leases.ts';
import pageSource from './purge-page.lua';
import { createSettle, type FinalSettlement } from './settle.ts';

const pageScript = defineScript('purge-page', pageSource);
const pageSize = 200;
const passingLeaseMs = 10_000;

export interface PurgeDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  readonly statusTtlMs: number;
  /** Names this process where a shard has no owner. */
  readonly processId: string;
  now(): number;
}

export interface Purge {
  /** Returns how many operations became dead letters. */
  deadLetterAll(provider: string, error: ProviderError): Promise<number>;
  /** Removes what is left of the provider's queues; dead letters stay, and results until they expire. */
  forget(provider: string): Promise<void>;
}

export function createPurge(deps: PurgeDeps): Purge {
  const { redis, keys, shards, statusTtlMs } = deps;
  const leases = createLeases(deps);
  const backlog = createBacklogReader(deps);

  /** How many operations of a page were given up; 'again' where the shard changed hands meanwhile. */
  const purgePage = async (shard: number, queue: string, error: ProviderError): Promise<number | 'again'> => {
    const as = await readLease(shard);
    const reply = (await pageScript.run(redis, [keys.queue(shard, queue)], [as.owner, pageSize])) as string[];
    if (reply[0] !== 'page') throw unexpectedReply('purge-page', reply);
    const finals: FinalSettlement[] = [];
    for (let i = 1; i < reply.length; i += 4) finals.push(giveUp(shard, queue, reply.slice(i, i + 4) as Row, error, deps.now()));
    if (finals.length === 0) return 0;
    const settle = createSettle({ redis, keys, workerId: as.owner, statusTtlMs });
    const [answer] = await settle([{ shard, queue, epoch: as.epoch, keep: 0, finals, retries: [], settledBefore: [] }]);
    return answer === 'ok' ? finals.length : 'again';
  };

  const purgeShard = async (shard: number, provider: string, error: ProviderError) => {
    const queues = await backlog.queuesOf(shard, provider);
    if (queues.length === 0) return 0;
    const acquired = await leases.acquire(shard, deps.processId, passingLeaseMs);
    let count = 0;
    for (const queue of queues) {
      for (let page = await purgePage(shard, queue, error); page !== 0; page = await purgePage(shard, queue, error)) count += page === 'again' ? 0 : page;
    }
    if (acquired.status === 'acquired') await leases.release(shard, deps.processId, acquired.epoch);
    return count;
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
      for (let shard = 0; shard < shards; shard++) {
        const queues = await backlog.queuesOf(shard, provider);
        await Promise.all(
          queues.map(async (queue) => {
            await redis.zrem(keys.queues(shard), queue);
            await redis.srem(keys.ready(shard), queue);
            await redis.hdel(keys.counters(shard, queue), 'g', 'r');
            await redis.unlink(keys.queue(shard, queue), keys.tries(shard, queue), keys.records(shard, queue));
          }),
        );
      }
    },
  };
}

type Row = [id: string, header: string, data: string, digest: string];

function giveUp(shard: number, queue: string, [id, header, data, digest]: Row, error: ProviderError, nowMs: number): FinalSettlement {
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
      attempts: 0,
      error: { code: error.code, message: error.message, retryable: true },
    },
    deadLetter: { header, data, digest, attempts: 0, errorJson: JSON.stringify(error) },
  };
}
