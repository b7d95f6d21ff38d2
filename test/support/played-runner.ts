/** The runner of lanes, with all that surrounds it played: what it enters, writes, waits for and tells is kept. Timers are the test's. */
import { vi } from 'vitest';
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import type { QueueReader } from '../../src/shared/queue/claim.ts';
import { CallUnderWay } from '../../src/worker/engine/call-under-way.ts';
import type { Lane } from '../../src/worker/engine/lane.ts';
import { LaneRunner, type LaneRunnerDeps } from '../../src/worker/engine/lane-runner.ts';
import type { SettlerItem } from '../../src/worker/engine/settler.ts';
import type { CallOutcome } from '../../src/worker/providers/provider.ts';
import { providerConfig } from './provider-config.ts';

interface EndedCall {
  /** Of the group of each lane. */
  readonly length: number;
  readonly isOutdated: boolean;
  readonly startedAt: number;
}

export function playRunner(part: { config?: ProviderConfig | undefined; mark?: QueueReader['mark'] } = {}) {
  const entered: { lane: Lane; isFirst: boolean }[] = [];
  const written: SettlerItem[] = [];
  const pauses: [number, string][] = [];
  const reports: boolean[] = [];
  const lost: string[] = [];
  const halves: [account: string, lanes: readonly Lane[]][] = [];
  /** Milliseconds. */
  const waits: number[] = [];
  const stock = {
    passOver: vi.fn(),
    report: (_permit: unknown, hasFailed: boolean) => void reports.push(hasFailed),
    pause: (ms: number, reason: string) => void pauses.push([ms, reason]),
  };
  const trouble = { failed: vi.fn(), answered: vi.fn() };
  const dispatcher = {
    config: 'config' in part ? part.config : providerConfig(),
    pump: vi.fn(),
    goOn: vi.fn(),
    enter(lane: Lane, isFirst = false) {
      lane.state = 'ready';
      entered.push({ lane, isFirst });
    },
  };
  const telemetry = { called: vi.fn(), retried: vi.fn(), paused: vi.fn(), fault: vi.fn() };
  const deps = {
    accounts: {
      of: () => ({ stock, dispatcher, trouble }),
      dispatcherOf: (account: string) => ({ ...dispatcher, enterHalves: (lanes: readonly Lane[]) => void halves.push([account, lanes]) }),
    },
    claimer: { ask: vi.fn() },
    settler: { add: (_queue: unknown, item: SettlerItem) => void written.push(item) },
    reader: { mark: part.mark ?? (async () => true) },
    telemetry,
    now: Date.now,
    redisNow: Date.now,
    random: () => 1,
    after(ms: number, run: () => void) {
      waits.push(ms);
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    onLost: () => void lost.push('lost'),
  };
  const runner = new LaneRunner(deps as unknown as LaneRunnerDeps);
  const callOptions = { account: 'crm', now: Date.now, startMarginMs: 0, awaitPermit: async () => undefined };
  const endAll = (lanes: readonly Lane[], outcomes: readonly CallOutcome[], { length = 1, ...call }: Partial<EndedCall> = {}) => {
    for (const lane of lanes) lane.state = 'in_flight';
    const parts = lanes.map((lane) => ({ lane, length, prepared: {} as never }));
    runner.end(Object.assign(new CallUnderWay(parts, { from: 0, until: 0 }, callOptions), call), outcomes);
  };
  const end = (lane: Lane, outcome: CallOutcome, call: Partial<EndedCall> = {}) => endAll([lane], [outcome], call);
  return { runner, dispatcher, deps, entered, halves, written, pauses, reports, stock, lost, waits, telemetry, trouble, end, endAll };
}

/** Rank, status and error code of each end. */
export const finalsOf = (written: readonly SettlerItem[]) =>
  written.flatMap(({ finals = [] }) => finals.map(({ entry, outcome }) => [entry.rank, outcome.status, outcome.error?.code]));
