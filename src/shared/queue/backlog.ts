/** What waits where: read by the door, by status pages and at a scrape. Nothing here is on the path of an operation. */
import { parseQueueName, queueName } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { QueueCounts } from './backlog-guard.ts';
import ageSource from './queue-age.lua';

const ageScript = defineScript('queue-age', ageSource);

export interface Backlog {
  /** Accepted and not final. */
  readonly backlog: number;
  /** Of these, read by a worker. */
  readonly pending: number;
  /** Acceptance of the oldest that is not final, epoch ms. */
  readonly oldestMs: number | undefined;
  readonly deadLetters: number;
}

export interface BacklogReader {
  /** By provider; providers with nothing waiting and no dead letters may be missing. */
  readAll(): Promise<ReadonlyMap<string, Backlog>>;
  /** Of one tenant, or of all. */
  read(provider: string, tenant?: string): Promise<Backlog>;
  /** A provider's queues, as `shard queue` to counts. */
  readCounts(provider: string): Promise<ReadonlyMap<string, QueueCounts>>;
  /** Names of the queues of a shard, of one provider or of all. */
  queuesOf(shard: number, provider?: string): Promise<readonly string[]>;
}

export const nothingWaiting: Backlog = { backlog: 0, pending: 0, oldestMs: undefined, deadLetters: 0 };

export function createBacklogReader({ redis, keys, shards }: { redis: RedisClient; keys: Keys; shards: number }): BacklogReader {
  const everyShard = Array.from({ length: shards }, (_, shard) => shard);

  const queuesOf = async (shard: number, provider?: string) => {
    const queues = await redis.zrange(keys.queues(shard), '0', '-1');
    return provider === undefined ? queues : queues.filter((queue) => parseQueueName(queue).provider === provider);
  };

  const countsOf = async (shard: number, queue: string): Promise<QueueCounts> => {
    const [added, final, deadLetters] = await redis.hmget(keys.counters(shard, queue), 'a', 'f', 'x');
    return { open: Number(added ?? 0) - Number(final ?? 0), deadLetters: Number(deadLetters ?? 0) };
  };

  const readQueue = async (shard: number, queue: string): Promise<Backlog> => {
    const reply = (await ageScript.run(redis, [keys.queue(shard, queue), keys.counters(shard, queue)], [])) as [
      string,
      number,
      number,
      string,
      number,
    ];
    if (reply[0] !== 'open') throw unexpectedReply('queue-age', reply);
    return { backlog: reply[1], pending: reply[2], oldestMs: reply[3] === '' ? undefined : Number(reply[3]), deadLetters: reply[4] };
  };

  const readShard = async (shard: number, provider?: string, queue?: string) => {
    const queues = (await queuesOf(shard, provider)).filter((name) => queue === undefined || name === queue);
    return Promise.all(queues.map(async (queue) => ({ provider: parseQueueName(queue).provider, backlog: await readQueue(shard, queue) })));
  };

  const sum = async (provider?: string, queue?: string) => {
    const all = new Map<string, Backlog>();
    const parts = await Promise.all(everyShard.map((shard) => readShard(shard, provider, queue)));
    for (const part of parts.flat()) all.set(part.provider, add(all.get(part.provider) ?? nothingWaiting, part.backlog));
    return all;
  };

  return {
    readAll: () => sum(),
    async read(provider, tenant) {
      const queue = tenant === undefined ? undefined : queueName(provider, tenant);
      return (await sum(provider, queue)).get(provider) ?? nothingWaiting;
    },
    async readCounts(provider) {
      const counts = await Promise.all(
        everyShard.map(async (shard) =>
          Promise.all((await queuesOf(shard, provider)).map(async (queue) => [`${shard} ${queue}`, await countsOf(shard, queue)] as const)),
        ),
      );
      return new Map(counts.flat());
    },
    queuesOf,
  };
}

function add(a: Backlog, b: Backlog): Backlog {
  const ages = [a.oldestMs, b.oldestMs].filter((ms) => ms !== undefined);
  return {
    backlog: a.backlog + b.backlog,
    pending: a.pending + b.pending,
    oldestMs: ages.length === 0 ? undefined : Math.min(...ages),
    deadLetters: a.deadLetters + b.deadLetters,
  };
}
