/**
 * The fleet-wide gauges, read from Redis when somebody scrapes, at most every two seconds. While Redis cannot be reached they are left out:
 * an old number would look like a fresh one.
 */
import type { ProviderConfig } from '../shared/providers/config.ts';
import type { ProviderDirectory } from '../shared/providers/follow.ts';
import type { BacklogReader } from '../shared/queue/backlog.ts';
import type { Metrics } from '../shared/telemetry/metrics.ts';
import type { GateView } from './routes/provider-status.ts';

export interface FleetGaugesDeps {
  readonly metrics: Pick<
    Metrics,
    'backlog' | 'pendingEntries' | 'oldestSeconds' | 'deadLetters' | 'breakerState' | 'paused' | 'unreadableProviders' | 'providerLabel'
  >;
  readonly backlog: Pick<BacklogReader, 'readAll'>;
  readonly directory: Pick<ProviderDirectory, 'all' | 'problems'>;
  readonly peekGate: (account: string, limits: ProviderConfig['limits']) => Promise<GateView>;
  /** Our own clock, ms: how old the last reading is. */
  readonly now: () => number;
  /** Redis's clock, epoch ms. */
  readonly redisNowMs: () => number;
}

const cacheMs = 2_000;
const breakerNumbers = { closed: 0, half_open: 1, open: 2 } as const;

interface Reading {
  readonly backlogs: Awaited<ReturnType<BacklogReader['readAll']>>;
  readonly gates: readonly { readonly config: ProviderConfig; readonly gate: GateView }[];
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

async function read({ backlog, directory, peekGate }: FleetGaugesDeps): Promise<Reading> {
  const peeked = directory.all().map(async (config) => ({ config, gate: await peekGate(config.name, config.limits) }));
  const [backlogs, gates] = await Promise.all([backlog.readAll(), Promise.all(peeked)]);
  return { backlogs, gates };
}

/** Gauges of one label that several providers share (`other`) add up, but for the oldest age and the states, where the worst counts. */
function show({ metrics, redisNowMs }: FleetGaugesDeps, { backlogs, gates }: Reading): void {
  clear({ metrics });
  const worst = new Map<string, { oldest: number; breaker: number; paused: number }>();
  const worstOf = (provider: string) => worst.get(provider) ?? { oldest: 0, breaker: 0, paused: 0 };
  const now = redisNowMs();
  for (const { config, gate } of gates) {
    const provider = metrics.providerLabel(config.name);
    const waiting = backlogs.get(config.name);
    metrics.backlog.inc({ provider }, waiting?.backlog ?? 0);
    metrics.pendingEntries.inc({ provider }, waiting?.pending ?? 0);
    metrics.deadLetters.inc({ provider }, waiting?.deadLetters ?? 0);
    const before = worstOf(provider);
    const isPaused = config.isPaused || gate.pausedUntilMs > gate.nowMs;
    worst.set(provider, {
      oldest: Math.max(before.oldest, waiting?.oldestMs === undefined ? 0 : (now - waiting.oldestMs) / 1_000),
      breaker: Math.max(before.breaker, breakerNumbers[gate.breaker]),
      paused: Math.max(before.paused, isPaused ? 1 : 0),
    });
  }
  for (const [provider, { oldest, breaker, paused }] of worst) {
    metrics.oldestSeconds.set({ provider }, oldest);
    metrics.breakerState.set({ provider }, breaker);
    metrics.paused.set({ provider }, paused);
  }
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
