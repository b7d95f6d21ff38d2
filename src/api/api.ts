/**
 * One API process put together: connections, what it reads and writes through them, routes and server. `main.ts` gives it settings; tests
 * start it in their own process. It keeps nothing that another API process would miss, so any number may run.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { uuidv7 } from 'uuidv7';
import type { Settings } from '../shared/config/settings.ts';
import { createGate, type Gate } from '../shared/gate/gate.ts';
import { createProviderDirectory, type ProviderDirectory } from '../shared/providers/follow.ts';
import { createProviderKinds } from '../shared/providers/kinds.ts';
import { createSealer } from '../shared/providers/seal.ts';
import { createProviderStore } from '../shared/providers/store.ts';
import { createBacklogReader } from '../shared/queue/backlog.ts';
import { createBacklogGuard } from '../shared/queue/backlog-guard.ts';
import { createDeadLetters } from '../shared/queue/dead-letters.ts';
import { createLeases } from '../shared/queue/leases.ts';
import { createPurge } from '../shared/queue/purge.ts';
import { createRecordHasher } from '../shared/queue/record-key.ts';
import { createStatusReader } from '../shared/queue/status.ts';
import { createSubmit } from '../shared/queue/submit.ts';
import { createFinalWaiter } from '../shared/queue/wait.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../shared/redis/connection.ts';
import { createKeys, type Keys } from '../shared/redis/keys.ts';
import { checkShards } from '../shared/redis/shard-count.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { countCommands, createMetrics, type Metrics } from '../shared/telemetry/metrics.ts';
import { type ApiKey, createAuthenticate } from './api-keys.ts';
import { createApp, createCountRequest } from './app.ts';
import { createDoor } from './door.ts';
import { createJudgeFault } from './fault.ts';
import { createRefreshGauges } from './fleet-gauges.ts';
import { createIngest, type Ingest, type IngestDeps, type KnownProviders } from './ingest.ts';
import { createListener } from './listener.ts';
import { type Loop, startLoop } from './loop.ts';
import { ProblemError } from './problem.ts';
import { createStartBody } from './read-json.ts';
import { createRedisClock, type RedisClock } from './redis-clock.ts';
import { createRequestIds } from './request-id.ts';
import { createRequestLimit } from './request-limit.ts';
import { listen } from './server.ts';

/** Shorter than what callers wait for: an outage shows as 503, not as a time-out of theirs. */
const commandTimeoutMs = 3_000;
const clockCheckMs = 5_000;
const providersCheckMs = 1_000;
const pingTimeoutMs = 1_000;
/** How long the start waits for Redis before it listens all the same; it answers 503 then. */
const startPatienceMs = 2_000;
/** Of bodies under way, all together: parsed, they take several times as much. */
const maxHeldBodyBytes = 134_217_728;

export interface Api {
  readonly port: number;
  /** Settles when the first contact with Redis is made. Rejects with `ShardCountMismatch`. */
  readonly started: Promise<void>;
  /** Lets requests under way finish, then ends the connections. */
  stop(): Promise<void>;
}

/** Rejects with `ShardCountMismatch`, or where the address cannot be listened on. */
export async function startApi(settings: Settings, apiKeys: readonly ApiKey[], logger: Logger): Promise<Api> {
  const processId = randomBytes(4).toString('hex');
  const keys = createKeys(settings.keyPrefix ?? '');
  const redis = connectRedis(settings.redisUrl, { name: 'api', commandTimeoutMs });
  const subscriber = connectRedis(settings.redisUrl, { name: 'api-subscriber', commandTimeoutMs });
  const metrics = createMetrics();
  countCommands(redis, metrics.boundCounter(metrics.redisCommands, {}));
  const clock = createRedisClock({ time: () => redis.time(), now: Date.now });
  const stopping = new AbortController();
  let isStarted = false;

  const base = { settings, keys, redis, subscriber, metrics, clock, processId };
  const providers = createProviders(base);
  const { directory } = providers;
  const whyNotReady = async () => {
    if (stopping.signal.aborted) return 'the process is shutting down';
    return isStarted ? whyNoRedis(redis) : 'Redis has not been reached yet';
  };
  const queue = await createQueue(base);
  const ingest = refuseUnless(() => isStarted, createIngest(ingestDeps(base, queue, directory)));
  const now = () => performance.now();
  const shared = {
    admit: createDoor({
      authenticate: createAuthenticate(apiKeys),
      takeRequest: createRequestLimit({ redis, keyPrefix: keys.requestLimit, requestsPerSecond: settings.requestsPerSecond }),
    }),
    judgeFault: createJudgeFault({ logger, metrics, now }),
    startBody: createStartBody(maxHeldBodyBytes),
    requestId: createRequestIds(processId),
    countRequest: createCountRequest(metrics),
    now,
  };
  const { peekGate, clearGate } = createGateAccess(base);
  const { backlog, leases } = queue;
  const app = createApp({
    ...shared,
    sync: { ...queue, ingest, startBody: shared.startBody, stopping: stopping.signal, shards: settings.shards },
    providers: { ...providers, ...queue, peekGate, clearGate },
    dlq: { ...queue, shards: settings.shards },
    operating: {
      leases,
      metrics,
      refreshGauges: createRefreshGauges({ metrics, backlog, providers: directory.all, peekGate, now, redisNowMs: clock.nowMs }),
      whyNotReady,
      nowMs: clock.nowMs,
    },
  });

  const loops: Loop[] = [];
  const started = start(base, directory, logger).then(() => {
    isStarted = true;
    if (!stopping.signal.aborted)
      loops.push(
        startLoop(() => clock.tick(), clockCheckMs),
        startLoop(() => directory.tick(), providersCheckMs),
      );
  });
  started.catch(() => {});
  await Promise.race([started, patience(startPatienceMs)]);
  const server = await listen(createListener({ ...shared, fetch: app.fetch as never, ingest }), settings);

  return {
    port: server.port,
    started,
    async stop() {
      stopping.abort();
      await server.close(settings.drainMs);
      for (const loop of loops) loop.stop();
      if (isStarted) await directory.stop();
      metrics.close();
      await Promise.all([disconnectRedis(redis), disconnectRedis(subscriber)]);
    },
  };
}

interface Base {
  readonly settings: Settings;
  readonly keys: Keys;
  readonly redis: RedisClient;
  readonly subscriber: RedisClient;
  readonly metrics: Metrics;
  readonly clock: RedisClock;
  readonly processId: string;
}

function createProviders({ settings, keys, redis, subscriber }: Base) {
  const kinds = createProviderKinds();
  const sealer = createSealer(settings.encryptionKey);
  const network = { allowPrivateNetworks: settings.allowPrivateNetworks };
  const store = createProviderStore({ redis, keys, sealer, kinds, network, now: Date.now });
  return { kinds, store, directory: createProviderDirectory({ store, subscriber, keys }) };
}

async function createQueue({ settings, keys, redis, subscriber, clock, processId }: Base) {
  const { shards, maxBacklog, maxDeadLetters, idempotencyTtlMs, statusTtlMs } = settings;
  const place = { redis, keys, shards };
  const backlog = createBacklogReader(place);
  const guard = createBacklogGuard({ maxBacklog, maxDeadLetters, readCounts: backlog.readCounts, now: () => performance.now() });
  return {
    backlog,
    submit: createSubmit({ ...place, hasher: await createRecordHasher(), guard, idempotencyTtlMs }),
    statusReader: createStatusReader(place),
    waiter: createFinalWaiter({ redis, subscriber, keys }),
    deadLetters: createDeadLetters(place),
    leases: createLeases(place),
    purge: createPurge({ ...place, statusTtlMs, processId: `api-${processId}`, now: clock.nowMs }),
  };
}

/** The API looks at gates and forgets them; it never takes permits. */
function createGateAccess({ redis, keys, processId, settings }: Base) {
  const gate: Gate = createGate({ redis, keys, workerId: `api-${processId}`, holdTtlMs: settings.leaseTtlMs });
  return {
    peekGate: (account: string, limits: Parameters<Gate['peek']>[1]['limits']) => gate.peek(account, { limits }),
    clearGate: (account: string) => gate.clear(account),
  };
}

function ingestDeps({ settings, metrics, clock }: Base, queue: Pick<IngestDeps, 'submit'>, directory: ProviderDirectory): IngestDeps {
  return {
    submit: queue.submit,
    providers: knownProviders(directory),
    nowMs: clock.nowMs,
    maxFutureSkewMs: settings.maxFutureSkewMs,
    makeRecordId: uuidv7,
    count: createCountSubmission(metrics),
  };
}

/** Names asked for one by one; with more than this the whole directory is compared instead. */
const maxSingleLookUps = 8;

function knownProviders(directory: ProviderDirectory): KnownProviders {
  return {
    has: directory.has,
    async lookUp(names) {
      if (names.size <= maxSingleLookUps) await Promise.all([...names].map((name) => directory.refresh(name)));
      else if ((await directory.tick()) === 'unreachable') throw new ProblemError('unavailable');
    },
  };
}

function createCountSubmission({ submissions, boundCounter, providerLabel }: Metrics): IngestDeps['count'] {
  const counters = new Map<string, { add(): void }>();
  return (provider, operation = 'unknown', result) => {
    const label = provider === undefined ? 'unknown' : providerLabel(provider);
    const name = `${label} ${operation} ${result}`;
    let counter = counters.get(name);
    if (!counter) {
      counter = boundCounter(submissions, { provider: label, operation, result });
      counters.set(name, counter);
    }
    counter.add();
  };
}

function refuseUnless(isStarted: () => boolean, ingest: Ingest): Ingest {
  return async (request) => {
    if (!isStarted()) throw new ProblemError('unavailable');
    return ingest(request);
  };
}

/** First contact: the number of shards, the providers, the clock. Waits for Redis as long as it takes. */
async function start({ redis, keys, settings, clock }: Base, directory: ProviderDirectory, logger: Logger): Promise<void> {
  let isTold = false;
  const onWaiting = (error: unknown) => {
    if (!isTold) logger.warn({ err: error }, 'Redis cannot be reached yet; requests get 503');
    isTold = true;
  };
  await checkShards({ redis, keys, shards: settings.shards, onWaiting });
  await clock.tick();
  // The first tick subscribes and reads everything.
  while ((await directory.tick()) === 'unreachable') await patience(startPatienceMs / 4);
  if (isTold) logger.info('Redis was reached');
}

async function whyNoRedis(redis: RedisClient): Promise<string | undefined> {
  const isReached = await Promise.race([
    redis.ping().then(
      () => true,
      () => false,
    ),
    patience(pingTimeoutMs).then(() => false),
  ]);
  return isReached ? undefined : 'Redis does not answer';
}

function patience(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
