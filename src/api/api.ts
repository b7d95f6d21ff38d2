/**
 * One API process put together: connections, what it reads and writes through them, routes and server. `main.ts` gives it settings; tests
 * start it in their own process. It keeps nothing that another API process would miss, so any number may run.
 */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { uuidv7 } from 'uuidv7';
import type { Settings } from '../shared/config/settings.ts';
import type { CountFinal } from '../shared/domain/operation.ts';
import { ProblemError } from '../shared/domain/problem.ts';
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
import { createRecordHasher, type RecordHasher } from '../shared/queue/record-key.ts';
import { createStatusReader } from '../shared/queue/status.ts';
import { createSubmit } from '../shared/queue/submit.ts';
import { createFinalWaiter } from '../shared/queue/wait.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../shared/redis/connection.ts';
import { createKeys, type Keys } from '../shared/redis/keys.ts';
import { checkShards } from '../shared/redis/shard-count.ts';
import { createFirstUses } from '../shared/routes/first-use.ts';
import { createRouteDirectory, type RouteDirectory } from '../shared/routes/follow.ts';
import { createRemembered } from '../shared/routes/remembered.ts';
import { createRuleCompiler } from '../shared/routes/rule.ts';
import { createRouteStore } from '../shared/routes/store.ts';
import type { Logger } from '../shared/telemetry/logger.ts';
import { countCommands, createMetrics, type Metrics } from '../shared/telemetry/metrics.ts';
import { type ApiKey, createAuthenticate } from './api-keys.ts';
import { createApp, createCountRequest } from './app.ts';
import { createAutoRouting, type RouteOperations } from './auto-routing.ts';
import { createDoor } from './door.ts';
import { createJudgeFault, type JudgeFault } from './fault.ts';
import { createRefreshGauges } from './fleet-gauges.ts';
import { createIngest, type Ingest, type IngestDeps, type KnownProviders } from './ingest.ts';
import { createListener } from './listener.ts';
import { type Loop, startLoop } from './loop.ts';
import { createTellNextAttempt } from './next-attempt.ts';
import { createStartBody, maxArrayBodyBytes } from './read-json.ts';
import { createRedisClock, type RedisClock } from './redis-clock.ts';
import { sayOutage } from './redis-outage.ts';
import { createRequestIds } from './request-id.ts';
import { createRequestLimit } from './request-limit.ts';
import { listen } from './server.ts';
import { useOwnWords } from './validation-words.ts';

/** Shorter than what callers wait for: an outage shows as 503, not as a time-out of theirs. */
const commandTimeoutMs = 3_000;
/** So much earlier that the answer to what is still accepted comes in time. */
const acceptWithinMs = commandTimeoutMs - 1_000;
const clockCheckMs = 5_000;
/** Of providers and routes: announcements that were lost are made up for. */
const changesCheckMs = 1_000;
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

/** Rejects with `ShardCountMismatch` or `CannotListen`. */
export async function startApi(settings: Settings, apiKeys: readonly ApiKey[], logger: Logger): Promise<Api> {
  useOwnWords();
  const processId = randomBytes(4).toString('hex');
  const keys = createKeys(settings.keyPrefix ?? '');
  const redis = connectRedis(settings.redisUrl, { name: 'api', commandTimeoutMs });
  const subscriber = connectRedis(settings.redisUrl, { name: 'api-subscriber', commandTimeoutMs });
  const metrics = createMetrics();
  countCommands(redis, metrics.boundCounter(metrics.redisCommands, {}));
  const clock = createRedisClock({ time: () => redis.time(), now: Date.now });
  const stopping = new AbortController();
  let isStarted = false;
  const now = () => performance.now();
  const judgeFault = createJudgeFault({ logger, metrics, now });

  const base = { settings, keys, redis, subscriber, metrics, clock, processId, logger, judgeFault };
  const providers = createProviders(base);
  const { directory } = providers;
  const whyNotReady = async () => {
    if (stopping.signal.aborted) return 'the process is shutting down';
    return isStarted ? whyNoRedis(redis) : 'Redis has not been reached yet';
  };
  const queue = await createQueue(base);
  const known = knownProviders(directory);
  const routes = createRoutes(base, queue);
  const route = createAutoRouting({ ...routes, ...queue, routes: routes.directory, providers: known });
  const ingestion = ingestDeps(base, queue, known, route);
  const ingest = refuseUnless(() => isStarted, createIngest(ingestion));
  const shared = {
    admit: createDoor({
      authenticate: createAuthenticate(apiKeys),
      takeRequest: createRequestLimit({ redis, keyPrefix: keys.requestLimit, requestsPerSecond: settings.requestsPerSecond }),
    }),
    judgeFault,
    startBody: createStartBody({ maxArrayBytes: maxArrayBodyBytes, maxHeldBytes: maxHeldBodyBytes }),
    requestId: createRequestIds(processId),
    countRequest: createCountRequest(metrics),
    now,
  };
  const { peekGate, clearGate, liftPause, closedUntil } = createGateAccess(base);
  const tellNextAttempt = createTellNextAttempt({ closedUntil, directory, nowMs: clock.nowMs });
  const { backlog, leases } = queue;
  const app = createApp({
    ...shared,
    sync: { ...queue, ingest, tellNextAttempt, startBody: shared.startBody, stopping: stopping.signal, shards: settings.shards },
    providers: { ...providers, ...queue, peekGate, clearGate, liftPause, closedUntil, countPause: createCountPause(metrics) },
    routes: { ...routes, ...ingestion },
    dlq: { ...queue, providers: known, shards: settings.shards },
    operating: {
      leases,
      metrics,
      refreshGauges: createRefreshGauges({ metrics, backlog, directory, closedUntil, now, redisNowMs: clock.nowMs }),
      whyNotReady,
      nowMs: clock.nowMs,
    },
  });

  const tellReach = createTellReach(logger);
  const loops: Loop[] = [];
  const started = start(base, [directory, routes.directory]).then(() => {
    isStarted = true;
    if (!stopping.signal.aborted)
      loops.push(
        startLoop(() => clock.tick(), clockCheckMs),
        startLoop(async () => tellReach(await directory.tick()), changesCheckMs),
        startLoop(() => routes.directory.tick(), changesCheckMs),
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
      if (isStarted) await Promise.all([directory.stop(), routes.directory.stop()]);
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
  readonly logger: Logger;
  readonly judgeFault: JudgeFault;
}

function createProviders({ settings, keys, redis, subscriber, logger }: Base) {
  const kinds = createProviderKinds();
  const sealer = createSealer(settings.encryptionKey);
  const network = { allowPrivateNetworks: settings.allowPrivateNetworks };
  const store = createProviderStore({ redis, keys, sealer, kinds, network, now: Date.now });
  return { kinds, store, directory: createProviderDirectory({ store, subscriber, keys, log: logger }) };
}

async function createQueue({ settings, keys, redis, subscriber, clock, processId, metrics, judgeFault }: Base) {
  const { shards, maxBacklog, maxDeadLetters, idempotencyTtlMs, statusTtlMs } = settings;
  const place = { redis, keys, shards };
  const backlog = createBacklogReader(place);
  const countFinal: CountFinal = (provider, operation, outcome) =>
    metrics.operations.inc({ provider: metrics.providerLabel(provider), operation, outcome });
  const hasher = await createRecordHasher();
  const guard = createBacklogGuard({ maxBacklog, maxDeadLetters, readCounts: backlog.readCounts, now: () => performance.now() });
  const onPartFailed = (error: unknown) => void judgeFault(error, { route: '/sync' });
  return {
    backlog,
    guard,
    hasher,
    submit: createSubmit({ ...place, hasher, guard, idempotencyTtlMs, redisNow: clock.nowMs, acceptWithinMs, onPartFailed }),
    statusReader: createStatusReader(place),
    waiter: createFinalWaiter({ redis, subscriber, keys }),
    deadLetters: createDeadLetters({ ...place, countFinal }),
    leases: createLeases(place),
    purge: createPurge({ ...place, statusTtlMs, processId: `api-${processId}`, now: clock.nowMs, countFinal }),
  };
}

function createRoutes({ settings, keys, redis, subscriber }: Base, { hasher }: { hasher: RecordHasher }) {
  const { shards, idempotencyTtlMs } = settings;
  const store = createRouteStore({ redis, keys, compileRule: createRuleCompiler(), now: Date.now });
  return {
    store,
    directory: createRouteDirectory({ store, subscriber, keys }),
    remembered: createRemembered({ redis, keys, shards, hasher }),
    firstUses: createFirstUses({ redis, keys, shards, hasher, idempotencyTtlMs }),
  };
}

/** The API looks at gates and forgets them; it never takes permits. */
function createGateAccess({ redis, keys, processId, settings }: Base) {
  const gate: Gate = createGate({ redis, keys, workerId: `api-${processId}`, holdTtlMs: settings.leaseTtlMs });
  return {
    peekGate: (account: string, limits: Parameters<Gate['peek']>[1]['limits']) => gate.peek(account, { limits }),
    clearGate: (account: string) => gate.clear(account),
    liftPause: (account: string) => gate.lift(account),
    closedUntil: gate.closedUntil,
  };
}

function ingestDeps(
  { settings, metrics, clock }: Base,
  { submit }: Pick<IngestDeps, 'submit'>,
  providers: KnownProviders,
  route: RouteOperations,
): IngestDeps {
  return {
    submit,
    providers,
    route,
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

function createCountPause({ pauses, providerLabel }: Metrics) {
  return (provider: string) => pauses.inc({ provider: providerLabel(provider), reason: 'operator' });
}

function refuseUnless(isStarted: () => boolean, ingest: Ingest): Ingest {
  return async (request) => {
    if (!isStarted()) throw new ProblemError('unavailable');
    return ingest(request);
  };
}

type Followed = Pick<ProviderDirectory | RouteDirectory, 'tick'>;

/** First contact: the number of shards, the clock, the providers and routes. Waits for Redis as long as it takes. */
async function start({ redis, keys, settings, clock, logger }: Base, followed: readonly Followed[]): Promise<void> {
  let isTold = false;
  const onWaiting = (error: unknown) => {
    if (!isTold) logger.warn({ err: error }, `${sayOutage(error)}: the start waits, requests get 503`);
    isTold = true;
  };
  await checkShards({ redis, keys, shards: settings.shards, onWaiting });
  await clock.tick();
  // The first tick subscribes and reads everything.
  for (const each of followed) while ((await each.tick()) === 'unreachable') await patience(startPatienceMs / 4);
  if (isTold) logger.info('Redis answers: the start goes on');
}

/** Says that Redis is away, and that it is back, once each. */
function createTellReach(logger: Logger): (found: Awaited<ReturnType<Followed['tick']>>) => void {
  let isAway = false;
  return (found) => {
    if ((found === 'unreachable') === isAway) return;
    isAway = !isAway;
    if (isAway) logger.warn('Redis does not answer: requests get 503');
    else logger.info('Redis answers again');
  };
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
