/**
 * From accept to delivery with everything on this machine: load generator, API, worker, Redis and provider, a process each. Requests
 * come in an open loop (see programs/sync-load.ts). An operation's time runs from the moment its request is handed to a connection, or
 * waits for one (stricter than the moment of the 202), to the moment the call's last byte is in the provider's hands; the generator's own lateness is
 * not in it, and is told apart. Every operation sent in the counted time is waited for, however late it comes.
 */
import { providerConfig, startFeeder } from './calls-trial.ts';
import type { Program } from './program.ts';
import type { FeederCommands } from './programs/feeder.ts';
import type { ProviderCommands } from './programs/instant-provider.ts';
import type { SyncLoadCommands } from './programs/sync-load.ts';
import { onStage, type RedisProcess, type Stage } from './stage.ts';
import { percentile } from './statistics.ts';

export interface DeliveryTrial {
  readonly perSecond: number;
  readonly warmUpMs: number;
  readonly countedMs: number;
  /** Done before the API and the worker start. */
  prepare?(scene: DeliveryScene): Promise<void>;
  readonly apiSettings?: Readonly<Record<string, string>>;
}

export interface DeliveryScene {
  readonly stage: Stage;
  readonly redis: RedisProcess;
  readonly feeder: Program<FeederCommands>;
}

export interface DeliveryResult {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** By which the generator itself was late, at p99. Milliseconds. */
  readonly lateness: number;
}

/** Cold processes are slow: the load rises to its full height. */
const warmUpShares = [0.3, 0.6, 1];

export function tryDelivery(trial: DeliveryTrial): Promise<DeliveryResult> {
  return onStage(async (stage) => {
    const provider = stage.program<ProviderCommands>('instant-provider');
    const providerPort = await provider.ask('listen', { kind: 'timed' });
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    await feeder.ask('register', [providerConfig('p', providerPort, 1)]);
    await trial.prepare?.({ stage, redis, feeder });
    const [api] = await Promise.all([stage.api(redis, trial.apiSettings), stage.worker(redis)]);
    const load = stage.program<SyncLoadCommands>('sync-load');
    await load.ask('connect', { port: api.port });
    const send = (share: number, durationMs: number) => load.ask('open', { provider: 'p', perSecond: trial.perSecond * share, durationMs });

    let sent = 0;
    for (const share of warmUpShares) sent += (await send(share, trial.warmUpMs / warmUpShares.length)).sent;
    await provider.ask('reach', sent);
    await provider.ask('takeLatencies');
    const counted = await send(1, trial.countedMs);
    await provider.ask('reach', sent + counted.sent);
    const latencies = await provider.ask('takeLatencies');
    return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), lateness: percentile(counted.latenesses, 0.99) };
  });
}
