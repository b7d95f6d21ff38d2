/**
 * One process calling the instant provider as fast as it can, with all the work there from the beginning: a Sluice worker, the bare loop,
 * or a BullMQ worker. The first quarter of the calls warms it up; what counts is from there to nineteen twentieths, so that neither
 * a cold start nor the last stragglers are in the numbers.
 */
import { cpuSeconds, watchMemory } from './process-cost.ts';
import type { Program } from './program.ts';
import type { BareLoopCommands } from './programs/bare-loop.ts';
import type { BullmqCommands } from './programs/bullmq.ts';
import type { FeederCommands } from './programs/feeder.ts';
import type { ProviderCommands } from './programs/instant-provider.ts';
import { onStage, type RedisProcess, type Stage } from './stage.ts';

export interface CallsTrial {
  /** To be done in all, warm-up included. */
  readonly operations: number;
  /** Operations in a call; 1 means single calls. */
  readonly batch: number;
  /** Where the worker's CPU profile goes; without it, none is taken. */
  readonly profileDir?: string | undefined;
}

export interface CallsResult {
  readonly perSecond: number;
  /** CPU time of the calling process, all its threads. */
  readonly cpuMicros: number;
  /** Resident, MiB, every 100 ms of the counted time. */
  readonly residentMb: readonly number[];
}

export const concurrency = 256;
/** Calls of 100 operations are long: fewer of them fill the loop, more only wait. */
const bareBatchConcurrency = 16;
/** Enough jobs for several batches of 100 to be under way while others gather. */
const bullmqBatchConcurrency = 1_000;
const warmUpShare = 0.25;
const endShare = 0.95;

export function tryWorker({ operations, batch, profileDir }: CallsTrial): Promise<CallsResult> {
  return onStage(async (stage) => {
    const { provider, port } = await startProvider(stage);
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    await feeder.ask('register', [providerConfig('p', port, batch)]);
    await feeder.ask('feed', { providers: ['p'], operations, from: 0 });
    const worker = await stage.worker(redis, { profileDir });
    const result = await measure(provider, worker.pid, operations);
    if (profileDir !== undefined) await worker.stop();
    return result;
  });
}

export function tryBareLoop({ operations, batch }: CallsTrial): Promise<CallsResult> {
  return onStage(async (stage) => {
    const { provider, port } = await startProvider(stage);
    const loop = stage.program<BareLoopCommands>('bare-loop');
    await loop.ask('start', { port, batch, concurrency: batch === 1 ? concurrency : bareBatchConcurrency });
    return measure(provider, loop.pid, operations);
  });
}

export function tryBullmq({ operations, batch }: CallsTrial): Promise<CallsResult> {
  return onStage(async (stage) => {
    const { provider, port } = await startProvider(stage);
    const redis = await stage.redis();
    const feeder = stage.program<BullmqCommands>('bullmq');
    await feeder.ask('feed', { redisPort: redis.port, operations, from: 0 });
    const worker = stage.program<BullmqCommands>('bullmq');
    const call = { port, connections: concurrency, batch };
    await worker.ask('work', { redisPort: redis.port, concurrency: batch === 1 ? concurrency : bullmqBatchConcurrency, call });
    return measure(provider, worker.pid, operations);
  });
}

export async function startProvider(stage: Stage): Promise<{ provider: Program<ProviderCommands>; port: number }> {
  const provider = stage.program<ProviderCommands>('instant-provider');
  return { provider, port: await provider.ask('listen', { kind: 'at_once' }) };
}

export async function startFeeder(stage: Stage, redis: RedisProcess): Promise<Program<FeederCommands>> {
  const feeder = stage.program<FeederCommands>('feeder');
  await feeder.ask('connect', redis.url);
  return feeder;
}

/** The body that registers a provider without limits of its own. */
export function providerConfig(name: string, port: number, batch: number): Record<string, unknown> {
  const batchCall = batch === 1 ? {} : { batch: { max_records: batch, path: '/batch' } };
  return { name, kind: 'http', base_url: `http://127.0.0.1:${port}`, max_concurrency: concurrency, ...batchCall };
}

async function measure(provider: Program<ProviderCommands>, pid: number, operations: number): Promise<CallsResult> {
  await provider.ask('reach', Math.floor(operations * warmUpShare));
  const memory = watchMemory(pid);
  const [begin, cpuBefore] = [await provider.ask('count'), cpuSeconds(pid)];
  const [end, cpuAfter] = [await provider.ask('reach', Math.floor(operations * endShare)), cpuSeconds(pid)];
  const done = end.operations - begin.operations;
  return {
    perSecond: done / ((end.atMs - begin.atMs) / 1_000),
    cpuMicros: ((cpuAfter - cpuBefore) / done) * 1e6,
    residentMb: memory.stop(),
  };
}
