/** The engine's events as metrics and log lines. Children are made once for each provider, not once for each event. */
import type { Logger } from 'pino';
import { parseQueueName } from '../shared/domain/operation.ts';
import type { FinalSettlement } from '../shared/queue/settle.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import type { Telemetry } from './engine/engine-deps.ts';
import type { QueueState } from './engine/shard-state.ts';

/** So often at most the same kind of fault is written to the log, milliseconds: an outage is one line a second, not one a call. */
const faultLogMs = 1_000;

export interface WorkerTelemetry extends Telemetry {
  /** Leases ended before they were given up: others take the shards. */
  lost(shard: number): void;
  /** Asked regularly, Redis has answered. */
  redisAnswered(): void;
}

export function createTelemetry({ metrics, log, now }: { metrics: Metrics; log: Logger; now: () => number }): WorkerTelemetry {
  const { providerLabel } = metrics;
  const children = new Map<string, ProviderChildren>();
  const of = (provider: string) => {
    let found = children.get(provider);
    if (!found) {
      found = createChildren(metrics, providerLabel(provider));
      children.set(provider, found);
    }
    return found;
  };
  const claimSize = metrics.claimSize.child({});
  const settleSize = metrics.settleSize.child({});
  const faultsLogged = new Map<string, number>();
  let hasRedisFailed = false;
  const lostShards: number[] = [];

  return {
    final(queue, settlement) {
      const { outcome } = settlement;
      const provider = of(queue.provider);
      provider.operations(outcome.kind, outcome.status).add();
      provider.operationSeconds.observe((outcome.completedAtMs - outcome.acceptedAtMs) / 1_000);
      if (outcome.status === 'dead_lettered')
        log.warn({ ...describe(queue, settlement), ...describeError(outcome.error) }, 'operation given up');
      else if (log.isLevelEnabled('debug')) log.debug({ ...describe(queue, settlement), status: outcome.status }, 'operation final');
    },
    called(provider, outcome, seconds) {
      of(provider).providerSeconds(outcome).observe(seconds);
    },
    retried: (provider, kind) => of(provider).retries(kind).add(),
    granted(provider, grant, asked) {
      if (asked === 0) return;
      const { permits } = of(provider);
      const waited = grant.startsMs.length > 0 && (grant.startsMs.at(-1) as number) > 0 ? grant.startsMs.filter((ms) => ms > 0).length : 0;
      permits('granted').add(grant.startsMs.length - waited);
      permits('waited').add(waited);
      permits('refused').add(asked - grant.startsMs.length);
    },
    paused(account, { reason, cause, untilMs }) {
      const whose = describeAccount(account);
      of(whose.provider).pauses(reason).add();
      log.warn({ ...whose, reason, cause, until: new Date(untilMs).toISOString() }, 'provider pauses');
    },
    failing(account, error, failures) {
      log.warn(
        { ...describeAccount(account), code: error.code, reason: error.message, provider_status: error.providerStatus, failures },
        'calls to a provider fail, and are repeated',
      );
    },
    recovered: (account) => log.info(describeAccount(account), 'calls to a provider are answered again'),
    claimed: (entries) => claimSize.observe(entries),
    settled: (operations) => settleSize.observe(operations),
    fault(kind, error, context) {
      metrics.faults.inc({ kind });
      hasRedisFailed ||= kind === 'redis';
      const last = faultsLogged.get(kind) ?? Number.NEGATIVE_INFINITY;
      if (now() - last < faultLogMs) return;
      faultsLogged.set(kind, now());
      log.error({ err: error, ...context }, kind === 'redis' ? 'Redis fails; nothing is charged to any operation' : 'a fault of our own');
    },
    lost(shard) {
      lostShards.push(shard);
      // Those that are lost together are one line.
      if (lostShards.length === 1)
        setImmediate(() => log.warn({ shards: lostShards.splice(0) }, 'leases are lost: calls of these shards end'));
    },
    redisAnswered() {
      if (!hasRedisFailed) return;
      hasRedisFailed = false;
      log.info('Redis answers again');
    },
  };
}

type ProviderChildren = ReturnType<typeof createChildren>;

function createChildren(metrics: Metrics, provider: string) {
  const counter = (make: (value: string) => Record<string, string>, metric: Parameters<Metrics['boundCounter']>[0]) =>
    remembered((value: string) => metrics.boundCounter(metric, { provider, ...make(value) }));
  const operationsOf = remembered((operation: string) =>
    remembered((outcome: string) => metrics.boundCounter(metrics.operations, { provider, operation, outcome })),
  );
  return {
    operations: (operation: string, outcome: string) => operationsOf(operation)(outcome),
    operationSeconds: metrics.operationSeconds.child({ provider }),
    providerSeconds: remembered((outcome: string) => metrics.providerSeconds.child({ provider, outcome })),
    retries: counter((kind) => ({ kind }), metrics.retries),
    permits: counter((result) => ({ result }), metrics.permits),
    pauses: counter((reason) => ({ reason }), metrics.pauses),
  };
}

/** Makes a value for a name once. The names are from closed lists. */
function remembered<T>(make: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    let value = known.get(name);
    if (value === undefined) {
      value = make(name);
      known.set(name, value);
    }
    return value;
  };
}

function describe(queue: QueueState, { entry, outcome }: FinalSettlement) {
  return {
    operation_id: queue.operationIdOf(entry),
    provider: queue.provider,
    tenant: queue.tenant,
    shard: queue.shard.shard,
    entity: outcome.entity,
    record_id: outcome.recordId,
  };
}

/** `tenant` where it is an account of a tenant's own. */
function describeAccount(account: string): { provider: string; tenant: string | undefined } {
  const { provider, tenant } = parseQueueName(account);
  return { provider, tenant: account === provider ? undefined : tenant };
}

/** Under names of its own: the logger takes what is called an error for a JavaScript error. */
function describeError(error: FinalSettlement['outcome']['error']) {
  return error && { code: error.code, reason: error.message, retryable: error.retryable, provider_status: error.providerStatus };
}
