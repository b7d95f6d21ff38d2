/** What happens to a lane between its calls, with parts that a test plays. */
import { describe, expect, test, vi } from 'vitest';
import { failed } from '../../../test/support/engine.ts';
import { aLane, anOperation, appliedAt, aQueue, aShard, lanesOf } from '../../../test/support/lanes.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { QueueReader } from '../../shared/queue/claim.ts';
import type { CallOutcome } from '../providers/provider.ts';
import { CallUnderWay } from './call-under-way.ts';
import type { Lane } from './lane.ts';
import { LaneRunner, type LaneRunnerDeps } from './lane-runner.ts';
import type { SettlerItem } from './settler.ts';

useFakeTimers();

interface EndedCall {
  /** Of the group of each lane. */
  readonly length: number;
  readonly isOutdated: boolean;
  readonly startedAt: number;
}

function start(part: { config?: ProviderConfig | undefined; mark?: QueueReader['mark'] } = {}) {
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
  const dispatcher = {
    config: 'config' in part ? part.config : providerConfig(),
    pump: vi.fn(),
    enter(lane: Lane, isFirst = false) {
      lane.state = 'ready';
      entered.push({ lane, isFirst });
    },
  };
  const telemetry = { called: vi.fn(), retried: vi.fn(), paused: vi.fn(), fault: vi.fn() };
  const deps = {
    accounts: {
      of: () => ({ stock, dispatcher }),
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
  return { runner, dispatcher, deps, entered, halves, written, pauses, reports, stock, lost, waits, telemetry, end, endAll };
}

const finalsOf = (written: readonly SettlerItem[]) =>
  written.flatMap(({ finals = [] }) => finals.map(({ entry, outcome }) => [entry.rank, outcome.status, outcome.error?.code]));

describe('going on', () => {
  test('drops what is stale, and enters with what is next', () => {
    const { runner, entered, written } = start();
    const lane = aLane([anOperation(1), anOperation(2, { timestampMs: 9_000 })], { applied: appliedAt(5_000) });
    runner.goOn(lane);
    expect(finalsOf(written)).toEqual([[1, 'stale', undefined]]);
    expect(entered).toEqual([{ lane, isFirst: false }]);
  });

  test('a lane with nothing left is forgotten', () => {
    const { runner, entered } = start();
    const lane = aLane([]);
    runner.goOn(lane);
    expect(lane.queue.lanes.size).toBe(0);
    expect(entered).toEqual([]);
  });

  test('without a configuration nothing is called stale: nobody knows yet by which mode', () => {
    const { runner, entered, written } = start({ config: undefined });
    runner.goOn(aLane([anOperation(1)], { applied: appliedAt(5_000) }));
    expect(written).toEqual([]);
    expect(entered).toHaveLength(1);
  });

  test('a retry that a former owner planned waits for its time, then takes its turn', () => {
    const { runner, entered } = start();
    const lane = aLane([anOperation(1, { dueAtMs: Date.now() + 700, attempts: 1 })]);
    runner.goOn(lane);
    vi.advanceTimersByTime(699);
    expect(entered).toEqual([]);
    expect(lane.queue.parked).toBe(1);
    vi.advanceTimersByTime(1);
    expect(entered).toEqual([{ lane, isFirst: true }]);
    expect(lane.queue.parked).toBe(0);
  });

  test('one whose attempts are used up ends without a call, with the error it last met', () => {
    const { runner, written } = start({ config: providerConfig({ retry: { maxAttempts: 2, baseMs: 1, maxMs: 1, maxAgeMs: 1e9 } }) });
    runner.goOn(aLane([anOperation(1, { attempts: 2, lastError: { code: 'provider_error', message: 'it failed', retryable: true } })]));
    runner.goOn(aLane([anOperation(2, { attempts: 2 })]));
    expect(finalsOf(written)).toEqual([
      [1, 'dead_lettered', 'provider_error'],
      [2, 'dead_lettered', 'worker_lost'],
    ]);
  });

  test('nothing goes on for a queue that is handed over or gone, and a timer of it does nothing', () => {
    const { runner, entered } = start();
    const lane = aLane([anOperation(1)]);
    runner.backOff(lane, 10);
    lane.queue.shard.isDraining = true;
    vi.advanceTimersByTime(20);
    runner.goOn(lane);
    expect(entered).toEqual([]);
    expect(lane.queue.parked).toBe(0);
  });
});

test('a lane that runs empty while entries are being read takes those that come for its record', () => {
  const { runner } = start({ config: providerConfig() });
  const lane = aLane([anOperation(1, { timestampMs: 1_000 })], { applied: appliedAt(5_000, 0) });
  Object.assign(lane, { state: 'ready' });
  lane.queue.isClaiming = true;
  runner.goOn(lane);
  expect([lane.waiting, lane.state]).toEqual([[], 'idle']);
  expect(lane.queue.lanes.get(lane.digest)).toBe(lane);
  lane.queue.isClaiming = false;
  lane.queue.doneReading();
  expect(lane.queue.lanes.size).toBe(0);
});

describe('faults of our own', () => {
  test('data that cannot be judged does not throw: tried five times, its operation is put aside, without an attempt', () => {
    const { runner, written, telemetry } = start({ config: providerConfig({ conflict: 'field' }) });
    const lane = aLane([anOperation(1, { dataJson: 'no JSON' })], { applied: appliedAt(5_000, 0, { fields: new Map() }) });
    runner.goOn(lane);
    vi.advanceTimersByTime(10_000);
    expect(finalsOf(written)).toEqual([[1, 'dead_lettered', 'internal_fault']]);
    expect(written[0]?.finals?.[0]?.outcome.attempts).toBe(0);
    expect(telemetry.fault).toHaveBeenCalledTimes(5);
  });

  test('an outcome that is none does not throw either: that it was called is written before it waits', () => {
    const { telemetry, end, written } = start();
    const lane = aLane([anOperation(1)]);
    end(lane, { status: 'nonsense' } as never);
    expect(lane.state).toBe('settling');
    expect(written[0]?.retries).toMatchObject([{ trial: { attempts: 0, isInDoubt: true } }]);
    written[0]?.whenWritten?.();
    expect(lane.state).toBe('backoff');
    expect(telemetry.fault).toHaveBeenCalledOnce();
  });

  test('nobody hears of a fault in what is gone', () => {
    const { runner, telemetry } = start();
    const lane = aLane([anOperation(1)]);
    lane.queue.isDropped = true;
    runner.fault(lane, new Error('a bug'));
    expect(telemetry.fault).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('ends of calls', () => {
  test('a call that did not start goes again at once, and after a while waits longer and longer', () => {
    const { entered, end, waits } = start();
    const lane = aLane([anOperation(1)]);
    for (let i = 0; i < 2; i++) end(lane, { status: 'unsent', reason: 'no' });
    expect(entered).toEqual([
      { lane, isFirst: true },
      { lane, isFirst: true },
    ]);
    for (let i = 0; i < 9; i++) {
      end(lane, { status: 'unsent', reason: 'no' });
      vi.advanceTimersByTime(waits[i] as number);
    }
    expect(waits).toEqual([20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000]);
    expect(lane.waiting[0]?.attempts).toBe(0);
  });

  test('a call that we cut is nobody’s fault: not the operation’s, not the provider’s', () => {
    const { reports, end } = start();
    const lane = aLane([anOperation(1)]);
    end(lane, failed('ambiguous', { code: 'aborted' }));
    expect(reports).toEqual([]);
    expect(lane.waiting.map(({ attempts, lastError }) => [attempts, lastError])).toEqual([[0, undefined]]);
  });

  test('but it is in doubt: that is written before it goes again, and it is marked then as any call in doubt is', () => {
    const { entered, written, end } = start();
    const lane = aLane([anOperation(1, { kind: 'create', isMarked: true }), anOperation(2, { isMarked: true }), anOperation(3)]);
    end(lane, failed('ambiguous', { code: 'aborted' }), { length: 2 });
    expect([lane.state, entered]).toEqual(['settling', []]);
    // What was one call is one again: a create that was made may hold what came with it.
    const trial = { attempts: 0, dueAtMs: 0, error: undefined, startedIn: 0, sealedTo: 2, isInDoubt: true };
    expect(written.map(({ finals = [], retries = [] }) => [finals, retries.map((each) => [each.entry.rank, each.trial])])).toEqual([
      [
        [],
        [
          [1, trial],
          [2, trial],
        ],
      ],
    ]);
    written[0]?.whenWritten?.();
    expect(entered).toEqual([{ lane, isFirst: false }]);
    expect(lane.waiting.map(({ isInDoubt, isSuspect, isMarked, hasTrial }) => [isInDoubt, isSuspect, isMarked, hasTrial])).toEqual([
      [true, true, false, true],
      [true, true, false, true],
      [false, false, false, false],
    ]);
  });

  test('the provider’s health is told of once a call; refusals of records are no failures of its', () => {
    const { reports, end } = start();
    for (const outcome of [
      { status: 'accepted' } as const,
      failed('transient'),
      failed('ambiguous'),
      failed('invalid'),
      failed('rate_limited'),
    ])
      end(aLane([anOperation(1)]), outcome);
    expect(reports).toEqual([false, true, true, false]);
  });

  test('refused credentials pause the provider, but not those that have been replaced since', () => {
    const { pauses, end } = start();
    const refused = failed('auth', { code: 'credentials_refused', retryAfterMs: 60_000, message: 'no' });
    end(aLane([anOperation(1)]), refused, { isOutdated: true });
    expect(pauses).toEqual([]);
    end(aLane([anOperation(1)]), refused);
    expect(pauses).toEqual([[60_000, 'no']]);
  });

  test('what tells nothing of the provider’s health is passed over, and not reported as a success', () => {
    const { stock, reports, end } = start();
    const told: [CallOutcome, startedAt: number][] = [
      [{ status: 'unsent', reason: 'no permit for the second request' }, 5_000],
      [{ status: 'unsent', reason: 'no' }, 0],
      [failed('rate_limited'), 5_000],
      [failed('ambiguous', { code: 'aborted' }), 5_000],
      [failed('auth', { code: 'credentials_refused' }), 0],
    ];
    for (const [outcome, startedAt] of told) end(aLane([anOperation(1)]), outcome, { startedAt });
    expect(stock.passOver).toHaveBeenCalledTimes(told.length);
    expect(reports).toEqual([]);
    end(aLane([anOperation(1)]), failed('auth', { code: 'unauthorized' }), { startedAt: 5_000 });
    expect(reports).toEqual([false]);
  });

  test('a call whose connection did not come about took no time at the provider', () => {
    const { telemetry, end } = start();
    end(aLane([anOperation(1)]), failed('transient', { code: 'connection_refused' }), { startedAt: 0 });
    expect(telemetry.called).toHaveBeenCalledExactlyOnceWith('crm', 'transient', 0);
  });

  test('of a batch, one part that was answered tells how the call ended, whatever was not sent before it', () => {
    const { stock, reports, telemetry, entered, endAll } = start();
    const queue = aQueue();
    const [unsent, failing] = lanesOf(2, queue) as [Lane, Lane];
    endAll([unsent, failing], [{ status: 'unsent', reason: 'no' }, failed('transient')], { startedAt: Date.now() });
    expect(reports).toEqual([true]);
    expect(telemetry.called).toHaveBeenCalledExactlyOnceWith('crm', 'transient', 0);
    expect(stock.passOver).not.toHaveBeenCalled();
    expect(entered).toEqual([{ lane: unsent, isFirst: true }]);
  });

  test('a batch that was refused whole goes again in halves, each lane at the account that is its tenant’s by then', () => {
    const { halves, written, endAll } = start();
    const [staying, left] = [lanesOf(2), lanesOf(2, aQueue('crm:acme'))];
    for (const { queue } of left) queue.account = 'crm:acme';
    const lanes = [staying[0], left[0], staying[1], left[1]] as Lane[];
    endAll(
      lanes,
      lanes.map(() => failed('invalid', { isWholeBatch: true })),
    );
    expect(halves).toEqual([
      ['crm', staying],
      ['crm:acme', left],
    ]);
    expect(written).toEqual([]);
  });

  test('a throttled provider pauses as long as it asked for, else for a second', () => {
    const { pauses, end } = start();
    end(aLane([anOperation(1)]), failed('rate_limited', { retryAfterMs: 7_000 }));
    end(aLane([anOperation(1)]), failed('rate_limited'));
    expect(pauses).toEqual([
      [7_000, 'rate_limited'],
      [1_000, 'rate_limited'],
    ]);
  });

  test('what comes back for a shard that is gone is ignored', () => {
    const { written, entered, end } = start();
    const lane = aLane([anOperation(1)]);
    lane.queue.shard.isGone = true;
    end(lane, { status: 'accepted' });
    expect([written, entered]).toEqual([[], []]);
  });

  test('what comes back after its provider was deleted is written all the same', () => {
    const { written, end } = start({ config: undefined });
    const lane = aLane([anOperation(1)], { applied: appliedAt(5, 0, { fields: new Map([['x', { ms: 5, rank: 0 }]]) }) });
    lane.queue.isDropped = true;
    end(lane, { status: 'accepted' });
    expect(finalsOf(written)).toEqual([[1, 'succeeded', undefined]]);
    // The fields' stamps are not forgotten with the configuration.
    expect(written[0]?.finals?.[0]?.record?.state.fields?.has('x')).toBe(true);
  });
});

describe('marks', () => {
  test('written, the lane goes first; a group with a create is sealed by it', async () => {
    const { runner, entered } = start();
    const lane = aLane([anOperation(1, { kind: 'create' }), anOperation(2)]);
    await runner.mark(lane, 2);
    expect(lane.sealedTo).toBe(2);
    expect(lane.waiting.every(({ isMarked, hasTrial }) => isMarked && hasTrial)).toBe(true);
    expect(entered).toEqual([{ lane, isFirst: true }]);
  });

  test('say what was tried, what is in doubt, and under which lease the call is made', async () => {
    const marks: unknown[] = [];
    const { runner } = start({ mark: async (...mark) => marks.push(mark) > 0 });
    const queue = aQueue('crm', aShard({ epoch: 7 }));
    const lastError = { code: 'provider_error', message: 'it failed', retryable: true };
    await runner.mark(aLane([anOperation(1, { kind: 'create', attempts: 2, lastError, isInDoubt: true })], { queue }), 1);
    const trial = { attempts: 2, dueAtMs: 0, error: lastError, startedIn: 7, sealedTo: 0, isInDoubt: true };
    expect(marks).toEqual([[queue.shard, 'crm', new Map([['1001-1', trial]])]]);
  });

  test('not written, it waits a little and tries again', async () => {
    const { runner, entered } = start({ mark: () => Promise.reject(new Error('Redis is away')) });
    const lane = aLane([anOperation(1, { isSuspect: true })]);
    await runner.mark(lane, 1);
    expect([lane.state, entered]).toEqual(['backoff', []]);
    vi.advanceTimersByTime(100);
    expect(entered).toHaveLength(1);
  });

  test('refused, the lease is lost', async () => {
    const { runner, lost, entered } = start({ mark: async () => false });
    await runner.mark(aLane([anOperation(1)]), 1);
    expect([lost, entered]).toEqual([['lost'], []]);
  });

  test('an answer for a queue that is gone by then changes nothing', async () => {
    const queue = aQueue();
    const { runner, lost, entered } = start({
      mark: async () => {
        queue.isDropped = true;
        return false;
      },
    });
    await runner.mark(aLane([anOperation(1)], { queue }), 1);
    expect([lost, entered]).toEqual([[], []]);
  });
});
