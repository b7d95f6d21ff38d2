/** The engine's events as metrics and log lines. Children are made once for each provider, not once for each event. */
import type { Logger } from 'pino';
import { formatOperationId } from '../shared/domain/operation.ts';
import type { FinalSettlement } from '../shared/queue/settle.ts';
import type { BoundCounter, Metrics } from '../shared/telemetry/metrics.ts';
import type { Telemetry } from './engine/engine-deps.ts';

/** So often at most the same kind of fault is written to the log, milliseconds: an outage is one line a second, not one a call. */
const faultLogMs = 1_000;

export function createTelemetry({ metrics, log, now }: { metrics: Metrics; log: Logger; now: () => number }): Telemetry {
  const counters = new Map<string, BoundCounter>();
  const bound = (counter: Parameters<Metrics['boundCounter']>[0], labels: Record<string, string>) => {
    const name = `${(counter as unknown as { name: string }).name} ${Object.values(labels).join(' ')}`;
    let child = counters.get(name);
    if (!child) {
      child = metrics.boundCounter(counter, labels);
      counters.set(name, child);
    }
    return child;
  };
  const observers = new Map<string, { observe(value: number): void }>();
  const observer = (histogram: Metrics['operationSeconds'], labels: Record<string, string>) => {
    const name = `${histogram.name} ${Object.values(labels).join(' ')}`;
    let child = observers.get(name);
    if (!child) {
      child = histogram.child(labels);
      observers.set(name, child);
    }
    return child;
  };
  const claimSize = metrics.claimSize.child({});
  const settleSize = metrics.settleSize.child({});
  const faultsLogged = new Map<string, number>();
  const { providerLabel } = metrics;

  return {
    final(queue, settlement) {
      const { outcome } = settlement;
      const provider = providerLabel(queue.provider);
      bound(metrics.operations, { provider, operation: outcome.kind, outcome: outcome.status }).add();
      observer(metrics.operationSeconds, { provider }).observe((outcome.completedAtMs - outcome.acceptedAtMs) / 1_000);
      if (outcome.status === 'dead_lettered') log.warn({ ...describe(queue, settlement), error: outcome.error }, 'operation given up');
      else if (log.isLevelEnabled('debug')) log.debug({ ...describe(queue, settlement), status: outcome.status }, 'operation final');
    },
    called(provider, outcome, seconds) {
      observer(metrics.providerSeconds, { provider: providerLabel(provider), outcome }).observe(seconds);
    },
    retried: (provider, kind) => bound(metrics.retries, { provider: providerLabel(provider), kind }).add(),
    granted(provider, grant, asked) {
      if (asked === 0) return;
      const label = providerLabel(provider);
      const waited = grant.startsMs.filter((ms) => ms > 0).length;
      if (grant.startsMs.length > waited) bound(metrics.permits, { provider: label, result: 'granted' }).add(grant.startsMs.length - waited);
      if (waited > 0) bound(metrics.permits, { provider: label, result: 'waited' }).add(waited);
      if (asked > grant.startsMs.length) bound(metrics.permits, { provider: label, result: 'refused' }).add(asked - grant.startsMs.length);
    },
    paused(provider, reason) {
      bound(metrics.pauses, { provider: providerLabel(provider), reason }).add();
      log.warn({ provider, reason }, 'provider pauses');
    },
    claimed: (entries) => claimSize.observe(entries),
    settled: (operations) => settleSize.observe(operations),
    fault(kind, error, context) {
      bound(metrics.faults, { kind }).add();
      const last = faultsLogged.get(kind) ?? Number.NEGATIVE_INFINITY;
      if (now() - last < faultLogMs) return;
      faultsLogged.set(kind, now());
      log.error({ err: error, ...context }, kind === 'redis' ? 'Redis fails; nothing is charged to any operation' : 'a fault of our own');
    },
  };
}

function describe(queue: { name: string; shard: { shard: number }; provider: string; tenant: string }, { entry, outcome }: FinalSettlement) {
  const { shard } = queue.shard;
  const operationId = formatOperationId({ shard, queue: queue.name, ms: entry.ms, rank: entry.rank });
  return { operation_id: operationId, provider: queue.provider, tenant: queue.tenant, shard, entity: outcome.entity, record_id: outcome.recordId };
}
