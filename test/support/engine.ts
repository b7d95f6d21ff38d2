/** A worker's engine on a real Redis with a provider that a test plays itself: everything but processes and HTTP. */
import { performance } from 'node:perf_hooks';
import type { Change, OperationKind } from '../../src/shared/domain/operation.ts';
import { parseOperationId, parseQueueName } from '../../src/shared/domain/operation.ts';
import { createGate } from '../../src/shared/gate/gate.ts';
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import { createBacklogReader } from '../../src/shared/queue/backlog.ts';
import { createBacklogGuard } from '../../src/shared/queue/backlog-guard.ts';
import { queuesRung } from '../../src/shared/queue/bell.ts';
import { createQueueReader, type QueueReader } from '../../src/shared/queue/claim.ts';
import { createDeadLetters } from '../../src/shared/queue/dead-letters.ts';
import { createLeases } from '../../src/shared/queue/leases.ts';
import { createRecordHasher } from '../../src/shared/queue/record-key.ts';
import { createSettle, type Settle } from '../../src/shared/queue/settle.ts';
import { createStatusReader } from '../../src/shared/queue/status.ts';
import { createSubmit } from '../../src/shared/queue/submit.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys, type Keys } from '../../src/shared/redis/keys.ts';
import { Engine } from '../../src/worker/engine/engine.ts';
import type { Telemetry } from '../../src/worker/engine/engine-deps.ts';
import type { Gate } from '../../src/worker/engine/permit-stock.ts';
import { Fleet } from '../../src/worker/fleet/fleet.ts';
import type { Call, CallOutcome, ProviderAdapter } from '../../src/worker/providers/provider.ts';
import { type Loop, startLoop } from '../../src/worker/supervisor.ts';
import { providerConfig } from './provider-config.ts';

export type Answering = (calls: readonly Call[]) => Promise<readonly CallOutcome[]> | readonly CallOutcome[];

/** An adapter whose answers a test gives; `cut` calls end as ambiguous. */
export function playedAdapter(answer: Answering, maxBatch = 1): ProviderAdapter {
  return {
    maxBatch,
    batchWaitMs: 5,
    canShareBatch: () => true,
    prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
    send(prepared, guard, done) {
      let isDone = false;
      const end = (outcomes: readonly CallOutcome[]) => {
        if (isDone) return;
        isDone = true;
        done(outcomes);
      };
      const calls = prepared.map(({ call }) => call);
      setImmediate(() => {
        if (isDone) return;
        if (!guard.mayStart()) return end(calls.map(() => ({ status: 'unsent', reason: 'guard' })));
        void Promise.resolve(answer(calls)).then(end);
      });
      const cut = { status: 'failed', error: { kind: 'ambiguous', code: 'aborted', message: 'the call was cut' } } as const;
      return { abort: () => end(calls.map(() => cut)) };
    },
    close: async () => {},
  };
}

export const accepted: CallOutcome = { status: 'accepted' };
export const failed = (
  kind: 'transient' | 'auth' | 'invalid' | 'ambiguous' | 'rate_limited' | 'gone' | 'conflict',
  extra: object = {},
): CallOutcome => ({
  status: 'failed',
  error: { kind, code: kind, message: `the provider answered ${kind}`, ...extra },
});

export interface Bench {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  readonly submit: ReturnType<typeof createSubmit>;
  readonly status: ReturnType<typeof createStatusReader>;
  readonly deadLetters: ReturnType<typeof createDeadLetters>;
  readonly backlog: ReturnType<typeof createBacklogReader>;
  readonly hasher: Awaited<ReturnType<typeof createRecordHasher>>;
  /** Submits one change to provider `crm`; answers with its operation id. */
  send(change: Partial<Change> & { kind: OperationKind; recordId: string }): Promise<string>;
  stateOf(operationId: string): Promise<string | undefined>;
  startWorker(options: WorkerOptions): PlayedWorker;
  stop(): Promise<void>;
}

export interface WorkerOptions {
  readonly id?: string;
  readonly answer: Answering;
  readonly config?: ProviderConfig;
  readonly configs?: readonly ProviderConfig[];
  readonly maxBatch?: number;
  readonly window?: number;
  readonly leaseTtlMs?: number;
  /** In place of the adapter that `answer` plays. */
  readonly createAdapter?: (config: ProviderConfig) => ProviderAdapter | undefined;
  /** Stands between the engine and Redis: answers get lost here. */
  readonly wrap?: {
    readonly reader?: (reader: QueueReader) => QueueReader;
    readonly settle?: (settle: Settle) => Settle;
    readonly gate?: (gate: Gate) => Gate;
  };
  readonly onFinal?: Telemetry['final'];
  readonly onPaused?: Telemetry['paused'];
}

export interface PlayedWorker {
  readonly id: string;
  readonly engine: Engine;
  readonly fleet: Fleet;
  readonly faults: unknown[];
  /** Registers, changes or deletes a provider, or what a tenant has of its own there, as this worker sees it. */
  configure(account: string, config: ProviderConfig | undefined): void;
  /** Its clock jumps, as after a freeze. */
  skip(ms: number): void;
  /** Ends it as a crash does: nothing is released, nothing settled. */
  crash(): void;
  /** As if the time had passed after which a dead worker is missed: its leases, its heartbeat and its slots have ended. */
  expire(): Promise<void>;
  stop(): Promise<void>;
}

export interface BenchOptions {
  readonly shards?: number;
  readonly maxBacklog?: number;
  readonly statusTtlMs?: number;
}

export async function startBench(url: string, prefix: string, options: BenchOptions = {}): Promise<Bench> {
  const { shards = 4, maxBacklog = 1_000_000, statusTtlMs = 3_600_000 } = options;
  const redis = connectRedis(url, { name: 'test' });
  const keys = createKeys(prefix);
  const hasher = await createRecordHasher();
  const backlog = createBacklogReader({ redis, keys, shards });
  const guard = createBacklogGuard({ maxBacklog, maxDeadLetters: 100_000, readCounts: backlog.readCounts, now: () => performance.now() });
  const door = { redisNow: Date.now, acceptWithinMs: 5_000, onPartFailed: () => {} };
  const submit = createSubmit({ redis, keys, shards, hasher, guard, idempotencyTtlMs: 60_000, ...door });
  const status = createStatusReader({ redis, keys, shards });
  const running = new Set<PlayedWorker>();
  let workers = 0;
  return {
    redis,
    keys,
    shards,
    submit,
    status,
    hasher,
    backlog,
    deadLetters: createDeadLetters({ redis, keys, shards, countFinal: () => {} }),
    async send(change) {
      const whole: Change = {
        provider: 'crm',
        tenant: 'default',
        entity: 'contact',
        timestampMs: Date.now(),
        source: 'api',
        dataJson: undefined,
        ...change,
      };
      const [submitted] = await submit([{ change: whole }]);
      if (submitted?.status !== 'queued') throw new Error(`not queued: ${JSON.stringify(submitted)}`);
      return submitted.operationId;
    },
    async stateOf(operationId) {
      const place = parseOperationId(operationId);
      return place && (await status.read(place))?.status;
    },
    startWorker(workerOptions) {
      workers += 1;
      const worker = startWorker({ url, redis, keys, shards, hasher, statusTtlMs }, { id: `w${workers}`, ...workerOptions });
      running.add(worker);
      return worker;
    },
    async stop() {
      for (const worker of running) await worker.stop();
      await disconnectRedis(redis);
    },
  };
}

/** Ends a worker as a crash does, and lets the time pass after which it is missed. */
export async function crash(worker: PlayedWorker): Promise<void> {
  worker.crash();
  await worker.expire();
}

type WorkerDeps = Pick<Bench, 'redis' | 'keys' | 'shards' | 'hasher'> & { url: string; statusTtlMs: number };

function startWorker({ url, redis, keys, shards, hasher, statusTtlMs }: WorkerDeps, options: WorkerOptions & { id: string }): PlayedWorker {
  const { id, answer, maxBatch = 1, window = 512, leaseTtlMs = 10_000 } = options;
  const configs = new Map((options.configs ?? [options.config ?? providerConfig()]).map((config) => [config.account, config]));
  const faults: unknown[] = [];
  const subscriber = connectRedis(url, { name: 'test-subscriber' });
  const { wrap = {} } = options;
  const plainReader = createQueueReader({ redis, keys, workerId: id });
  const reader = wrap.reader?.(plainReader) ?? plainReader;
  const settle = createSettle({ redis, keys, workerId: id, statusTtlMs });
  const gate = createGate({ redis, keys, workerId: id, holdTtlMs: leaseTtlMs });
  let skippedMs = 0;
  const now = () => performance.now() + skippedMs;
  let hasCrashed = false;
  const play: Answering = (calls) => (hasCrashed ? new Promise<never>(() => {}) : answer(calls));
  const engine = new Engine({
    reader,
    settle: wrap.settle?.(settle) ?? settle,
    // The dead say no farewell.
    gate: {
      acquire: (wrap.gate?.(gate) ?? gate).acquire,
      leave: async (account) => (hasCrashed ? undefined : gate.leave(account)),
      lift: gate.lift,
    },
    telemetry: { ...silentTelemetry(faults), final: options.onFinal ?? (() => {}), paused: options.onPaused ?? (() => {}) },
    findProvider: (name, tenant = 'default') => configs.get(`${name}:${tenant}`) ?? configs.get(name),
    accountOf: (name, tenant) => (configs.has(`${name}:${tenant}`) ? `${name}:${tenant}` : name),
    createAdapter: options.createAdapter ?? (() => playedAdapter(play, maxBatch)),
    canKeepAdapter: () => true,
    limits: { shards, window, windowBytes: 64 * 1024 * 1024, historyEntries: 1_000, historyBytes: 1024 * 1024, leaseTtlMs },
    now,
    redisNow: Date.now,
    learnRedisNow: () => {},
    random: Math.random,
  });
  const fleet = new Fleet({
    leases: createLeases({ redis, keys, shards }),
    reader,
    holder: engine,
    workerId: id,
    shards,
    leaseTtlMs,
    info: {},
    hash: (text) => hasher.shardOfText(text, 2 ** 32),
    now,
    listen: async (shard) => void (await subscriber.subscribe(keys.bell(shard))),
    unlisten: async (shard) => void (await subscriber.unsubscribe(keys.bell(shard))),
    onChange: () => {},
  });
  const bells = new Map(Array.from({ length: shards }, (_, shard) => [keys.bell(shard), shard]));
  let loop: Loop | undefined;
  subscriber.on('message', (channel: string, message: string) => {
    if (hasCrashed) return;
    if (channel === keys.gateChanged) engine.gateChanged(message);
    else if (channel === keys.gateShares) engine.sharesChanged(message);
    else if (channel === keys.fleetChanged) loop?.wake();
    else for (const queue of queuesRung(message)) engine.ring(bells.get(channel) as number, queue);
  });
  void subscriber.subscribe(keys.gateChanged, keys.gateShares, keys.fleetChanged).then(() => {
    if (hasCrashed) return;
    loop = startLoop({ tick: () => fleet.tick(), onError: (error) => void faults.push(error), retryMs: 100 });
  });
  const end = () => {
    hasCrashed = true;
    clearInterval(expiry);
    void loop?.stop();
    for (let shard = 0; shard < shards; shard++) engine.dropShard(shard);
    void engine.close();
    subscriber.disconnect();
  };
  const expiry = setInterval(() => {
    const expired = engine.dropExpired(leaseTtlMs * 0.1);
    fleet.forget(expired);
    if (expired.length > 0) loop?.wake();
  }, leaseTtlMs / 20);
  return {
    id,
    engine,
    fleet,
    faults,
    configure(account, config) {
      if (config) configs.set(account, config);
      else configs.delete(account);
      engine.providerChanged(parseQueueName(account).provider);
    },
    skip(ms) {
      skippedMs += ms;
    },
    crash: end,
    async expire() {
      await redis.zrem(keys.fleet, id);
      for (const name of configs.keys()) await redis.hdel(keys.gate(name), `h:${id}`);
      for (let shard = 0; shard < shards; shard++) {
        if ((await redis.hget(keys.lease(shard), 'owner')) === id) await redis.hset(keys.lease(shard), 'until', 0);
      }
    },
    async stop() {
      if (hasCrashed) return;
      const deadline = now() + 5_000;
      while (!(await fleet.leave()) && now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
      clearInterval(expiry);
      await loop?.stop();
      await engine.close();
      hasCrashed = true;
      await disconnectRedis(subscriber);
    },
  };
}

/** Keeps faults and nothing else. */
export function silentTelemetry(faults: unknown[]): Telemetry {
  return {
    final: () => {},
    called: () => {},
    retried: () => {},
    granted: () => {},
    paused: () => {},
    failing: () => {},
    recovered: () => {},
    claimed: () => {},
    settled: () => {},
    fault: (_kind, error) => void faults.push(error),
  };
}
