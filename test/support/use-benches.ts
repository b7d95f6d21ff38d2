/** Engines on a real Redis for the tests of a file: one server for all, benches with key prefixes of their own, ended with their test. */
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type Bench, type BenchOptions, type PlayedWorker, startBench, type WorkerOptions } from './engine.ts';
import { eventually } from './eventually.ts';
import { type PlayedProvider, startWith } from './played-provider.ts';
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

type OpenBench = (provider: PlayedProvider, options?: Partial<WorkerOptions>, shards?: number) => Promise<PlayedWorker>;

/** Registers the hooks; gives what starts a bench within a test and a worker on it, which owns all its shards. */
export function usePlayedBench(begin: (bench: Bench) => void): OpenBench {
  const startBench = useBenches();
  return async (provider, options = {}, shards = 1) => {
    const bench = await startBench({ shards });
    begin(bench);
    const worker = startWith(bench, provider, options);
    await eventually(() => worker.fleet.shardsOwned === shards, { intervalMs: 1 });
    return worker;
  };
}
