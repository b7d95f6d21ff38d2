/**
 * POST /sync as fast as one process answers it: Sluice's API, or the bare Hono route, with the same load generator in a process of its own
 * (64 connections that are kept alive, each sends when it was answered). No worker runs: what is accepted stays queued.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { providerConfig, startFeeder } from './calls-trial.ts';
import type { HonoRouteCommands } from './programs/hono-route.ts';
import type { SyncLoadCommands } from './programs/sync-load.ts';
import { onStage, type Stage } from './stage.ts';

export interface AcceptTrial {
  /** Operations in a request; 1 means a single one, without an array. */
  readonly batch: number;
  readonly warmUpMs: number;
  readonly countedMs: number;
}

const connections = 64;
/** Never called. */
const unusedPort = 9;
/** More than a trial can queue: the bound at the door is not what is measured. */
const settings = { SLUICE_MAX_BACKLOG: '10000000' };

/** Operations accepted a second. */
export function tryApi(trial: AcceptTrial): Promise<number> {
  return onStage(async (stage) => {
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    await feeder.ask('register', [providerConfig('p', unusedPort, 1)]);
    const api = await stage.api(redis, settings);
    return measure(stage, api.port, trial);
  });
}

export function tryHonoRoute(trial: AcceptTrial): Promise<number> {
  return onStage(async (stage) => {
    const port = await stage.program<HonoRouteCommands>('hono-route').ask('listen', {});
    return measure(stage, port, trial);
  });
}

export function tryBullmqRoute(trial: AcceptTrial): Promise<number> {
  return onStage(async (stage) => {
    const redis = await stage.redis();
    const port = await stage.program<HonoRouteCommands>('hono-route').ask('listen', { bullmqRedisPort: redis.port });
    return measure(stage, port, trial);
  });
}

async function measure(stage: Stage, port: number, { batch, warmUpMs, countedMs }: AcceptTrial): Promise<number> {
  const load = stage.program<SyncLoadCommands>('sync-load');
  await load.ask('closed', { port, connections, batch });
  await delay(warmUpMs);
  const begin = await load.ask('answered');
  await delay(countedMs);
  const end = await load.ask('answered');
  return ((end.requests - begin.requests) * batch) / ((end.atMs - begin.atMs) / 1_000);
}
