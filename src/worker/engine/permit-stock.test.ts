import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createPlayedGate, type PlayedGate } from '../../../test/support/played-gate.ts';
import { useWithinMs } from '../../shared/gate/limits.ts';
import type { Permit } from './call-under-way.ts';
import { PermitStock } from './permit-stock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const breaker = { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 1_000 };
const limits = [{ requests: 100, perMs: 1_000, burst: 10 }];
/** Between this process's clock and the gate's. */
const offsetMs = 5_000_000;
const holdTtlMs = 9_000;

/** A stock and what a dispatcher does with it: takes what it may for its ready calls. `callMs` undefined: calls end when told. */
function play(part: { limits?: typeof limits; ready?: number; callMs?: number; gate?: Partial<PlayedGate> } = {}) {
  const gate = Object.assign(createPlayedGate({ now: () => Date.now() + offsetMs }), part.gate);
  const demand = { ready: part.ready ?? 0, inFlight: 0 };
  const taken: { permit: Permit; at: number; inFlight: number; isAsking: boolean }[] = [];
  let errors = 0;
  let asking: number | undefined;
  const stock = new PermitStock(
    { limits: part.limits ?? [], maxConcurrency: 8, breaker },
    {
      gate: {
        leave: (account) => gate.leave(account),
        async acquire(account, policy, request) {
          asking = request.keepSlots;
          try {
            return await gate.acquire(account, policy, request);
          } finally {
            asking = undefined;
          }
        },
      },
      account: 'crm',
      holdTtlMs,
      now: Date.now,
      onChange: () => pump(),
      onGrant: () => {},
      onError: () => void errors++,
    },
  );
  const end = (permit: Permit) => {
    demand.inFlight--;
    stock.report(permit, false);
    pump();
  };
  let pumps = 0;
  function pump(): void {
    pumps++;
    while (demand.ready > 0) {
      const permit = stock.take(demand.inFlight);
      if (!permit) break;
      demand.ready--;
      demand.inFlight++;
      taken.push({ permit, at: Date.now(), inFlight: demand.inFlight, isAsking: asking !== undefined });
      if (asking !== undefined) expect(demand.inFlight).toBeLessThanOrEqual(asking);
      if (part.callMs !== undefined) setTimeout(() => end(permit), part.callMs);
    }
    stock.refill(demand);
  }
  const work = async (ready: number) => {
    demand.ready += ready;
    pump();
    await vi.advanceTimersByTimeAsync(1);
  };
  pump();
  return { stock, gate, demand, taken, pump, end, work, errors: () => errors, pumps: () => pumps };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('when a call may start', () => {
  test('never before its start, never later than it may be used, whatever the answers’ ways take', async () => {
    const scenario = fc.record({
      paceMs: fc.integer({ min: 1, max: 60 }),
      ways: fc.array(fc.record({ thereMs: fc.integer({ min: 0, max: 12 }), backMs: fc.integer({ min: 0, max: 12 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      callMs: fc.integer({ min: 1, max: 80 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ paceMs, ways, callMs }) => {
        const { gate, taken, work, stock } = play({ limits, callMs, gate: { paceMs } });
        for (const way of ways) {
          Object.assign(gate, way);
          await work(6);
          await pass(200);
        }
        await stock.close();
        await pass(500);
        expect(taken.length).toBeGreaterThan(0);
        // Each is the use of a start of its own.
        const unused = [...gate.starts];
        for (const at of taken.map((each) => each.at + offsetMs)) {
          while ((unused[0] as number) < at - useWithinMs) unused.shift();
          expect(unused.shift()).toBeLessThanOrEqual(at);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a Redis farther away than a permit lasts does not keep the provider from being called', async () => {
    const { taken, work } = play({ limits, callMs: 5, gate: { paceMs: 10, thereMs: 30, backMs: 30 } });
    await work(10);
    await pass(2_000);
    expect(taken).toHaveLength(10);
  });

  test('once the way is known, one slow answer voids nothing', async () => {
    const { gate, taken, work } = play({ limits, callMs: 1, gate: { paceMs: 40 } });
    await work(1);
    await pass(100);
    gate.thereMs = 30;
    await work(3);
    await pass(400);
    expect(taken).toHaveLength(4);
    expect(gate.starts).toHaveLength(4);
  });

  test('what cannot be used in time goes back', async () => {
    const { gate, demand, work } = play({ limits, gate: { paceMs: 10 } });
    await work(3);
    demand.ready = 0;
    await pass(holdTtlMs / 3);
    const granted = gate.starts.length;
    const used = demand.inFlight;
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(granted - used);
  });
});

describe('how many at once', () => {
  test('never more than slots, nor, while an answer is due, than it promised to keep', async () => {
    const { gate, taken, work } = play({ callMs: 30, gate: { slots: 5, backMs: 7 } });
    for (let i = 0; i < 20; i++) {
      gate.slots = 2 + (i % 4);
      await work(5);
      await pass(20);
    }
    expect(taken.length).toBeGreaterThan(20);
    expect(Math.max(...taken.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(5);
    expect(taken.some(({ isAsking }) => isAsking)).toBe(true);
  });

  test('after a lost answer it keeps to what it promised: the others may have the rest by now', async () => {
    const { gate, demand, taken, work, pump, end } = play({ gate: { slots: 4 } });
    await work(8);
    expect(demand.inFlight).toBe(4);
    // Its other lanes are gone, and permits are left over.
    demand.ready = 0;
    for (const { permit } of taken.slice()) end(permit);
    gate.isLosing = true;
    await pass(60);
    expect(gate.requests.at(-1)).toMatchObject({ keepSlots: 0 });
    demand.ready = 4;
    pump();
    expect(demand.inFlight).toBe(0);
  });

  test('comes down to its fair share as calls end, and gives the rest up at once', async () => {
    const { gate, demand, taken, work, end } = play({ gate: { slots: 8 } });
    await work(20);
    expect(demand.inFlight).toBe(8);
    gate.fairSlots = 3;
    await pass(holdTtlMs / 3);
    for (const { permit } of taken.slice(0, 6)) {
      end(permit);
      await pass(1);
    }
    expect(demand.inFlight).toBe(3);
    expect(gate.requests.at(-1)?.keepSlots).toBe(3);
  });

  test('asks for more slots as soon as it has more to do, also while all it has are busy', async () => {
    const { demand, work } = play({ limits, gate: { slots: 8 } });
    await work(1);
    expect(demand.inFlight).toBe(1);
    await work(5);
    await pass(5);
    expect(demand.inFlight).toBe(6);
  });

  test('idle, it gives its slots up soon, and is then silent', async () => {
    const { gate, demand, taken, work, end } = play();
    await work(1);
    end((taken[0] as { permit: Permit }).permit);
    await pass(1_100);
    expect(gate.requests.at(-1)).toMatchObject({ wantSlots: 0, keepSlots: 0, succeeded: 1 });
    const before = gate.requests.length;
    await pass(60_000);
    expect(gate.requests).toHaveLength(before);
    expect(vi.getTimerCount()).toBe(0);
    expect(demand.inFlight).toBe(0);
  });

  test('while all slots are others’ it asks for one again and again, and for no permits that it could not use', async () => {
    const { stock, gate, work } = play({ gate: { slots: 0 } });
    await work(5);
    await pass(100);
    expect(gate.requests.length).toBeGreaterThan(2);
    expect(gate.requests.length).toBeLessThan(10);
    expect(gate.requests.slice(1).map(({ want }) => want)).toEqual(gate.requests.slice(1).map(() => 0));
    expect(stock.take(0)).toBeUndefined();
    // What came with the first answer went back.
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(gate.requests[0]?.want);

    gate.slots = 4;
    await pass(50);
    expect(gate.requests.at(-1)?.want).toBeGreaterThan(0);
  });

  test('permits left over when it gives up its slots do not keep it from asking when there is work again', async () => {
    const { demand, work } = play({ callMs: 1 });
    await work(5);
    demand.ready = 0;
    await pass(200);
    await work(5);
    await pass(5);
    expect(demand.inFlight + demand.ready).toBe(0);
  });

  test('long calls keep their slots: it reports within the life of its hold', async () => {
    const { gate, work } = play();
    await work(2);
    const before = gate.requests.length;
    await pass(holdTtlMs * 2);
    expect(gate.requests.length - before).toBeGreaterThanOrEqual(5);
    expect(gate.requests.slice(before).every(({ keepSlots }) => keepSlots >= 2)).toBe(true);
  });
});

describe('when the gate says no', () => {
  test('waits as long as it was told, and asks then', async () => {
    const { gate, work, taken } = play({ gate: { refusal: { refusedBy: 'paused', retryInMs: 2_000 } } });
    await work(3);
    expect(gate.requests).toHaveLength(1);
    gate.refusal = undefined;
    await pass(1_900);
    expect(taken).toHaveLength(0);
    await pass(200);
    expect(taken).toHaveLength(3);
    expect(gate.requests.filter(({ want }) => want > 0)).toHaveLength(2);
  });

  test('calls that end during a long refusal are reported all the same', async () => {
    const { gate, work, taken, end } = play({ gate: { slots: 4 } });
    await work(2);
    gate.refusal = { refusedBy: 'quota', retryInMs: 600_000 };
    await work(2);
    end((taken[0] as { permit: Permit }).permit);
    await pass(1_000);
    expect(gate.requests.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(1);
    const before = gate.requests.length;
    await pass(holdTtlMs);
    expect(gate.requests.length - before).toBeGreaterThanOrEqual(2);
    expect(gate.requests.slice(before).every(({ want, keepSlots }) => want === 0 && keepSlots >= 1)).toBe(true);
  });

  test('a refusal longer than a timer can wait does not keep a processor busy', async () => {
    const { work, pumps } = play({ gate: { refusal: { refusedBy: 'quota', retryInMs: 40 * 86_400_000 } } });
    await work(1);
    await pass(10_000);
    expect(pumps()).toBeLessThan(30);
  });

  test('revoked permits are not used; an answer under way at that moment is void, too', async () => {
    const { gate, stock, demand, taken, work } = play({ limits, gate: { paceMs: 20 } });
    await work(6);
    expect(taken).toHaveLength(1);
    gate.refusal = { refusedBy: 'paused', retryInMs: 5_000 };
    stock.revoke();
    await pass(400);
    expect(taken).toHaveLength(1);
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(gate.starts.length - 1);

    gate.refusal = undefined;
    gate.backMs = 50;
    stock.revoke();
    await pass(10);
    stock.revoke();
    expect(demand.inFlight).toBe(1);
    await pass(45);
    expect(taken).toHaveLength(1);
    await pass(300);
    expect(taken.length).toBeGreaterThan(1);
  });

  test('a pause is told at once, and again if the answer was lost; the longest of several wins', async () => {
    const { gate, stock, work } = play();
    await work(1);
    gate.isLosing = true;
    stock.pause(1_000, 'rate_limited');
    stock.pause(9_000, 'rate_limited');
    await pass(1);
    gate.isLosing = false;
    await pass(600);
    expect(gate.requests.flatMap(({ pause }) => pause?.ms ?? [])).toEqual([1_000, 9_000]);
  });
});

describe('what is told', () => {
  test('the end of every call once, by the epoch of its permit; calls of an older one are not told', async () => {
    const { gate, taken, end, work, stock } = play();
    await work(4);
    const [first, second, third] = taken.map(({ permit }) => permit) as [Permit, Permit, Permit];
    stock.report(first, true);
    end(second);
    await pass(300);
    const told = () =>
      gate.requests.reduce((sum, { succeeded, failed }) => [sum[0] + succeeded, sum[1] + failed] as [number, number], [0, 0] as [
        number,
        number,
      ]);
    expect(told()).toEqual([1, 1]);
    gate.epoch = 7;
    await pass(holdTtlMs);
    stock.report(third, true);
    await pass(holdTtlMs);
    expect(told()).toEqual([1, 1]);
    expect(gate.requests.at(-1)?.epoch).toBe(7);
  });

  test('ends are told again after a lost answer; returned permits are not', async () => {
    const { gate, taken, end, work, stock } = play();
    await work(2);
    stock.giveBack();
    end((taken[0] as { permit: Permit }).permit);
    gate.isLosing = true;
    await pass(250);
    gate.isLosing = false;
    await pass(1_000);
    const sent = gate.requests.filter(({ succeeded }) => succeeded > 0);
    expect(sent.length).toBeGreaterThanOrEqual(2);
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(1);
  });

  test('a permit that nothing was there for serves the next call', async () => {
    const { gate, stock, taken, end, work } = play({ limits, gate: { paceMs: 1_000 } });
    await work(1);
    const { permit } = taken[0] as { permit: Permit };
    stock.putBack(permit);
    expect(stock.take(0)).toBe(permit);
    expect(gate.starts).toHaveLength(1);
    end(permit);
  });
});

describe('when Redis is away', () => {
  test('asks four times a second, not in a loop, and goes on when it is back', async () => {
    const { gate, work, taken, errors } = play({ gate: { isLosing: true } });
    await work(3);
    await pass(2_000);
    expect(errors()).toBeGreaterThan(4);
    expect(errors()).toBeLessThan(12);
    expect(taken).toHaveLength(0);
    gate.isLosing = false;
    await pass(500);
    expect(taken).toHaveLength(3);
  });

  test('with nothing to do but a report that cannot be sent, it does not spin', async () => {
    const { gate, taken, end, work, errors } = play();
    await work(1);
    gate.isLosing = true;
    end((taken[0] as { permit: Permit }).permit);
    await pass(5_000);
    expect(errors()).toBeLessThan(25);
    gate.isLosing = false;
    await pass(2_500);
    expect(gate.requests.at(-1)).toMatchObject({ succeeded: 1 });
    const before = gate.requests.length;
    await pass(10_000);
    expect(gate.requests).toHaveLength(before);
  });

  test('when its hold has run out it starts nothing more', async () => {
    const { gate, demand, taken, work, pump, end } = play({ gate: { slots: 4 } });
    await work(4);
    gate.thereMs = 1_000_000;
    await pass(holdTtlMs);
    for (const { permit } of [...taken]) end(permit);
    demand.ready = 4;
    pump();
    expect(demand.inFlight).toBe(0);
  });
});

test('closed, it gives its slots up, so that nobody waits for its hold to end; where it has none, it says nothing', async () => {
  const { stock, gate, work } = play();
  await work(3);
  await stock.close();
  expect(gate.hasLeft).toBe(true);
  const idle = play();
  await idle.stock.close();
  expect(idle.gate.hasLeft).toBe(false);
});

test('closed, it leaves no timer behind, whatever answer still comes', async () => {
  const { stock, work } = play({ gate: { backMs: 100 } });
  await work(3);
  await stock.close();
  await pass(1_000);
  expect(vi.getTimerCount()).toBe(0);
});

describe('what the provider says of its limits', () => {
  test('is told once, with the next question, and of several calls by the one that was sent last', async () => {
    const { stock, gate, work } = play({ callMs: 5 });
    const [sentAt, perMs] = [Date.now(), 10_000];
    await pass(50);
    stock.observe([{ perMs, remaining: 40 }], sentAt + 20);
    stock.observe([{ perMs, remaining: 90 }], sentAt + 10);
    await pass(30);
    await work(1);
    expect(gate.requests.at(-1)?.budgets).toEqual([{ perMs, remaining: 40, sentMsAgo: 60, answeredMsAgo: 30 }]);
    await pass(2_000);
    await work(1);
    expect(gate.requests.at(-1)?.budgets).toBeUndefined();
  });

  test('throttling answers are counted, pauses for other reasons are not', async () => {
    const { stock, gate } = play({ callMs: 5, ready: 1 });
    await pass(50);
    stock.pause(100, 'rate_limited');
    await pass(10);
    expect(gate.requests.at(-1)?.throttled).toBe(1);
    stock.pause(100, 'the credentials are refused');
    await pass(10);
    expect(gate.requests.at(-1)).not.toHaveProperty('throttled');
  });
});
