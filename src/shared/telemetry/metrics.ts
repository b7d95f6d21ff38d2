/**
 * The whole catalogue of metrics, for API and workers alike: each name once, with its meaning and its labels. Label values come from
 * closed lists, except `provider`, which is a registered provider's name and bounded: past the bound it is `other`. So a scrape's size
 * does not depend on what callers send.
 *
 * What a hot path counts goes through `boundCounter(counter, labels).add()` and `histogram.child(labels).observe()`: they add to plain
 * numbers, which are handed over when somebody scrapes, since prom-client hashes the labels on every single call (0.2 to 0.4 µs).
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import { HotHistogram } from './histogram.ts';

/** Seconds. From half a millisecond, the least a call takes, to ten minutes, the life of a retry. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
const sizeBuckets = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];
/** Each look wakes the process: at 20 ms that was half of what an idle fleet costs. */
const lagResolutionMs = 100;
/** Distinct `provider` label values; each costs some twenty series. */
const defaultMaxProviders = 1_000;

export type Metrics = ReturnType<typeof createMetrics>;

export interface BoundCounter {
  add(count?: number): void;
}

/** All metrics on a registry of their own. Starts a timer for the event loop's lag that does not keep the process alive: `close` it. */
export function createMetrics(options: { maxProviders?: number } = {}) {
  const registry = new Registry();
  const catalogue = createCatalogue(registry);
  const stopRuntime = observeRuntime(registry);
  const pending = new Set<() => void>();
  return {
    ...catalogue,
    registry,
    providerLabel: createProviderLabel(options.maxProviders ?? defaultMaxProviders),
    /** A counter's child for a hot path. Make it once for each set of labels, not once for each event. */
    boundCounter: (counter: Counter, labels: Record<string, string>) => bindCounter(counter, labels, pending),
    /** The text of a scrape, with everything counted up to now. */
    async expose(): Promise<string> {
      for (const flush of pending) flush();
      return registry.metrics();
    },
    contentType: registry.contentType,
    close: stopRuntime,
  };
}

function createCatalogue(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) => new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) => new Gauge({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[], buckets = latencyBuckets) =>
    new HotHistogram({ name, help, labelNames, buckets, registry });
  return {
    // The API's
    submissions: counter(
      'sluice_submissions_total',
      'Operations submitted, by provider, operation and result: accepted, or the code of the problem that refused it.',
      ['provider', 'operation', 'result'],
    ),
    httpRequests: counter('sluice_http_requests_total', 'HTTP requests answered, by route, method and status.', [
      'route',
      'method',
      'status',
    ]),
    httpSeconds: histogram('sluice_http_request_seconds', 'From a request’s headers to its answer, by route. Seconds.', ['route']),

    // The worker's
    operationSeconds: histogram('sluice_operation_seconds', 'From acceptance to the final outcome, by provider. Seconds.', ['provider']),
    providerSeconds: histogram(
      'sluice_provider_request_seconds',
      'One call to a provider, by outcome: accepted, unsent, or the kind of its error. Seconds.',
      ['provider', 'outcome'],
    ),
    retries: counter('sluice_retries_total', 'Attempts that failed in a way that may pass, by provider and kind of error.', [
      'provider',
      'kind',
    ]),
    callsInFlight: gauge('sluice_calls_in_flight', 'Calls of this worker that a provider has not answered yet.', ['provider']),
    permits: counter('sluice_permits_total', 'Permits asked of the gate, by result: granted, waited (granted for later), refused.', [
      'provider',
      'result',
    ]),
    pauses: counter('sluice_pauses_total', 'Pauses of a provider, by reason: rate_limited, breaker, auth, operator.', [
      'provider',
      'reason',
    ]),
    shardsOwned: gauge('sluice_shards_owned', 'Shards whose lease this worker holds.'),
    leaseChanges: counter('sluice_lease_changes_total', 'Leases of this worker, by change: taken, released, lost.', ['change']),
    settleSize: histogram('sluice_settle_batch_size', 'Operations settled by one script call.', [], sizeBuckets),
    claimSize: histogram('sluice_claim_batch_size', 'Entries claimed by one script call.', [], sizeBuckets),
    heldEntries: gauge('sluice_held_entries', 'Unfinished entries in this worker’s memory.'),
    heldBytes: gauge('sluice_held_bytes', 'Bytes of unfinished entries in this worker’s memory.'),

    // The fleet's: read from Redis at a scrape of the API
    backlog: gauge('sluice_backlog', 'Operations accepted and not final, by provider, in the whole fleet.', ['provider']),
    pendingEntries: gauge('sluice_pending', 'Operations that workers have taken and not finished, by provider, in the whole fleet.', [
      'provider',
    ]),
    oldestSeconds: gauge('sluice_oldest_seconds', 'Age of the oldest operation that is not final, by provider. Seconds.', ['provider']),
    deadLetters: gauge('sluice_dead_letters', 'Dead letters that wait for a decision, by provider.', ['provider']),
    breakerState: gauge('sluice_breaker_state', 'A provider’s circuit breaker, the worst of its accounts: 0 closed, 1 half-open, 2 open.', [
      'provider',
    ]),
    paused: gauge(
      'sluice_paused',
      '1 while a provider is paused, by an operator or by its own request, or an account of a tenant’s own there.',
      ['provider'],
    ),

    // Both's: the API ends operations when it drops dead letters and when it removes a provider
    operations: counter(
      'sluice_operations_total',
      'Operations that became final, by provider, operation and outcome: succeeded, coalesced, stale, dead_lettered, cancelled. A dead letter that is dropped counts again, as cancelled.',
      ['provider', 'operation', 'outcome'],
    ),
    unreadableProviders: gauge(
      'sluice_unreadable_providers',
      'Configurations, of providers and of tenants this process had to do with, that it cannot read: their operations wait.',
    ),
    redisCommands: counter('sluice_redis_commands_total', 'Commands sent to Redis by this process.'),
    faults: counter('sluice_faults_total', 'Our own faults, by kind: redis (not reachable, full), bug. No operation is charged for them.', [
      'kind',
    ]),
  };
}

/** Names up to the bound stay themselves; later ones are `other`. Call it with registered providers only. */
function createProviderLabel(maxProviders: number): (provider: string) => string {
  const seen = new Set<string>();
  return (provider) => {
    if (seen.has(provider)) return provider;
    if (seen.size >= maxProviders) return 'other';
    seen.add(provider);
    return provider;
  };
}

function bindCounter(counter: Counter, labels: Record<string, string>, pending: Set<() => void>): BoundCounter {
  let count = 0;
  pending.add(() => {
    if (count === 0) return;
    counter.inc(labels, count);
    count = 0;
  });
  return {
    add(added = 1) {
      count += added;
    },
  };
}

/** Memory, CPU and the event loop, read at a scrape. prom-client's default metrics watch every garbage collection, which costs more. */
function observeRuntime(registry: Registry): () => void {
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: lagResolutionMs });
  delay.enable();
  new Gauge({
    name: 'sluice_event_loop_lag_seconds',
    help: 'How late the event loop ran its timers since the last scrape, by quantile: 0.5, 0.99, 1. Seconds.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const quantile of [0.5, 0.99, 1]) {
        const lagMs = delay.percentile(quantile * 100) / 1e6 - lagResolutionMs;
        this.set({ quantile: String(quantile) }, Math.max(0, lagMs) / 1_000);
      }
      delay.reset();
    },
  });
  let last = performance.eventLoopUtilization();
  new Gauge({
    name: 'sluice_event_loop_utilization',
    help: 'Share of the time since the last scrape that the event loop was busy: 0 to 1.',
    registers,
    collect() {
      const now = performance.eventLoopUtilization();
      this.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    },
  });
  new Counter({
    name: 'sluice_process_cpu_seconds_total',
    help: 'CPU time of this process, user and system. Seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'sluice_process_memory_bytes',
    help: 'Memory of this process, by kind: resident, heap_used, external.',
    labelNames: ['kind'],
    registers,
    collect() {
      const usage = process.memoryUsage();
      this.set({ kind: 'resident' }, usage.rss);
      this.set({ kind: 'heap_used' }, usage.heapUsed);
      this.set({ kind: 'external' }, usage.external);
    },
  });
  return () => delay.disable();
}

/** Counts every command that this client instance sends from now on. */
export function countCommands(client: { sendCommand: (...args: never[]) => unknown }, counter: BoundCounter): void {
  const send = client.sendCommand;
  client.sendCommand = function counted(...args: never[]) {
    counter.add();
    return send.apply(this, args);
  };
}
