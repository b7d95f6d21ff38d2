/**
 * The fleet-wide gauges, read from Redis when somebody scrapes, at most every two seconds. While Redis cannot be reached they are left out:
 * an old number would look like a fresh one.
 */
import type { Gate } from '../shared/gate/gate.ts';
import type { ClosedUntil } from '../shared/gate/peek.ts';
import type { ProviderDirectory } from '../shared/providers/follow.ts';
import type { BacklogReader } from '../shared/queue/backlog.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';

export interface FleetGaugesDeps {
  readonly metrics: Pick<
    Metrics,
    'backlog' | 'pendingEntries' | 'oldestSeconds' | 'deadLetters' | 'breakerState' | 'paused' | 'unreadableProviders' | 'providerLabel'
  >;
  readonly backlog: Pick<BacklogReader, 'readAll'>;
  readonly directory: Pick<ProviderDirectory, 'all' | 'accountsOf' | 'problems'>;
  readonly closedUntil: Gate['closedUntil'];
  /** Our own clock, ms: how old the last reading is. */
  readonly now: () => number;
  /** Redis's clock, epoch ms. */
  readonly redisNowMs: () => number;
}

const cacheMs = 2_000;
/** So many accounts are asked about at once: each is one small read, and thousands of tenants may have one. */
const accountsAtOnce = 500;

interface Reading {
  readonly backlogs: Awaited<ReturnType<BacklogReader['readAll']>>;
  /** By account. */
  readonly gates: ReadonlyMap<string, ClosedUntil>;
}

/** Never throws. */
export function createRefreshGauges(deps: FleetGaugesDeps): () => Promise<void> {
  let refreshedAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> | undefined;
  return async () => {
    deps.metrics.unreadableProviders.set(deps.directory.problems().size);
    if (deps.now() - refreshedAt < cacheMs) return;
    refreshing ??= read(deps)
      .then((reading) => {
        refreshedAt = deps.now();
        show(deps, reading);
      })
      .catch(() => clear(deps))
      .finally(() => {
        refreshing = undefined;
      });
    await refreshing;
  };
}

async function read(deps: FleetGaugesDeps): Promise<Reading> {
  const [backlogs, gates] = await Promise.all([deps.backlog.readAll(), readGates(deps)]);
  return { backlogs, gates };
}

async function readGates({ directory, closedUntil }: FleetGaugesDeps): Promise<Map<string, ClosedUntil>> {
  const accounts = directory.all().flatMap(({ name }) => directory.accountsOf(name));
  const gates = new Map<string, ClosedUntil>();
  for (let at = 0; at < accounts.length; at += accountsAtOnce) {
    const some = accounts.slice(at, at + accountsAtOnce);
    const ends = await Promise.all(some.map((account) => closedUntil(account)));
    for (const [index, account] of some.entries()) gates.set(account, ends[index] as ClosedUntil);
  }
  return gates;
}

/** Gauges of one label that several providers share (`other`) add up, but for the oldest age and the states, where the worst counts. */
function show({ metrics, directory, redisNowMs }: FleetGaugesDeps, { backlogs, gates }: Reading): void {
  clear({ metrics });
  const worst = new Map<string, { oldest: number; breaker: number; paused: number }>();
  const worstOf = (provider: string) => worst.get(provider) ?? { oldest: 0, breaker: 0, paused: 0 };
  const now = redisNowMs();
  for (const config of directory.all()) {
    const provider = metrics.providerLabel(config.name);
    const waiting = backlogs.get(config.name);
    metrics.backlog.inc({ provider }, waiting?.backlog ?? 0);
    metrics.pendingEntries.inc({ provider }, waiting?.pending ?? 0);
    metrics.deadLetters.inc({ provider }, waiting?.deadLetters ?? 0);
    const before = worstOf(provider);
    // Of a provider's accounts the worst counts, too.
    const ends = directory.accountsOf(config.name).flatMap((account) => gates.get(account) ?? []);
    const isPaused = config.isPaused || ends.some(({ pausedUntilMs }) => pausedUntilMs > now);
    worst.set(provider, {
      oldest: Math.max(before.oldest, waiting?.oldestMs === undefined ? 0 : (now - waiting.oldestMs) / 1_000),
      breaker: ends.reduce((most, { breakerUntilMs }) => Math.max(most, breakerNumber(breakerUntilMs, now)), before.breaker),
      paused: Math.max(before.paused, isPaused ? 1 : 0),
    });
  }
  for (const [provider, { oldest, breaker, paused }] of worst) {
    metrics.oldestSeconds.set({ provider }, oldest);
    metrics.breakerState.set({ provider }, breaker);
    metrics.paused.set({ provider }, paused);
  }
}

/** 0 closed, 1 half-open, 2 open: it is half open from its end on, until a probe has closed it. */
function breakerNumber(untilMs: number, now: number): number {
  if (untilMs === 0) return 0;
  return untilMs > now ? 2 : 1;
}

function clear({ metrics }: Pick<FleetGaugesDeps, 'metrics'>): void {
  for (const gauge of [
    metrics.backlog,
    metrics.pendingEntries,
    metrics.oldestSeconds,
    metrics.deadLetters,
    metrics.breakerState,
    metrics.paused,
  ])
    gauge.reset();
}
