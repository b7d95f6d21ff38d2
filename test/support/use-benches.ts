/** Engines on a real Redis for the tests of a file: one server for all, benches with key prefixes of their own, ended with their test. */
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type Bench, type BenchOptions, startBench } from './engine.ts';
import { type RedisServer, startRedis } from './redis.ts';

/** Registers the hooks; gives what starts a bench within a test, of one shard unless it says more. */
export function useBenches(): (options?: BenchOptions) => Promise<Bench> {
  let server: RedisServer;
  let benches = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server?.stop();
  });
  return async (options = {}) => {
    benches += 1;
    const bench = await startBench(server.url, `b${benches}:`, { shards: 1, ...options });
    onTestFinished(() => bench.stop());
    return bench;
  };
}
