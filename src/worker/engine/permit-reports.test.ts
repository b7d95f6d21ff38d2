/** What a stock of permits tells the gate: how calls ended, what came back, what the provider said. */
import { describe, expect, test } from 'vitest';
import { holdTtlMs, limits, pass, playStock } from '../../../test/support/played-stock.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Permit } from './call-under-way.ts';

useFakeTimers();

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

  test('that a probe ended without telling anything: once, again after a lost answer, not after a newer opening', async () => {
    const probesEnded = ({ gate }: ReturnType<typeof playStock>) => gate.requests.map(({ probeEnded }) => probeEnded === true);
    for (const end of ['giveBack', 'passOver'] as const) {
      const played = playStock({ gate: { breaker: 'half_open', epoch: 7 } });
      const { stock, gate, taken, work, pump } = played;
      await work(1);
      const { permit } = taken[0] as { permit: Permit };
      gate.isLosing = true;
      stock[end](permit);
      pump();
      await pass(200);
      gate.isLosing = false;
      await pass(1_000);
      expect(probesEnded(played)).toEqual([false, true, true]);
      stock[end](permit);
      pump();
      await pass(5_000);
      expect(probesEnded(played).slice(3)).not.toContain(true);
    }
    for (const isTold of [true, false]) {
      const played = playStock({ gate: { breaker: 'half_open', epoch: 7, backMs: 20 } });
      await played.work(1);
      await pass(20);
      played.gate.epoch = 8;
      played.stock.revoke();
      played.stock.pause(1, 'x');
      // The opening is heard of before the probe ends, or after.
      if (isTold) await pass(100);
      played.stock.passOver((played.taken[0] as { permit: Permit }).permit);
      await pass(100);
      played.pump();
      await pass(5_000);
      expect(probesEnded(played)).not.toContain(true);
    }
  });

  test('failures at once where they are a quarter of the calls that open the breaker, and most of those to be told', async () => {
    const { gate, taken, stock, work, pump } = playStock();
    stock.policy = { limits: [], maxConcurrency: 8, breaker: { failureRate: 0.5, minCalls: 8, windowMs: 10_000, openMs: 1_000 } };
    await work(8);
    const ends = async (...failures: boolean[]) => {
      const before = gate.requests.length;
      for (const hasFailed of failures) stock.report((taken.shift() as { permit: Permit }).permit, hasFailed);
      pump();
      await pass(1);
      return gate.requests.slice(before).map(({ succeeded, failed }) => [succeeded, failed]);
    };
    expect(await ends(true)).toEqual([]);
    expect(await ends(true)).toEqual([[0, 2]]);
    expect(await ends(false, false, false, true, true)).toEqual([]);
    expect(await ends(true)).toEqual([[3, 3]]);
  });

  test('what became of the probe at once, and again as soon as Redis is back where the answer was lost', async () => {
    const { gate, taken, work, end } = playStock({ gate: { breaker: 'half_open', epoch: 7 } });
    await work(1);
    gate.breaker = 'closed';
    gate.isLosing = true;
    end((taken[0] as { permit: Permit }).permit);
    await pass(1);
    gate.isLosing = false;
    await pass(260);
    expect(gate.requests.slice(1).map(({ succeeded }) => succeeded)).toEqual([1, 1]);
    await work(1);
    end((taken[1] as { permit: Permit }).permit);
    await pass(100);
    expect(gate.requests.slice(3).map(({ succeeded }) => succeeded)).not.toContain(1);
  });

  test('a permit granted into an answer that is void goes back, and a probe with it', async () => {
    const { stock, gate, work } = playStock({ gate: { backMs: 20, breaker: 'half_open' } });
    await work(1);
    stock.revoke();
    gate.refusal = { refusedBy: 'breaker', retryInMs: 60_000 };
    await pass(100);
    expect(gate.requests[1]).toMatchObject({ returned: 1, probeEnded: true });
  });

  test('an epoch that begins again, as the gate forgets an account that nobody used, is the one that counts', async () => {
    const { gate, stock, taken, work } = playStock({ ready: 0, gate: { epoch: 7 } });
    await work(1);
    stock.report((taken[0] as { permit: Permit }).permit, true);
    gate.epoch = 0;
    await pass(holdTtlMs);
    await work(1);
    const { permit } = taken.at(-1) as { permit: Permit };
    stock.report(permit, true);
    await pass(holdTtlMs);
    expect(gate.requests.filter(({ failed }) => failed > 0).map(({ epoch }) => epoch)).toEqual([7, 0]);
  });

  test('without limits nobody waits for what is told: a slow provider costs about one question in two seconds', async () => {
    const { gate, work } = playStock({ callMs: 250, gate: { slots: 2 } });
    await work(100);
    await pass(9_500);
    expect(gate.requests.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBeGreaterThan(60);
    expect(gate.requests.length).toBeLessThan(10);
  });

  test('without limits an account that is called now and then costs one question in two seconds, and keeps its slots in between', async () => {
    const { gate, work, taken } = playStock({ callMs: 5, gate: { slots: 8 } });
    for (let i = 0; i < 80; i++) {
      await work(1);
      await pass(124);
    }
    expect(taken).toHaveLength(80);
    expect(gate.requests.length).toBeLessThan(10);
    expect(gate.requests.slice(1).every(({ keepSlots }) => keepSlots > 0)).toBe(true);
    await pass(1_500);
    expect(gate.requests.at(-1)).toMatchObject({ keepSlots: 0, wantSlots: 0 });
  });

  test('where answers tell what is left, no more is asked for than there is to call', async () => {
    const { stock, gate, work } = playStock({ callMs: 5 });
    stock.observe([{ perMs: 86_400_000, requests: 5_000, remaining: 20, resetInMs: undefined }], 0);
    await work(3);
    expect(gate.requests[0]).toMatchObject({ want: 3 });
  });

  describe('permits that were granted without limits are not told as returned when there are some', () => {
    const limited = { limits, maxConcurrency: 8, breaker: { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 1_000 } };
    const returned = ({ gate }: ReturnType<typeof playStock>) => gate.requests.reduce((sum, request) => sum + request.returned, 0);

    test('those in stock', async () => {
      const played = playStock({ callMs: 5 });
      await played.work(1);
      played.stock.policy = limited;
      await pass(5_000);
      expect(played.gate.starts.length).toBeGreaterThan(20);
      expect(returned(played)).toBe(0);
    });

    test('those of a question that is under way', async () => {
      const played = playStock({ gate: { backMs: 50 } });
      await played.work(3);
      played.stock.policy = limited;
      await pass(5_000);
      expect(returned(played)).toBe(0);
    });

    test('those that came back and are not told yet', async () => {
      const played = playStock();
      await played.work(3);
      for (const { permit } of played.taken) played.stock.giveBack(permit);
      played.stock.policy = limited;
      await pass(5_000);
      expect(returned(played)).toBe(0);
    });

    test('those in hand', async () => {
      const played = playStock();
      await played.work(3);
      played.stock.policy = limited;
      for (const { permit } of played.taken) played.stock.putBack(permit);
      await pass(5_000);
      expect(returned(played)).toBe(0);
    });

    test('those of before an answer told what is left', async () => {
      const played = playStock({ callMs: 5 });
      await played.work(1);
      played.stock.observe([{ perMs: 86_400_000, requests: 5_000, remaining: 20, resetInMs: undefined }], 0);
      await pass(60_000);
      expect(returned(played)).toBe(0);
    });
  });

  test('where the limits stay the same, permits that come back are told, whatever else of the policy changes', async () => {
    const { stock, gate, work, taken } = playStock({ limits });
    await work(3);
    stock.policy = { limits: structuredClone(limits), maxConcurrency: 7, breaker: { failureRate: 1, minCalls: 9, windowMs: 9, openMs: 9 } };
    for (const { permit } of taken) stock.giveBack(permit);
    await pass(5_000);
    expect(gate.requests.reduce((sum, { returned }) => sum + returned, 0)).toBe(taken.length);
  });

  test('ends are told again after a lost answer; returned permits are not', async () => {
    const { gate, taken, end, work, stock } = playStock({ limits });
    await work(3);
    const [unused, used, failing] = taken.map(({ permit }) => permit) as [Permit, Permit, Permit];
    stock.giveBack(unused);
    stock.report(failing, true);
    end(used);
    gate.isLosing = true;
    await pass(250);
    gate.isLosing = false;
    await pass(1_000);
    const sent = gate.requests.filter(({ succeeded, failed }) => succeeded === 1 && failed === 1);
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

  test('throttling answers are told again after a lost answer, with those that came since', async () => {
    const { stock, gate } = playStock({ callMs: 5, ready: 1 });
    await pass(50);
    gate.isLosing = true;
    stock.pause(100, 'rate_limited');
    await pass(10);
    stock.pause(100, 'rate_limited');
    gate.isLosing = false;
    await pass(500);
    expect(gate.requests.flatMap(({ throttled = 0 }) => (throttled > 0 ? [throttled] : []))).toEqual([1, 2]);
  });
});
