/** What the end of a call means for its lanes, its provider and what is written, with parts that a test plays. */
import { expect, test, vi } from 'vitest';
import { failed } from '../../../test/support/engine.ts';
import { aLane, anOperation, appliedAt, aQueue, lanesOf } from '../../../test/support/lanes.ts';
import { finalsOf, playRunner } from '../../../test/support/played-runner.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { CallOutcome } from '../providers/provider.ts';
import type { Lane } from './lane.ts';

useFakeTimers();

test('a call that did not start goes again at once, and after a while waits longer and longer', () => {
  const { entered, end, waits } = playRunner();
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
  const { reports, end } = playRunner();
  const lane = aLane([anOperation(1)]);
  end(lane, failed('ambiguous', { code: 'aborted' }));
  expect(reports).toEqual([]);
  expect(lane.waiting.map(({ attempts, lastError }) => [attempts, lastError])).toEqual([[0, undefined]]);
});

test('but it is in doubt: that is written before it goes again, and it is marked then as any call in doubt is', () => {
  const { entered, written, end } = playRunner();
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
  const { reports, end } = playRunner();
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

test('what is repeated is an account’s trouble until it answers; what throttles, refuses credentials or was cut by us is none', () => {
  const { trouble, end } = playRunner();
  const failures = [failed('transient', { code: 'token_unavailable' }), failed('ambiguous')];
  for (const outcome of failures) end(aLane([anOperation(1)]), outcome);
  end(aLane([anOperation(1)]), failed('ambiguous', { code: 'aborted' }));
  end(aLane([anOperation(1)]), { status: 'unsent', reason: 'no' });
  expect(trouble.failed.mock.calls).toEqual(failures.map((outcome) => [outcome.status === 'failed' && outcome.error]));
  // Not asked, for want of credentials; and asked at a former address.
  end(aLane([anOperation(1)]), failed('auth', { code: 'credentials_refused' }), { startedAt: 0 });
  end(aLane([anOperation(1)]), failed('transient'), { startedAt: 1, isOutdated: true });
  expect(trouble.answered).not.toHaveBeenCalled();
  for (const outcome of [failed('invalid'), failed('rate_limited'), { status: 'accepted' } as const]) end(aLane([anOperation(1)]), outcome);
  expect(trouble.answered).toHaveBeenCalledTimes(3);
  expect(trouble.failed).toHaveBeenCalledTimes(2);
});

test('a pause is told with its cause and its end', () => {
  const { telemetry, end } = playRunner();
  end(aLane([anOperation(1)]), failed('rate_limited', { retryAfterMs: 7_000, message: 'slow down' }));
  const told = { reason: 'rate_limited', cause: 'slow down', untilMs: Date.now() + 7_000 };
  expect(telemetry.paused.mock.calls).toEqual([['crm', told]]);
});

test('refused credentials pause the provider, but not those that have been replaced since', () => {
  const { pauses, end } = playRunner();
  const refused = failed('auth', { code: 'credentials_refused', retryAfterMs: 60_000, message: 'no' });
  end(aLane([anOperation(1)]), refused, { isOutdated: true });
  expect(pauses).toEqual([]);
  end(aLane([anOperation(1)]), refused);
  expect(pauses).toEqual([[60_000, 'no']]);
});

test('what tells nothing of the provider’s health is passed over, and not reported as a success', () => {
  const { stock, reports, end } = playRunner();
  const told: [CallOutcome, startedAt: number][] = [
    [{ status: 'unsent', reason: 'no permit for the second request' }, 5_000],
    [{ status: 'unsent', reason: 'no' }, 0],
    [failed('rate_limited'), 5_000],
    [failed('ambiguous', { code: 'aborted' }), 5_000],
    [failed('auth', { code: 'credentials_refused' }), 0],
  ];
  for (const [outcome, startedAt] of told) end(aLane([anOperation(1)]), outcome, { startedAt });
  expect(stock.passOver).toHaveBeenCalledTimes(told.length);
  end(aLane([anOperation(1)]), failed('transient'), { startedAt: 5_000, isOutdated: true });
  expect(stock.passOver).toHaveBeenCalledTimes(told.length + 1);
  expect(reports).toEqual([]);
  end(aLane([anOperation(1)]), failed('auth', { code: 'unauthorized' }), { startedAt: 5_000 });
  expect(reports).toEqual([false]);
});

test('a call whose connection did not come about took no time at the provider', () => {
  const { telemetry, end } = playRunner();
  end(aLane([anOperation(1)]), failed('transient', { code: 'connection_refused' }), { startedAt: 0 });
  expect(telemetry.called).toHaveBeenCalledExactlyOnceWith('crm', 'transient', 0);
});

test('of a batch, one part that was answered tells how the call ended, whatever was not sent before it', () => {
  const { stock, reports, telemetry, entered, endAll } = playRunner();
  const queue = aQueue();
  const [unsent, failing] = lanesOf(2, queue) as [Lane, Lane];
  endAll([unsent, failing], [{ status: 'unsent', reason: 'no' }, failed('transient')], { startedAt: Date.now() });
  expect(reports).toEqual([true]);
  expect(telemetry.called).toHaveBeenCalledExactlyOnceWith('crm', 'transient', 0);
  expect(stock.passOver).not.toHaveBeenCalled();
  expect(entered).toEqual([{ lane: unsent, isFirst: true }]);
});

test('a batch that was refused whole goes again in halves, each lane at the account that is its tenant’s by then', () => {
  const { halves, written, endAll } = playRunner();
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
  const { pauses, end } = playRunner();
  end(aLane([anOperation(1)]), failed('rate_limited', { retryAfterMs: 7_000 }));
  end(aLane([anOperation(1)]), failed('rate_limited'));
  expect(pauses).toEqual([
    [7_000, 'rate_limited'],
    [1_000, 'rate_limited'],
  ]);
});

test('what comes back for a shard that is gone is ignored', () => {
  const { written, entered, end } = playRunner();
  const lane = aLane([anOperation(1)]);
  lane.queue.shard.isGone = true;
  end(lane, { status: 'accepted' });
  expect([written, entered]).toEqual([[], []]);
});

test('what comes back after its provider was deleted is written all the same', () => {
  const { written, end } = playRunner({ config: undefined });
  const lane = aLane([anOperation(1)], { applied: appliedAt(5, 0, { fields: new Map([['x', { ms: 5, rank: 0 }]]) }) });
  lane.queue.isDropped = true;
  end(lane, { status: 'accepted' });
  expect(finalsOf(written)).toEqual([[1, 'succeeded', undefined]]);
  // The fields' stamps are not forgotten with the configuration.
  expect(written[0]?.finals?.[0]?.record?.state.fields?.has('x')).toBe(true);
});
