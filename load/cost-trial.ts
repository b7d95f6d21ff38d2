/**
 * What an operation costs, in CPU time of a worker and Redis together, from its entering the queue to its end, with so much queued and
 * so many providers. As operations are delivered, others are queued, so that the backlog keeps its size: trials differ in that alone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { concurrency, startFeeder, startProvider } from './calls-trial.ts';
import { cpuSeconds } from './process-cost.ts';
import { onStage } from './stage.ts';

export interface CostTrial {
  /** Operations in Redis that are not final, all providers together. */
  readonly queued: number;
  readonly providers: number;
  readonly warmUp: number;
  readonly counted: number;
}

const pollMs = 5;
/** The feeder works in requests of this size. */
const topUp = 500;

/** Microseconds of CPU time for each operation. */
export function tryCost({ queued, providers, warmUp, counted }: CostTrial): Promise<number> {
  return onStage(async (stage) => {
    const { provider, port } = await startProvider(stage);
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    const names = Array.from({ length: providers }, (_, index) => `p${index}`);
    await feeder.ask(
      'register',
      names.map((name) => configOf(name, port, providers)),
    );
    let fed = 0;
    const feed = async (operations: number) => {
      await feeder.ask('feed', { providers: names, operations, from: fed });
      fed += operations;
    };
    await feed(queued);
    const worker = await stage.worker(redis);
    const cpu = () => cpuSeconds(worker.pid) + cpuSeconds(redis.pid);

    /** Keeps the backlog at its size until so many operations have been delivered in all. */
    const keepUntil = async (target: number): Promise<number> => {
      for (;;) {
        const { operations } = await provider.ask('count');
        if (operations >= target) return operations;
        const missing = operations + queued - fed;
        if (missing >= topUp) await feed(missing);
        else await delay(pollMs);
      }
    };
    const begin = await keepUntil(warmUp);
    const cpuBefore = cpu();
    const end = await keepUntil(begin + counted);
    return ((cpu() - cpuBefore) / (end - begin)) * 1e6;
  });
}

/** All providers together may have so many calls under way as one has alone, but each at least two. */
function configOf(name: string, port: number, providers: number): Record<string, unknown> {
  const maxConcurrency = Math.max(2, Math.floor(concurrency / providers));
  return { name, kind: 'http', base_url: `http://127.0.0.1:${port}`, max_concurrency: maxConcurrency };
}
