/** A stock of permits and the gate: what it tells, and what it does with a no or without an answer. */
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
    await pass(1_000);
    expect(gate.requests.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(1);
    const before = gate.requests.length;
    await pass(holdTtlMs);
    expect(gate.requests.length - before).toBeGreaterThanOrEqual(2);
    expect(gate.requests.slice(before).every(({ want, keepSlots }) => want === 0 && keepSlots >= 1)).toBe(true);
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
});

describe('what is told', () => {
  test('the end of every call once, by the epoch of its permit; calls of an older one are not told', async () => {
    const { gate, taken, end, work, stock } = playStock();
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

  test('without limits nobody waits for what is told: a slow provider costs about one question a second', async () => {
    const { gate, work } = playStock({ callMs: 250, gate: { slots: 2 } });
    await work(100);
    await pass(9_500);
    expect(gate.requests.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBeGreaterThan(60);
    expect(gate.requests.length).toBeLessThan(14);
  });

  test('ends are told again after a lost answer; returned permits are not', async () => {
    const { gate, taken, end, work, stock } = playStock({ limits });
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
    const { gate, stock, taken, end, work } = playStock({ limits, gate: { paceMs: 1_000 } });
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

describe('what the provider says of its limits', () => {
  test('is told once, with the next question, and of several calls by the one that was sent last', async () => {
    const { stock, gate, work } = playStock({ callMs: 5 });
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
    const { stock, gate } = playStock({ callMs: 5, ready: 1 });
    await pass(50);
    stock.pause(100, 'rate_limited');
    await pass(10);
    expect(gate.requests.at(-1)?.throttled).toBe(1);
    stock.pause(100, 'the credentials are refused');
    await pass(10);
    expect(gate.requests.at(-1)).not.toHaveProperty('throttled');
  });
});
