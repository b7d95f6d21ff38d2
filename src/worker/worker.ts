/**
 * One worker put together: connections, engine, fleet and the loops that drive them. `main.ts` gives it settings; tests
 * start it in their own process.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Settings } from '../shared/config/settings.ts';
import { createGate } from '../shared/gate/gate.ts';
import { createProviderDirectory } from '../shared/providers/follow.ts';
import { createProviderKinds } from '../shared/providers/kinds.ts';
import { createSealer } from '../shared/providers/seal.ts';
import { createProviderStore } from '../shared/providers/store.ts';
import { queuesRung } from '../shared/queue/bell.ts';
import { createQueueReader } from '../shared/queue/claim.ts';
import { createLeases } from '../shared/queue/leases.ts';
import { createRecordHasher, type RecordHasher } from '../shared/queue/record-key.ts';
import { createSettle } from '../shared/queue/settle.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../shared/redis/connection.ts';
import { createKeys } from '../shared/redis/keys.ts';
import { checkShards } from '../shared/redis/shard-count.ts';
import { countCommands, createMetrics } from '../shared/telemetry/metrics.ts';
import { Engine } from './engine/engine.ts';
import { Fleet } from './fleet/fleet.ts';
import { type HealthDeps, startHealthServer } from './health-server.ts';
import { canKeepAdapter, createAdapter } from './providers/registry.ts';
import { shareLookups } from './providers/shared-lookups.ts';
import { type Loop, startLoop } from './supervisor.ts';
import { sweep } from './sweep.ts';
import { createTelemetry } from './telemetry.ts';

const providersCheckMs = 1_000;
const sweepMs = 60_000;
/** Permits tell Redis's clock, too, but a worker whose lanes all wait for a retry asks for none. */
const clockMs = 30_000;
const retryMs = 200;
/** How long a stopping worker waits between looks at what is still in flight. */
const drainCheckMs = 20;

export interface Worker {
  readonly id: string;
  readonly healthPort: number;
  /** Finishes what is in flight, hands its shards over, ends its connections. */
  stop(): Promise<void>;
}

/** What a worker is made of; every part is given what it needs, nothing finds anything by itself. */
function assemble(settings: Settings, log: Logger) {
  const id = `${hostname().slice(0, 40)}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const keys = createKeys(settings.keyPrefix ?? '');
  const { shards, leaseTtlMs } = settings;
  // A command may not hang for longer than a lease can wait.
  const redis = connectRedis(settings.redisUrl, { name: 'worker', commandTimeoutMs: Math.max(1_000, Math.min(5_000, leaseTtlMs / 2)) });
  const subscriber = connectRedis(settings.redisUrl, { name: 'worker-subscriber' });
  const metrics = createMetrics();
  countCommands(redis, metrics.boundCounter(metrics.redisCommands, {}));
  const now = () => performance.now();
  const telemetry = createTelemetry({ metrics, log, now });

  const sealer = createSealer(settings.encryptionKey);
  const network = { allowPrivateNetworks: settings.allowPrivateNetworks };
  const store = createProviderStore({ redis, keys, sealer, kinds: createProviderKinds(), network, now: Date.now });
  const directory = createProviderDirectory({ store, subscriber, keys, log });
  const adapterDeps = {
    redis,
    keys,
    sealer,
    network,
    resolve: shareLookups((name) => lookup(name, { all: true })),
    clock: { nowMs: Date.now, monotonicMs: now },
    createId: randomUUID,
  };

  const reader = createQueueReader({ redis, keys, workerId: id });
  const redisClock = createRedisClock();
  const engine = new Engine({
    reader,
    settle: createSettle({ redis, keys, workerId: id, statusTtlMs: settings.statusTtlMs }),
    gate: createGate({ redis, keys, workerId: id, holdTtlMs: leaseTtlMs }),
    telemetry,
    findProvider: (name, tenant) => (tenant === undefined ? directory.get(name) : directory.forTenant(name, tenant)),
    accountOf: (name, tenant) => directory.accountOf(name, tenant),
    createAdapter: (config) => createAdapter(config, adapterDeps),
    canKeepAdapter,
    limits: settings,
    now,
    redisNow: redisClock.now,
    learnRedisNow: redisClock.learn,
    random: Math.random,
  });
  const leases = createLeases({ redis, keys, shards });
  return { id, keys, redis, subscriber, metrics, now, telemetry, directory, reader, engine, leases, redisClock };
}

type Parts = ReturnType<typeof assemble>;

function createFleet(
  { id, keys, subscriber, metrics, telemetry, now, reader, engine, leases }: Parts,
  settings: Settings,
  log: Logger,
  hasher: RecordHasher,
): Fleet {
  return new Fleet({
    leases,
    reader,
    holder: engine,
    workerId: id,
    shards: settings.shards,
    leaseTtlMs: settings.leaseTtlMs,
    info: { host: hostname(), pid: process.pid, started_at: new Date().toISOString() },
    hash: (text) => hasher.shardOfText(text, 2 ** 32),
    now,
    listen: async (shard) => void (await subscriber.subscribe(keys.bell(shard))),
    unlisten: async (shard) => void (await subscriber.unsubscribe(keys.bell(shard))),
    onChange: (change, shard) => {
      metrics.leaseChanges.inc({ change });
      if (change === 'lost') telemetry.lost(shard);
      else log.debug({ shard, change }, 'lease');
    },
  });
}

/** Waits for Redis, then runs until it is stopped. Throws `ShardCountMismatch`. */
export async function startWorker(settings: Settings, log: Logger): Promise<Worker> {
  const parts = assemble(settings, log);
  const { id, keys, redis, subscriber, metrics, telemetry, directory, engine, redisClock } = parts;
  const onRedisError = (error: unknown) => telemetry.fault('redis', error, {});
  const fleet = createFleet(parts, settings, log, await createRecordHasher());
  const health = await startHealthServer(healthOf(parts, fleet), { host: settings.host, port: settings.metricsPort });
  const disconnect = async () => {
    await health.close();
    metrics.close();
    await Promise.all([disconnectRedis(redis), disconnectRedis(subscriber)]);
  };

  await checkShards({ redis, keys, shards: settings.shards, onWaiting: onRedisError }).catch(async (error) => {
    await disconnect();
    throw error;
  });
  await repeatUntilDone(async () => {
    await readRedisClock(redis, redisClock);
    await directory.start();
    await subscriber.subscribe(keys.fleetChanged, keys.gateChanged, keys.gateLifted, keys.gateShares);
  }, onRedisError);
  directory.onChange(({ name }) => engine.providerChanged(name));
  const loops = startLoops(parts, fleet, settings);

  return {
    id,
    healthPort: health.port,
    async stop() {
      await drain(fleet, settings.drainMs, { log, onError: onRedisError });
      await Promise.all(loops.map((loop) => loop.stop()));
      await directory.stop();
      await engine.close();
      await disconnect();
    },
  };
}

function startLoops(
  { id, keys, redis, subscriber, telemetry, directory, engine, reader, redisClock }: Parts,
  fleet: Fleet,
  settings: Settings,
): Loop[] {
  const { shards, leaseTtlMs, statusTtlMs } = settings;
  const every = (ms: number, round: () => Promise<void> | void) => {
    const tick = async () => {
      await round();
      return ms;
    };
    return startLoop({ tick, onError, retryMs });
  };
  const onError = (error: unknown) => telemetry.fault('redis', error, {});
  const round = async () => {
    const waitMs = await fleet.tick();
    telemetry.redisAnswered();
    return waitMs;
  };
  const fleetLoop = startLoop({ tick: round, onError, retryMs });

  const bells = new Map(Array.from({ length: shards }, (_, shard) => [keys.bell(shard), shard]));
  const hear = (channel: string, message: string) => {
    const shard = bells.get(channel);
    if (shard !== undefined) for (const queue of queuesRung(message)) engine.ring(shard, queue);
    else if (channel === keys.gateChanged) engine.gateChanged(message);
    else if (channel === keys.gateLifted) engine.pauseLifted(message);
    else if (channel === keys.gateShares) engine.sharesChanged(message);
    else if (channel === keys.fleetChanged && message !== id) fleetLoop.wake();
  };
  subscriber.on('message', (channel: string, message: string) => {
    try {
      hear(channel, message);
    } catch (error) {
      // Anybody may publish. What a bell of ours would have said is told at the next renewal.
      telemetry.fault('bug', error, { channel });
    }
  });
  // While the subscription was down, bells may have rung: a renewal tells what is ready. Pauses may have begun or been lifted, too: what is
  // asked once the channels are heard again misses nothing.
  subscriber.on('ready', () => {
    fleetLoop.wake();
    subscriber
      .subscribe(keys.gateChanged, keys.gateLifted, keys.gateShares)
      .catch(onError)
      .then(() => engine.catchUp())
      .catch(onError);
  });

  return [
    fleetLoop,
    every(Math.max(10, leaseTtlMs / 20), () => {
      const expired = engine.dropExpired(leaseTtlMs * 0.1);
      fleet.forget(expired);
      if (expired.length > 0) fleetLoop.wake();
    }),
    // A cluster's subscription comes back, and nothing tells that it was away.
    every(leaseTtlMs, () => engine.checkPauses()),
    every(providersCheckMs, async () => void (await directory.tick())),
    every(clockMs, () => readRedisClock(redis, redisClock)),
    every(sweepMs, () => sweep({ reader, engine, fleet, onError }, { shards, statusTtlMs })),
  ];
}

function healthOf({ metrics, telemetry, engine, directory, redis }: Parts, fleet: Fleet): HealthDeps {
  return {
    metrics,
    collect() {
      metrics.shardsOwned.set(fleet.shardsOwned);
      metrics.heldEntries.set(engine.held.entries);
      metrics.heldBytes.set(engine.held.bytes);
      metrics.unreadableProviders.set(directory.problems().size);
      metrics.callsInFlight.reset();
      for (const [provider, calls] of engine.callsInFlight) metrics.callsInFlight.set({ provider: metrics.providerLabel(provider) }, calls);
    },
    whyNotReady: () => (redis.status === 'ready' ? fleet.whyNoMember : 'Redis cannot be reached'),
    fault: (error) => telemetry.fault('bug', error, {}),
  };
}

/** Waits for what is in flight, up to `drainMs`; what is left then is cut. While Redis is away, it may come back in time. */
async function drain(fleet: Fleet, drainMs: number, { log, onError }: { log: Logger; onError: (error: unknown) => void }): Promise<void> {
  const deadline = performance.now() + drainMs;
  const leave = () =>
    fleet.leave().catch((error) => {
      onError(error);
      return false;
    });
  while (performance.now() < deadline) {
    if (await leave()) return;
    await new Promise((resolve) => setTimeout(resolve, drainCheckMs));
  }
  log.warn('the drain time is over: calls in flight are cut');
  await fleet.abandon().catch(onError);
}

/** Redis's clock as of the last answer that told it; this machine's until then. */
function createRedisClock() {
  let offsetMs = 0;
  return {
    now: () => Date.now() + offsetMs,
    learn(ms: number) {
      offsetMs = ms - Date.now();
    },
  };
}

async function readRedisClock(redis: RedisClient, clock: { learn(ms: number): void }): Promise<void> {
  const [seconds, micros] = await redis.time();
  clock.learn(Number(seconds) * 1_000 + Number(micros) / 1_000);
}

async function repeatUntilDone(attempt: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      onError(error);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
