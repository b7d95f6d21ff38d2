/** What happens to a lane between its calls, with parts that a test plays. */
import { describe, expect, test, vi } from 'vitest';
import { aLane, anOperation, appliedAt, aQueue, aShard } from '../../../test/support/lanes.ts';
import { finalsOf, playRunner } from '../../../test/support/played-runner.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';

useFakeTimers();

describe('going on', () => {
  test('drops what is stale, and enters with what is next', () => {
    const { runner, entered, written } = playRunner();
    const lane = aLane([anOperation(1), anOperation(2, { timestampMs: 9_000 })], { applied: appliedAt(5_000) });
    runner.goOn(lane);
    expect(finalsOf(written)).toEqual([[1, 'stale', undefined]]);
    expect(entered).toEqual([{ lane, isFirst: false }]);
  });

  test('a lane with nothing left is forgotten', () => {
    const { runner, entered } = playRunner();
    const lane = aLane([]);
    runner.goOn(lane);
    expect(lane.queue.lanes.size).toBe(0);
    expect(entered).toEqual([]);
  });

  test('without a configuration nothing is called stale: nobody knows yet by which mode', () => {
    const { runner, entered, written } = playRunner({ config: undefined });
    runner.goOn(aLane([anOperation(1)], { applied: appliedAt(5_000) }));
    expect(written).toEqual([]);
    expect(entered).toHaveLength(1);
  });

  test('a retry that a former owner planned waits for its time, then takes its turn', () => {
    const { runner, entered } = playRunner();
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
    const { runner, written } = playRunner({ config: providerConfig({ retry: { maxAttempts: 2, baseMs: 1, maxMs: 1, maxAgeMs: 1e9 } }) });
    runner.goOn(aLane([anOperation(1, { attempts: 2, lastError: { code: 'provider_error', message: 'it failed', retryable: true } })]));
    runner.goOn(aLane([anOperation(2, { attempts: 2 })]));
    expect(finalsOf(written)).toEqual([
      [1, 'dead_lettered', 'provider_error'],
      [2, 'dead_lettered', 'worker_lost'],
    ]);
  });

  test('nothing goes on for a queue that is handed over or gone, and a timer of it does nothing', () => {
    const { runner, entered } = playRunner();
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
  const { runner } = playRunner({ config: providerConfig() });
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
    const { runner, written, telemetry } = playRunner({ config: providerConfig({ conflict: 'field' }) });
    const lane = aLane([anOperation(1, { dataJson: 'no JSON' })], { applied: appliedAt(5_000, 0, { fields: new Map() }) });
    runner.goOn(lane);
    vi.advanceTimersByTime(10_000);
    expect(finalsOf(written)).toEqual([[1, 'dead_lettered', 'internal_fault']]);
    expect(written[0]?.finals?.[0]?.outcome.attempts).toBe(0);
    expect(telemetry.fault).toHaveBeenCalledTimes(5);
  });

  test('an outcome that is none does not throw either: that it was called is written before it waits', () => {
    const { telemetry, end, written } = playRunner();
    const lane = aLane([anOperation(1)]);
    end(lane, { status: 'nonsense' } as never);
    expect(lane.state).toBe('settling');
    expect(written[0]?.retries).toMatchObject([{ trial: { attempts: 0, isInDoubt: true } }]);
    written[0]?.whenWritten?.();
    expect(lane.state).toBe('backoff');
    expect(telemetry.fault).toHaveBeenCalledOnce();
  });

  test('nobody hears of a fault in what is gone', () => {
    const { runner, telemetry } = playRunner();
    const lane = aLane([anOperation(1)]);
    lane.queue.isDropped = true;
    runner.fault(lane, new Error('a bug'));
    expect(telemetry.fault).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('marks', () => {
  test('written, the lane goes first; a group with a create is sealed by it', async () => {
    const { runner, entered } = playRunner();
    const lane = aLane([anOperation(1, { kind: 'create' }), anOperation(2)]);
    await runner.mark(lane, 2);
    expect(lane.sealedTo).toBe(2);
    expect(lane.waiting.every(({ isMarked, hasTrial }) => isMarked && hasTrial)).toBe(true);
    expect(entered).toEqual([{ lane, isFirst: true }]);
  });

  test('say what was tried, what is in doubt, and under which lease the call is made', async () => {
    const marks: unknown[] = [];
    const { runner } = playRunner({ mark: async (...mark) => marks.push(mark) > 0 });
    const queue = aQueue('crm', aShard({ epoch: 7 }));
    const lastError = { code: 'provider_error', message: 'it failed', retryable: true };
    await runner.mark(aLane([anOperation(1, { kind: 'create', attempts: 2, lastError, isInDoubt: true })], { queue }), 1);
    const trial = { attempts: 2, dueAtMs: 0, error: lastError, startedIn: 7, sealedTo: 0, isInDoubt: true };
    expect(marks).toEqual([[queue.shard, 'crm', new Map([['1001-1', trial]])]]);
  });

  test('not written, it waits a little and tries again', async () => {
    const { runner, entered } = playRunner({ mark: () => Promise.reject(new Error('Redis is away')) });
    const lane = aLane([anOperation(1, { isSuspect: true })]);
    await runner.mark(lane, 1);
    expect([lane.state, entered]).toEqual(['backoff', []]);
    vi.advanceTimersByTime(100);
    expect(entered).toHaveLength(1);
  });

  test('refused, the lease is lost', async () => {
    const { runner, lost, entered } = playRunner({ mark: async () => false });
    await runner.mark(aLane([anOperation(1)]), 1);
    expect([lost, entered]).toEqual([['lost'], []]);
  });

  test('an answer for a queue that is gone by then changes nothing', async () => {
    const queue = aQueue();
    const { runner, lost, entered } = playRunner({
      mark: async () => {
        queue.isDropped = true;
        return false;
      },
    });
    await runner.mark(aLane([anOperation(1)], { queue }), 1);
    expect([lost, entered]).toEqual([[], []]);
  });
});
