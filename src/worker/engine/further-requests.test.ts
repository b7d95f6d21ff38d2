/** Calls of several requests, each with a permit of its own: what becomes of the permits, and what the gate is told of them. */
import { expect, test, vi } from 'vitest';
import { lanesOf } from '../../../test/support/lanes.ts';
import { enterAll, type Part, startDispatcher } from '../../../test/support/played-dispatcher.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { CallGuard, Done, SendGuard } from '../providers/provider.ts';
import type { Permit } from './call-under-way.ts';

useFakeTimers();

/** An account in which calls have begun, and stay under way until the test ends them. */
async function begin(calls: number, part: Part = {}) {
  const guards: SendGuard[] = [];
  const dones: Done[] = [];
  const permits: Permit[] = [];
  const played = startDispatcher({
    ...part,
    adapter: {
      send(_calls, guard, done) {
        guard.mayStart();
        guards.push(guard);
        dones.push(done);
        return { abort: () => {} };
      },
    },
    onEnd: (call) => void permits.push(call.permit),
  });
  await enterAll(played.dispatcher, lanesOf(calls));
  const told = () => ({
    /** Permits that were granted and did not go back. */
    kept: played.gate.starts.length - played.gate.requests.reduce((sum, { returned }) => sum + returned, 0),
    probesEnded: played.gate.requests.filter(({ probeEnded }) => probeEnded).length,
  });
  /** The guard of a further request, once there is a permit. */
  const nextOf = async (guard: SendGuard | undefined) => {
    const next = guard?.nextRequest();
    await vi.advanceTimersByTimeAsync(300);
    return (await next) as CallGuard;
  };
  return { ...played, guards, dones, permits, told, nextOf };
}

/** From now on each permit is the probe of a half-open breaker. */
const halfOpen = ({ gate }: Awaited<ReturnType<typeof begin>>) => Object.assign(gate, { breaker: 'half_open', epoch: 7 });

const accepted = [{ status: 'accepted' } as const];

test('what answers say of limits is dated by the call’s last request, not by one that was made long before', async () => {
  const { guards, dones, gate, nextOf } = await begin(1);
  await vi.advanceTimersByTimeAsync(300_000);
  expect((await nextOf(guards[0])).mayStart()).toBe(true);
  await vi.advanceTimersByTimeAsync(50);
  dones[0]?.(accepted, [{ perMs: 86_400_000, requests: 5_000, remaining: 500, resetInMs: undefined }]);
  await vi.advanceTimersByTimeAsync(1_000);
  const [budget] = gate.requests.flatMap(({ budgets = [] }) => budgets);
  expect((budget?.sentMsAgo ?? 0) - (budget?.answeredMsAgo ?? 0)).toBe(50);
});

test('a call that got a half-open breaker’s probe for its further request is reported by that one', async () => {
  const played = await begin(1);
  const { guards, dones, permits, nextOf } = played;
  halfOpen(played);
  played.stock.revoke();
  expect((await nextOf(guards[0])).mayStart()).toBe(true);
  dones[0]?.(accepted);
  expect(permits).toMatchObject([{ epoch: 7 }]);
});

test('a further permit that no request was made with goes back, and as a probe lets another go', async () => {
  const played = await begin(1);
  const { guards, dones, permits, told, nextOf } = played;
  halfOpen(played);
  played.stock.revoke();
  await nextOf(guards[0]);
  dones[0]?.(accepted);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(permits).toMatchObject([{ epoch: 0 }]);
  expect(told()).toEqual({ kept: 1, probesEnded: 1 });
});

test('a call that goes on to its next request no longer keeps the probe that it had for the one before', async () => {
  const played = await begin(1);
  const { guards, told, nextOf } = played;
  halfOpen(played);
  played.stock.revoke();
  expect((await nextOf(guards[0])).mayStart()).toBe(true);
  expect(told()).toEqual({ kept: 2, probesEnded: 0 });
  await nextOf(guards[0]);
  expect(told()).toEqual({ kept: 3, probesEnded: 1 });
});

test('a further permit whose request was not written goes back when the call asks for another', async () => {
  const { guards, dones, told, nextOf } = await begin(1);
  await nextOf(guards[0]);
  expect((await nextOf(guards[0])).mayStart()).toBe(true);
  dones[0]?.(accepted);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(told().kept).toBe(2);
});

test.each([true, false])('an adapter that fails over its call (begun: %s) keeps neither the permit nor the probe', async (hasBegun) => {
  const { dispatcher, gate, events } = startDispatcher({
    slots: 1,
    adapter: {
      send(_calls, guard) {
        if (hasBegun) guard.mayStart();
        throw new Error('a bug');
      },
    },
  });
  gate.breaker = 'half_open';
  await enterAll(dispatcher, lanesOf(1));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(events).toEqual(['fault 1 a bug']);
  expect(gate.requests.filter(({ probeEnded }) => probeEnded).map(({ returned }) => returned)).toEqual([hasBegun ? 0 : 1]);
});
