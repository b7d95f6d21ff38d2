/** An API with three providers and no routes but those a test adds; the worker is played by the test. */
import { afterAll, beforeEach, expect } from 'vitest';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { crm } from './api-bodies.ts';
import type { TestApi } from './in-process-api.ts';
import { createQueueBench, type QueueBench } from './queue.ts';
import { useTestApi } from './use-test-api.ts';

export const leads = {
  name: 'leads',
  entity: 'contact',
  filter: 'data.contact_type in ["lead", "prospect", "employee"]',
  providers: ['crm'],
};
export const customers = { name: 'customers', entity: 'contact', filter: 'data.contact_type in ["customer", "both"]', providers: ['erp'] };
export const both = { name: 'both', filter: 'data.contact_type == "both"', providers: ['shop', 'crm'] };

export const providers = ['crm', 'erp', 'shop'];

let records = 0;
export const newRecord = () => `r${records++}`;

/** An operation that routes choose the providers of. */
export const auto = (contact_type: unknown, part: object = {}) => ({
  operation: 'upsert',
  provider: 'auto',
  record_id: newRecord(),
  data: { contact_type },
  ...part,
});

export const providersOf = (body: { operations?: { provider: string }[] }) => body.operations?.map(({ provider }) => provider);

/** Registers the hooks; each test begins without routes. */
export function useRoutes() {
  const env = { SLUICE_KEY_PREFIX: 'routing:' };
  let redis: RedisClient;
  let bench: QueueBench;
  const api = useTestApi(env, async (started) => {
    redis = connectRedis(started.redis.url, { name: 'test' });
    bench = await createQueueBench(redis, env.SLUICE_KEY_PREFIX, { shards: 4 });
    for (const name of providers) await started.ask('POST', '/providers', { ...crm, name });
  });
  afterAll(async () => {
    if (redis) await disconnectRedis(redis);
  });
  beforeEach(async () => {
    for (const { name } of (await api.ask('GET', '/routes?limit=500')).body.items) await api.ask('DELETE', `/routes/${name}`);
  });
  return {
    api,
    /** With them a further API shares everything with this one. */
    env,
    /** The queues, once the API has started. */
    get bench() {
      return bench;
    },
    async addRoutes(...routes: object[]) {
      for (const route of routes) expect((await api.ask('POST', '/routes', route)).status).toBe(201);
    },
    send: (body: unknown, headers?: Record<string, string>, to: TestApi = api) => to.ask('POST', '/sync', body, headers),
    /** What the queue of a provider holds of a record. */
    async queued(provider: string, recordId: string): Promise<number> {
      let count = 0;
      for (let shard = 0; shard < 4; shard += 1) {
        for (const [, fields] of await redis.xrange(bench.keys.queue(shard, provider), '-', '+')) {
          if ((JSON.parse(fields[1] as string) as string[])[1] === recordId) count += 1;
        }
      }
      return count;
    },
  };
}
