/** A stock of permits and the gate: what it does with a no, with an announcement, or without an answer. */
import { describe, expect, test } from 'vitest';
import { holdTtlMs, limits, pass, playStock } from '../../../test/support/played-stock.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Permit } from './call-under-way.ts';

useFakeTimers();

describe('when the gate says no', () => {
  test('waits as long as it was told, and asks then', async () => {
    const { gate, work, taken } = playStock({ gate: { refusal: { refusedBy: 'paused', retryInMs: 2_000 } } });
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
    const { gate, work, taken, end } = playStock({ gate: { slots: 4 } });
    await work(2);
    gate.refusal = { refusedBy: 'quota', retryInMs: 600_000 };
    await work(2);
    end((taken[0] as { permit: Permit }).permit);
    await pass(2_000);
    expect(gate.requests.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(1);
    const before = gate.requests.length;
    await pass(holdTtlMs);
    expect(gate.requests.length - before).toBeGreaterThanOrEqual(2);
    expect(gate.requests.slice(before).every(({ want, keepSlots }) => want === 0 && keepSlots >= 1)).toBe(true);
  });

  test('a lifted pause whose announcement was lost is noticed by the next report, others’ refusals are waited out', async () => {
    for (const refusedBy of ['paused', 'quota'] as const) {
      const { gate, work, taken, lifted } = playStock({ gate: { refusal: { refusedBy, retryInMs: 3_600_000 } } });
      await work(3);
      gate.refusal = undefined;
      await pass(holdTtlMs / 3 + 10);
      expect([taken.length, lifted()]).toEqual(refusedBy === 'paused' ? [3, 1] : [0, 0]);
    }
  });

  test('a pause that ends in its time, or is made longer, is not taken for one that was lifted', async () => {
    const { gate, work, taken, lifted, stock } = playStock({ gate: { refusal: { refusedBy: 'paused', retryInMs: 5_000 } } });
    await work(3);
    stock.revoke();
    await pass(1);
    gate.refusal = { refusedBy: 'paused', retryInMs: 8_000 };
    stock.revoke();
    await pass(7_999);
    gate.refusal = undefined;
    await pass(holdTtlMs);
    expect([taken.length, lifted()]).toEqual([3, 0]);
  });

  test('when announcements may have been missed, it asks at once whether a pause was lifted, even with nothing to do', async () => {
    const { gate, work, demand, stock, lifted, pump } = playStock({ gate: { refusal: { refusedBy: 'paused', retryInMs: 3_600_000 } } });
    await work(1);
    demand.ready = 0;
    pump();
    await pass(2_000);
    gate.refusal = undefined;
    gate.isLosing = true;
    stock.catchUp();
    await pass(100);
    expect(lifted()).toBe(0);
    gate.isLosing = false;
    await pass(300);
    expect(lifted()).toBe(1);
    const before = gate.requests.length;
    stock.catchUp();
    await pass(10_000);
    expect(gate.requests).toHaveLength(before);
  });

  test('now and then it asks whether a pause was lifted; where there is none, it asks nothing', async () => {
    const { gate, work, demand, stock, lifted, pump } = playStock({ gate: { refusal: { refusedBy: 'paused', retryInMs: 3_600_000 } } });
    await work(1);
    demand.ready = 0;
    pump();
    await pass(2_000);
    stock.checkPause();
    await pass(100);
    expect(lifted()).toBe(0);
    gate.refusal = undefined;
    stock.checkPause();
    await pass(100);
    expect(lifted()).toBe(1);
    const before = gate.requests.length;
    stock.checkPause();
    await pass(10_000);
    expect(gate.requests).toHaveLength(before);
  });

  test('a refusal longer than a timer can wait does not keep a processor busy', async () => {
    const { work, pumps } = playStock({ gate: { refusal: { refusedBy: 'quota', retryInMs: 40 * 86_400_000 } } });
    await work(1);
    await pass(10_000);
    expect(pumps()).toBeLessThan(30);
  });

  test('revoked permits are not used; an answer under way at that moment is void, too', async () => {
    const { gate, stock, demand, taken, work } = playStock({ limits, gate: { paceMs: 20 } });
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
    const { gate, stock, work } = playStock();
    await work(1);
    gate.isLosing = true;
    stock.pause(1_000, 'rate_limited');
    stock.pause(9_000, 'rate_limited');
    await pass(1);
    gate.isLosing = false;
    await pass(600);
    expect(gate.requests.flatMap(({ pause }) => pause?.ms ?? [])).toEqual([1_000, 9_000]);
  });

  test('a pause whose telling was lost is told again, also where a shorter one was asked for meanwhile', async () => {
    const { gate, stock, work } = playStock({ gate: { backMs: 50 } });
    await work(1);
    await pass(100);
    gate.isLosing = true;
    stock.pause(600_000, 'rate_limited');
    await pass(10);
    stock.pause(1_000, 'rate_limited');
    await pass(100);
    gate.isLosing = false;
    await pass(5_000);
    expect(gate.requests.flatMap(({ pause }) => pause?.ms ?? [])).toEqual([600_000, 600_000]);
  });

  test.each(['the credentials are refused', 'rate_limited'])(
    'a pause (%s) that was not told when what was refused is mended is told only where it is for throttling',
    async (reason) => {
      const { gate, stock, work } = playStock({ gate: { backMs: 20 } });
      await work(1);
      stock.pause(60_000, reason);
      stock.lift({ isElsewhere: false });
      await pass(100);
      expect(gate.lifted).toHaveLength(1);
      expect(gate.requests.flatMap(({ pause }) => pause?.reason ?? [])).toEqual(reason === 'rate_limited' ? [reason] : []);
    },
  );

  test('a pause whose telling was lost is not told again when what was refused has been mended', async () => {
    const { gate, stock, work } = playStock({ gate: { backMs: 20, isLosing: true } });
    await work(0);
    stock.pause(60_000, 'the credentials are refused');
    await pass(10);
    stock.lift({ isElsewhere: false });
    await pass(100);
    gate.isLosing = false;
    await pass(1_000);
    expect(gate.requests.map(({ pause }) => pause?.ms ?? 0).filter((ms) => ms > 0)).toEqual([60_000]);
  });
});

describe('a permit is not used once a pause or an opening was heard of', () => {
  const heard = [
    { of: 'an announcement', hear: ({ stock }: ReturnType<typeof playStock>) => stock.revoke() },
    { of: 'an answer that says paused', refusal: { refusedBy: 'paused', retryInMs: 60_000 } as const },
    { of: 'an answer that says that the breaker is open', refusal: { refusedBy: 'breaker', retryInMs: 60_000 } as const },
    { of: 'an answer that names a newer opening', epoch: 7 },
  ];
  test.each(heard)('by $of: neither from stock nor in hand, nor when it is put back', async ({ hear, refusal, epoch }) => {
    const played = playStock({ gate: { slots: 4 } });
    const { stock, gate, demand, taken, work } = played;
    await work(4);
    const { permit } = taken[0] as { permit: Permit };
    // All slots are busy: what is granted for a fifth call stays in stock.
    await work(1);
    demand.ready = 0;
    expect([taken.length, permit.series?.isRevoked]).toEqual([4, false]);
    Object.assign(gate, { refusal: refusal ?? { refusedBy: 'rate', retryInMs: 60_000 }, epoch: epoch ?? 0 });
    if (hear) hear(played);
    else await pass(holdTtlMs / 3);
    expect(permit.series?.isRevoked).toBe(true);
    stock.putBack(permit);
    expect(stock.take(0)).toBeUndefined();
    await pass(holdTtlMs);
    // Three calls are under way still.
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(gate.starts.length - 3);
  });
});

describe('when Redis is away', () => {
  test('asks four times a second, not in a loop, and goes on when it is back', async () => {
    const { gate, work, taken, errors } = playStock({ gate: { isLosing: true } });
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
    const { gate, taken, end, work, errors } = playStock();
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
    const { gate, demand, taken, work, pump, end } = playStock({ gate: { slots: 4 } });
    await work(4);
    gate.thereMs = 1_000_000;
    await pass(holdTtlMs);
    for (const { permit } of [...taken]) end(permit);
    demand.ready = 4;
    pump();
    expect(demand.inFlight).toBe(0);
  });
});
