import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AcquireRequest, Grant } from '../../shared/gate/acquire.ts';
import { PermitStock } from './permit-stock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const breaker = { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 1_000 };
const policy = { limits: [], maxConcurrency: 8, breaker };

/** A stock whose owner always has `ready` calls and nothing in flight; the gate has `slots` for it, and grants every permit. */
function startStock(demand: { ready: number }, gate: { slots: number }) {
  const requests: AcquireRequest[] = [];
  const pump = () => stock.refill({ ready: demand.ready, inFlight: 0 });
  const stock = new PermitStock(policy, {
    gate: {
      async acquire(_account, _policy, request): Promise<Grant> {
        requests.push(request);
        const slots = Math.min(gate.slots, request.wantSlots);
        const nothing = { retryInMs: undefined, refusedBy: undefined, pausedUntilMs: 0, epoch: 0, nowMs: 0 };
        return { ...nothing, slots, fairSlots: slots, breaker: 'closed', startsMs: new Array<number>(request.want).fill(0) };
      },
    },
    account: 'crm',
    holdTtlMs: 10_000,
    now: Date.now,
    onChange: pump,
    onGrant: () => {},
    onError: (error) => {
      throw error;
    },
  });
  pump();
  return { stock, requests, pump };
}

test('while all slots are others’ it asks for one again and again, and for no permits that it could not use', async () => {
  const gate = { slots: 0 };
  const { stock, requests } = startStock({ ready: 5 }, gate);
  await vi.advanceTimersByTimeAsync(100);
  expect(requests.length).toBeGreaterThan(2);
  expect(requests.slice(1).map(({ want }) => want)).toEqual(requests.slice(1).map(() => 0));
  expect(stock.take(0)).toBeUndefined();
  // What came with the first answer went back.
  expect(requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(requests[0]?.want);

  gate.slots = 4;
  await vi.advanceTimersByTimeAsync(50);
  expect(stock.take(0)).toBeDefined();
  stock.close();
});

test('permits left over when it gives up its slots do not keep it from asking when there is work again', async () => {
  const demand = { ready: 5 };
  const { stock, requests, pump } = startStock(demand, { slots: 8 });
  await vi.advanceTimersByTimeAsync(1);
  expect(stock.take(0)).toBeDefined();
  demand.ready = 0;
  pump();
  await vi.advanceTimersByTimeAsync(100);
  expect(requests.at(-1)).toMatchObject({ wantSlots: 0 });
  demand.ready = 5;
  pump();
  await vi.advanceTimersByTimeAsync(1);
  expect(stock.take(0)).toBeDefined();
  stock.close();
});
