/** Registers providers and queues operations for them, through the product's own modules, as the API would. */
import { setTimeout as delay } from 'node:timers/promises';
import { createProviderKinds } from '../../src/shared/providers/kinds.ts';
import { createSealer } from '../../src/shared/providers/seal.ts';
import { createProviderStore } from '../../src/shared/providers/store.ts';
import { createRecordHasher } from '../../src/shared/queue/record-key.ts';
import { createSubmit, type Submit } from '../../src/shared/queue/submit.ts';
import { connectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys } from '../../src/shared/redis/keys.ts';
import { serveCommands } from './commands.ts';
import { sampleData } from './sample.ts';

const shards = 16;
const requestSize = 500;
const hourMs = 3_600_000;
const pollMs = 20;

export interface Feed {
  readonly providers: readonly string[];
  readonly operations: number;
  /** The first operation's number; numbers make record ids, and go on from call to call. */
  readonly from: number;
}

let redis: RedisClient;
let submit: Submit;

async function register(config: Readonly<Record<string, unknown>>): Promise<void> {
  const network = { allowPrivateNetworks: true };
  const store = createProviderStore({
    redis,
    keys: createKeys(),
    sealer: createSealer(undefined),
    kinds: createProviderKinds(),
    network,
    now: Date.now,
  });
  const written = await store.create(config);
  if (written.status !== 'created') throw new Error(`the provider was not registered: ${JSON.stringify(written)}`);
}

/** Operation i goes to provider i modulo their number. */
async function feed({ providers, operations, from }: Feed): Promise<void> {
  const timestampMs = Date.now();
  for (let start = 0; start < operations; start += requestSize) {
    const submissions = Array.from({ length: Math.min(requestSize, operations - start) }, (_, index) => {
      const number = from + start + index;
      const provider = providers[number % providers.length] as string;
      const place = { provider, tenant: 'default', entity: 'contact', source: 'api' };
      return { change: { ...place, kind: 'upsert' as const, recordId: `r${number}`, timestampMs, dataJson: sampleData(number) } };
    });
    const submitted = await submit(submissions);
    if (submitted.some(({ status }) => status !== 'queued')) throw new Error('an operation was not queued');
  }
}

async function countOpen(provider: string): Promise<number> {
  const keys = createKeys();
  const counts = await Promise.all(Array.from({ length: shards }, (_, shard) => redis.hmget(keys.counters(shard, provider), 'a', 'f')));
  return counts.reduce((sum, [added, final]) => sum + Number(added ?? 0) - Number(final ?? 0), 0);
}

const commands = {
  async connect(redisUrl: string) {
    redis = connectRedis(redisUrl, { name: 'bench' });
    const hasher = await createRecordHasher();
    const guard = { tryEnter: () => true, enterAfterRefresh: async () => true, leave: () => {}, learn: () => {} };
    submit = createSubmit({
      redis,
      keys: createKeys(),
      shards,
      hasher,
      guard,
      idempotencyTtlMs: hourMs,
      redisNow: Date.now,
      acceptWithinMs: hourMs,
      onPartFailed: () => {},
    });
  },
  async register(configs: readonly Readonly<Record<string, unknown>>[]) {
    for (const config of configs) await register(config);
  },
  feed,
  /** Answers when every operation of this provider is final. */
  async finished(provider: string): Promise<void> {
    while ((await countOpen(provider)) > 0) await delay(pollMs);
  },
};
export type FeederCommands = typeof commands;

serveCommands(commands);
