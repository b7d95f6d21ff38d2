import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Gates, gatePolicy, gateRequest, startGates } from '../../../test/support/gate.ts';
import { type ClockedGates, startClockedGates } from '../../../test/support/gate-clock.ts';
import type { RateLimit } from '../providers/config.ts';
import type { BudgetReport } from './budgets.ts';

let gates: Gates;
let clock: ClockedGates;
let tests = 0;
const hourMs = 3_600_000;
const hourly = { requests: 1_000, perMs: hourMs, burst: 1_000 };
const daily = { requests: 100_000, perMs: 24 * hourMs, burst: 100_000 };
/** The answer has just come, to a request just sent. */
const fresh = { answeredMsAgo: 0, sentMsAgo: 0 };

beforeAll(async () => {
  gates = await startGates('budgets:');
});
afterAll(() => gates.stop());
beforeEach(async () => {
  clock = await startClockedGates(gates.redis, `budgets${++tests}:`);
});

const ask = (limits: RateLimit[], want: number, budgets: BudgetReport[] = [], returned = 0) =>
  clock.worker('a').acquire('crm', gatePolicy({ limits }), gateRequest({ want, budgets, returned }));
const granted = async (...args: Parameters<typeof ask>) => (await ask(...args)).startsMs.length;
const peek = (limits: RateLimit[]) => clock.worker('a').peek('crm', { limits });
const effective = async (limit: RateLimit) => (await peek([limit])).windows[0]?.effective;

/** All that is to be had at this moment. */
async function drain(limits: RateLimit[]): Promise<number> {
  for (let sum = 0; ; ) {
    const count = await granted(limits, 500);
    if (count === 0) return sum;
    sum += count;
  }
}

test('what others use of a configured limit is not ours', async () => {
  await granted([hourly], 200);
  await clock.passed(1_000);
  await ask([hourly], 0, [{ perMs: hourMs, requests: 1_000, remaining: 500, ...fresh }]);
  expect(await effective(hourly)).toBe(700);
  expect(await drain([hourly])).toBe(500);
});

test('calls that the answer may not have counted come off what remains', async () => {
  await granted([hourly], 200);
  await clock.passed(1_000);
  await granted([hourly], 30);
  await clock.passed(300);
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 500, answeredMsAgo: 0, sentMsAgo: 400 }]);
  expect(await drain([hourly])).toBe(470);
});

test('in counted windows, too', async () => {
  for (let i = 0; i < 10; i += 1) await granted([daily], 500);
  await ask([daily], 0, [{ perMs: daily.perMs, requests: 100_000, remaining: 94_000, ...fresh }]);
  await granted([daily], 500);
  await clock.passed(2 * hourMs);
  await granted([daily], 70);
  await ask([daily], 0, [{ perMs: daily.perMs, requests: 100_000, remaining: 400, ...fresh }]);
  expect(await drain([daily])).toBe(330);
});

test('there, starts that were reserved for later than the report are not in it', async () => {
  const paced = { ...daily, burst: 1 };
  const report = { perMs: daily.perMs, requests: 100_000, resetInMs: hourMs, ...fresh };
  await ask([paced], 0, [{ ...report, remaining: 1_000 }]);
  const request = gateRequest({ want: 5, horizonMs: 5_000 });
  const { startsMs } = await clock.worker('a').acquire('crm', gatePolicy({ limits: [paced] }), request);
  expect(startsMs.map(Math.round)).toEqual([0, 864, 1_728, 2_592, 3_456]);
  await clock.passed(2_000);
  await ask([paced], 0, [{ ...report, remaining: 500 }]);
  expect((await peek([paced])).windows[0]?.left).toBe(498);
});

test('a budget of more than the configured limit changes nothing', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, requests: 5_000, remaining: 4_900, ...fresh }]);
  expect(await effective(hourly)).toBe(1_000);
  expect(await drain([hourly])).toBe(1_000);
});

test('a limit configured above what the provider has comes down to that, as if nobody else were there', async () => {
  const wide = { requests: 190, perMs: 10_000, burst: 190 };
  await ask([wide], 0, [{ perMs: 10_000, requests: 100, remaining: 100, answeredMsAgo: 0, sentMsAgo: 200 }]);
  expect(await effective(wide)).toBe(100);
});

test('without news the configured limit comes back within a window, slowly at first', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 200, ...fresh }]);
  const seen: (number | undefined)[] = [];
  for (let tenth = 0; tenth < 10; tenth += 1) {
    await clock.passed(hourMs / 10);
    seen.push(await effective(hourly));
  }
  expect(seen).toEqual([208, 232, 272, 328, 400, 488, 592, 712, 848, 1_000]);
  expect((await peek([hourly])).budgets).toEqual([]);
});

test('with nothing left nothing is granted, and one call goes when it may have become room', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 0, ...fresh }]);
  expect(await ask([hourly], 5)).toMatchObject({ startsMs: [], refusedBy: 'quota', retryInMs: 100 });
  await clock.passed(hourMs / 40);
  expect(await granted([hourly], 5)).toBe(0);
  await clock.passed(hourMs / 100);
  expect(await granted([hourly], 5)).toBe(1);
});

test('asking again is put off while there is no news, for ten seconds at most', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 0, ...fresh }]);
  const waits: (number | undefined)[] = [];
  for (const ms of [50, 350, 4_000, 20_000]) {
    await clock.passed(ms);
    waits.push((await ask([hourly], 5)).retryInMs);
  }
  expect(waits).toEqual([100, 400, 4_400, 10_000]);
});

test('newer reports win', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 100, ...fresh }]);
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 600, ...fresh }]);
  expect(await effective(hourly)).toBe(600);
});

test('a report that is older than the one known is no news', async () => {
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 100, ...fresh }]);
  await clock.passed(100);
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 600, answeredMsAgo: 300, sentMsAgo: 350 }]);
  expect(await effective(hourly)).toBe(100);
});

test('an old report that is the first one to arrive does not count calls since twice', async () => {
  await granted([hourly], 100);
  await clock.passed(500);
  const sentAt = clock.nowMs();
  await clock.passed(100);
  await granted([hourly], 50);
  await clock.passed(2_000);
  await ask([hourly], 0, [{ perMs: hourMs, remaining: 700, answeredMsAgo: 2_000, sentMsAgo: clock.nowMs() - sentAt }]);
  expect(await drain([hourly])).toBe(650);
});

test.each([{ limits: [hourly] }, { limits: [] }])(
  'until a reset no more than what remains is granted, then the limit is back',
  async ({ limits }) => {
    await granted(limits, 100);
    await clock.passed(3_000);
    await ask(limits, 0, [{ perMs: hourMs, requests: 1_000, remaining: 20, resetInMs: 60_000, ...fresh }]);
    expect(await granted(limits, 15)).toBe(15);
    expect(await granted(limits, 15)).toBe(5);
    await clock.passed(59_000);
    expect(await ask(limits, 15)).toMatchObject({ startsMs: [], refusedBy: 'quota', retryInMs: 1_000 });
    await clock.passed(1_001);
    expect(await granted(limits, 100)).toBe(100);
  },
);

test('room that comes back as our own calls leave the window does not make room before a reset', async () => {
  await granted([hourly], 500);
  await clock.passed(hourMs - 1_000);
  await ask([hourly], 0, [{ perMs: hourMs, requests: 1_000, remaining: 0, resetInMs: 600_000, ...fresh }]);
  await clock.passed(10_000);
  expect(await granted([hourly], 5)).toBe(0);
  expect((await peek([hourly])).windows[0]).toMatchObject({ effective: 0, left: 0 });
});

test('a report of a window that has ended meanwhile is no news', async () => {
  await ask([], 0, [{ perMs: hourMs, requests: 1_000, remaining: 0, resetInMs: 100, answeredMsAgo: 200, sentMsAgo: 300 }]);
  expect(await granted([], 5)).toBe(5);
});

test('a window that nobody configured is limited by what answers say of it', async () => {
  const report = { perMs: daily.perMs, requests: 100_000, remaining: 600, ...fresh };
  await ask([], 0, [report]);
  expect(await drain([])).toBe(600);
  expect((await ask([], 1)).refusedBy).toBe('quota');
  await clock.passed(3_000);
  await ask([], 0, [{ ...report, remaining: 40 }]);
  expect(await drain([])).toBe(40);
});

test('there, calls not yet seen come off the next report', async () => {
  await ask([], 0, [{ perMs: daily.perMs, requests: 100_000, remaining: 600, ...fresh }]);
  await granted([], 100);
  await clock.passed(2_500);
  await granted([], 30);
  await clock.passed(200);
  await ask([], 0, [{ perMs: daily.perMs, requests: 100_000, remaining: 500, answeredMsAgo: 0, sentMsAgo: 300 }]);
  expect(await drain([])).toBe(470);
});

test('there, without news room comes back slowly, and all of it after a window', async () => {
  await ask([], 0, [{ perMs: hourMs, requests: 10_000, remaining: 0, ...fresh }]);
  expect(await drain([])).toBe(0);
  await clock.passed(hourMs / 100 + 1);
  expect(await drain([])).toBe(1);
  await clock.passed(hourMs / 10);
  expect(await drain([])).toBe(120);
  await clock.passed(hourMs);
  expect(await granted([], 500)).toBe(500);
});

test('there, calls beyond what remained make no debt of hours, and those of them that come back unused make no room', async () => {
  await granted([], 100);
  await ask([], 0, [{ perMs: daily.perMs, requests: 60, remaining: 0, ...fresh }]);
  await ask([], 0, [], 70);
  expect(await drain([])).toBe(0);
  await clock.passed(daily.perMs * Math.sqrt(1 / 60) - 1_000);
  expect(await drain([])).toBe(0);
  await clock.passed(2_000);
  expect(await drain([])).toBe(1);
  expect(await drain([])).toBe(0);
});

test('there, permits returned unused are room again, never more than was said to remain', async () => {
  await ask([], 0, [{ perMs: hourMs, requests: 10_000, remaining: 10, resetInMs: hourMs, ...fresh }]);
  expect(await drain([])).toBe(10);
  await ask([], 0, [], 4);
  expect(await drain([])).toBe(4);
  await ask([], 0, [], 50);
  expect(await drain([])).toBe(10);
});

test('several windows hold at once, the configured limits among them', async () => {
  const limits = [{ requests: 50, perMs: 10_000, burst: 50 }];
  await ask(limits, 0, [
    { perMs: hourMs, requests: 1_000, remaining: 70, resetInMs: hourMs, ...fresh },
    { perMs: daily.perMs, requests: 9_000, remaining: 900, ...fresh },
  ]);
  expect(await drain(limits)).toBe(50);
  await clock.passed(10_041);
  expect(await drain(limits)).toBe(20);
});

test('peek tells what the newest answers said, and changes nothing', async () => {
  await ask([hourly], 0, [
    { perMs: hourMs, remaining: 300, ...fresh },
    { perMs: daily.perMs, requests: 9_000, remaining: 900, resetInMs: 5_000, ...fresh },
  ]);
  const answeredAtMs = clock.nowMs();
  const dump = () => gates.redis.dumpBuffer(clock.keys.gate('crm'));
  const before = await dump();
  expect((await peek([hourly])).budgets).toEqual([
    { perMs: hourMs, requests: undefined, remaining: 300, answeredAtMs, resetsAtMs: undefined },
    { perMs: daily.perMs, requests: 9_000, remaining: 900, answeredAtMs, resetsAtMs: answeredAtMs + 5_000 },
  ]);
  expect(await dump()).toEqual(before);
});

test('the account is kept as long as a budget counts, and clear forgets it', async () => {
  const report = { perMs: daily.perMs, requests: 9, remaining: 5, ...fresh };
  await gates.worker('a').acquire('real', gatePolicy(), gateRequest({ budgets: [report] }));
  expect(await gates.redis.pttl(gates.keys.gate('real'))).toBeGreaterThan(daily.perMs - 60_000);
  await gates.worker('a').clear('real');
  expect(await gates.redis.exists(gates.keys.gate('real'))).toBe(0);
});

test('nothing is kept of budgets and throttling where nobody reports them', async () => {
  await ask([hourly], 20);
  await ask([], 20);
  expect((await gates.redis.hkeys(clock.keys.gate('crm'))).filter((field) => !/^[bh]:/.test(field))).toEqual([]);
});

test('whatever is reported, no more is granted than configured, nor than the newest report left, then and until its reset', async () => {
  const report = fc.record({
    remaining: fc.integer({ min: 0, max: 60 }),
    resetInMs: fc.option(fc.integer({ min: 1, max: 12_000 }), { nil: undefined }),
    sentMsAgo: fc.integer({ min: 0, max: 800 }),
  });
  const step = fc.record({
    passed: fc.integer({ min: 0, max: 3_000 }),
    want: fc.integer({ min: 0, max: 70 }),
    throttled: fc.integer({ min: 0, max: 1 }),
    report: fc.option(report, { nil: undefined }),
  });
  const limit = { requests: 50, perMs: 10_000, burst: 20 };
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      const account = `any-${++runs}`;
      const starts: number[] = [];
      /** What the newest report left, and the last moment it speaks of: its own, or the one before the reset. */
      let newest = { left: 0, until: 0 };
      for (const { passed, want, throttled, report: said } of steps) {
        await clock.passed(passed);
        const now = clock.nowMs();
        const budgets = said ? [{ perMs: 10_000, requests: 60, answeredMsAgo: 0, ...said }] : [];
        const unseen = said ? starts.filter((start) => start > now - said.sentMsAgo).length : 0;
        const request = gateRequest({ want, horizonMs: 500, throttled, budgets });
        const grant = await clock.worker('a').acquire(account, gatePolicy({ limits: [limit] }), request);
        // Without a reset our own room may come back before the horizon: it has left the window by then.
        const back =
          said?.resetInMs === undefined ? starts.filter((start) => start > now - 10_000 && start <= now + 500 - 10_000).length : 0;
        if (said) {
          const lastsMs = said.resetInMs === undefined ? 0 : Math.min(said.resetInMs, 10_000) - 1;
          newest = { left: Math.max(0, said.remaining - unseen + back), until: now + lastsMs };
        }
        if (now <= newest.until) expect(grant.startsMs.length).toBeLessThanOrEqual(newest.left);
        newest.left -= grant.startsMs.length;
        for (const startMs of grant.startsMs) {
          const start = now + startMs;
          starts.push(start);
          expect(starts.filter((other) => other > start - 10_000).length).toBeLessThanOrEqual(50);
        }
      }
    }),
    { numRuns: 60 },
  );
});
