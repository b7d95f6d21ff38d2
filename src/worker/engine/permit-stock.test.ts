import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { holdTtlMs, limits, offsetMs, pass, playStock } from '../../../test/support/played-stock.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import { useWithinMs } from '../../shared/gate/limits.ts';
import type { Permit } from './call-under-way.ts';

useFakeTimers();

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
        const { gate, taken, work, stock } = playStock({ limits, callMs, gate: { paceMs } });
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
    const { taken, work } = playStock({ limits, callMs: 5, gate: { paceMs: 10, thereMs: 30, backMs: 30 } });
    await work(10);
    await pass(2_000);
    expect(taken).toHaveLength(10);
  });

  test('once the way is known, one slow answer voids nothing', async () => {
    const { gate, taken, work } = playStock({ limits, callMs: 1, gate: { paceMs: 40 } });
    await work(1);
    await pass(100);
    gate.thereMs = 30;
    await work(3);
    await pass(400);
    expect(taken).toHaveLength(4);
    expect(gate.starts).toHaveLength(4);
  });

  test('what cannot be used in time goes back', async () => {
    const { gate, demand, work } = playStock({ limits, gate: { paceMs: 10 } });
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
    const { gate, taken, work } = playStock({ callMs: 10, gate: { slots: 5, backMs: 15 } });
    for (let i = 0; i < 20; i++) {
      gate.slots = 2 + (i % 4);
      await work(5);
      await pass(20);
    }
    expect(taken.length).toBeGreaterThan(20);
    expect(Math.max(...taken.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(5);
    expect(taken.some(({ isAsking }) => isAsking)).toBe(true);
  });

  test('more to do than was told is told at once, whatever is in stock: the fair share known is that of what was told', async () => {
    const { gate, demand, work } = playStock({ gate: { slots: 1 } });
    await work(1);
    expect(gate.requests).toHaveLength(1);
    gate.slots = 4;
    await work(7);
    expect(gate.requests.at(-1)).toMatchObject({ wantSlots: 8 });
    expect(demand.inFlight).toBe(4);
  });

  test('where others want slots, those of one that calls now and then are not kept', async () => {
    const { gate, work } = playStock({ callMs: 5, gate: { slots: 4, fairSlots: 4 } });
    await work(4);
    for (let i = 0; i < 10; i++) {
      await pass(39);
      await work(1);
    }
    expect(gate.requests.filter(({ keepSlots, wantSlots }) => keepSlots === 0 && wantSlots === 0).length).toBeGreaterThan(3);
  });

  test('where others wait for their turn at slots that cannot be shared, the one who has them gives them up as soon as it is idle', async () => {
    const { gate, work } = playStock({ callMs: 5, gate: { slots: 8, doOthersWait: true } });
    await work(1);
    await pass(100);
    expect(gate.requests.at(-1)).toMatchObject({ keepSlots: 0, wantSlots: 0 });
  });

  test('who hears that others wait asks at once, and gives up what is idle; whoever has and wants nothing says nothing', async () => {
    const { stock, gate, work, taken, end } = playStock({ gate: { slots: 8 } });
    stock.sharesChanged();
    await work(1);
    await pass(100);
    stock.sharesChanged();
    await pass(1);
    expect(gate.requests.slice(1)).toEqual([expect.objectContaining({ keepSlots: 1, wantSlots: 1 })]);
    end((taken[0] as { permit: Permit }).permit);
    await pass(100);
    expect(gate.requests).toHaveLength(2);
    stock.sharesChanged();
    await pass(1);
    expect(gate.requests.slice(2)).toEqual([expect.objectContaining({ keepSlots: 0, wantSlots: 0 })]);
    stock.sharesChanged();
    await pass(60_000);
    expect(gate.requests).toHaveLength(3);
  });

  test('however often it hears so, it asks forty times a second at most, and again where the answer was lost', async () => {
    const { stock, gate, work } = playStock();
    await work(1);
    for (let ms = 0; ms < 1_000; ms += 5) {
      stock.sharesChanged();
      await pass(5);
    }
    expect(gate.requests.length).toBeGreaterThan(30);
    expect(gate.requests.length).toBeLessThanOrEqual(42);
    await pass(100);
    const before = gate.requests.length;
    gate.isLosing = true;
    stock.sharesChanged();
    await pass(100);
    gate.isLosing = false;
    await pass(1_000);
    expect(gate.requests).toHaveLength(before + 2);
  });

  test('who waited for a slot and has nothing to call any more takes its wish back', async () => {
    const { gate, work, demand, pump } = playStock({ gate: { slots: 0, fairSlots: 1 } });
    await work(3);
    await pass(10);
    demand.ready = 0;
    gate.isLosing = true;
    pump();
    await pass(500);
    gate.isLosing = false;
    await pass(1_000);
    expect(gate.requests.at(-1)).toMatchObject({ keepSlots: 0, wantSlots: 0 });
    const asked = gate.requests.length;
    await pass(holdTtlMs);
    expect(gate.requests).toHaveLength(asked);
  });

  test('after a lost answer it keeps to what it promised: the others may have the rest by now', async () => {
    const { gate, demand, taken, work, pump, end } = playStock({ gate: { slots: 4 } });
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
    const { gate, demand, taken, work, end } = playStock({ gate: { slots: 8 } });
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
    const { demand, work } = playStock({ limits, gate: { slots: 8 } });
    await work(1);
    expect(demand.inFlight).toBe(1);
    await work(5);
    await pass(5);
    expect(demand.inFlight).toBe(6);
  });

  test('idle, it gives its slots up soon, and is then silent', async () => {
    const { gate, demand, taken, work, end } = playStock();
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
    const { stock, gate, work } = playStock({ gate: { slots: 0 } });
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
    const { demand, work } = playStock({ callMs: 1 });
    await work(5);
    demand.ready = 0;
    await pass(200);
    await work(5);
    await pass(5);
    expect(demand.inFlight + demand.ready).toBe(0);
  });

  test('long calls keep their slots: it reports within the life of its hold', async () => {
    const { gate, work } = playStock();
    await work(2);
    const before = gate.requests.length;
    await pass(holdTtlMs * 2);
    expect(gate.requests.length - before).toBeGreaterThanOrEqual(5);
    expect(gate.requests.slice(before).every(({ keepSlots }) => keepSlots >= 2)).toBe(true);
  });
});

test('closed, it gives up its slots or its wish for some, so that nobody waits for its hold to end; where it has none, it says nothing', async () => {
  const { stock, gate, work } = playStock();
  await work(3);
  await stock.close();
  expect(gate.hasLeft).toBe(true);
  const waiting = playStock({ gate: { slots: 0, fairSlots: 1 } });
  await waiting.work(3);
  await pass(10);
  await waiting.stock.close();
  expect(waiting.gate.hasLeft).toBe(true);
  const idle = playStock();
  await idle.stock.close();
  expect(idle.gate.hasLeft).toBe(false);
});

test('closed, it leaves no timer behind, whatever answer still comes', async () => {
  const { stock, work } = playStock({ gate: { backMs: 100 } });
  await work(3);
  await stock.close();
  await pass(1_000);
  expect(vi.getTimerCount()).toBe(0);
});
