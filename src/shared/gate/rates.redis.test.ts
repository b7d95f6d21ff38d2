import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gates, gatePolicy, gateRequest, startGates, startsUs } from '../../../test/support/gate.ts';
import { maxInWindow } from '../../../test/support/rolling-window.ts';
import type { RateLimit } from '../providers/config.ts';
import { maxPermits } from './acquire.ts';
import type { Gate } from './gate.ts';
import { marginMs } from './limits.ts';

let gates: Gates;
let gate: Gate;
let accounts = 0;
const hourMs = 3_600_000;
const newAccount = () => `account-${++accounts}`;
const ask = (account: string, limits: RateLimit[], want: number, horizonMs: number, returned = 0) =>
  gate.acquire(account, gatePolicy({ limits }), gateRequest({ want, horizonMs, returned }));

beforeAll(async () => {
  gates = await startGates('rates:');
  gate = gates.worker('a');
});
afterAll(() => gates.stop());

/** Asks until the starts reach so far ahead of the first; all starts, microseconds. */
async function startsUntil(aheadMs: number, limits: RateLimit[], want = maxPermits): Promise<number[]> {
  const account = newAccount();
  const starts: number[] = [];
  while (starts.length === 0 || (starts.at(-1) as number) - (starts[0] as number) < aheadMs * 1000) {
    starts.push(...startsUs(await ask(account, limits, want, 10 * aheadMs)));
  }
  return starts;
}

/** The share of what a limit allows that was granted, once the first window has passed. */
function utilisation(starts: readonly number[], { requests, perMs }: RateLimit): number {
  const from = (starts[0] as number) + perMs * 1000;
  const to = from + Math.floor(((starts.at(-1) as number) - from) / (perMs * 1000)) * perMs * 1000;
  return starts.filter((start) => start >= from && start < to).length / ((requests * (to - from)) / (perMs * 1000));
}

test('without limits all start at once', async () => {
  const grant = await ask(newAccount(), [], 7, 0);
  expect(grant.startsMs).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect(grant).toMatchObject({ retryInMs: undefined, refusedBy: undefined, breaker: 'closed', pausedUntilMs: 0 });
});

test('one call gets at most 512 permits', async () => {
  const grant = await ask(newAccount(), [], 10_000, 0);
  expect(grant.startsMs).toHaveLength(512);
  expect(grant.retryInMs).toBeUndefined();
});

test('a burst starts at once, the rest at the rate', async () => {
  const grant = await ask(newAccount(), [{ requests: 100, perMs: 10_000, burst: 3 }], 6, 1_000);
  expect(grant.startsMs).toEqual([0, 0, 0, 100, 200, 300]);
});

test('starts are granted up to the horizon, then the reply says when to ask again', async () => {
  const grant = await ask(newAccount(), [{ requests: 100, perMs: 10_000, burst: 1 }], 10, 250);
  expect(grant.startsMs).toEqual([0, 100, 200]);
  expect(grant).toMatchObject({ refusedBy: 'rate', retryInMs: 300 - 250 / 2 });
});

test('asking again is at least a millisecond away', async () => {
  const limits = [{ requests: 1_000, perMs: 1_000, burst: 1 }];
  const grant = await ask(newAccount(), limits, 3, 1.5);
  expect(grant.startsMs).toEqual([0, 1]);
  expect(grant.retryInMs).toBeGreaterThanOrEqual(1);
});

test('a full window of an hour or longer is a quota', async () => {
  const account = newAccount();
  const limits = [
    { requests: 100, perMs: 1_000, burst: 100 },
    { requests: 5, perMs: hourMs, burst: 5 },
  ];
  const grant = await ask(account, limits, 6, 60_000);
  expect(grant.startsMs).toHaveLength(5);
  expect(grant.refusedBy).toBe('quota');
  expect(grant.retryInMs).toBeGreaterThan(hourMs / 5 - 60_000);
  expect(grant.retryInMs).toBeLessThanOrEqual(hourMs + 40);
});

test('workers share one limit', async () => {
  const account = newAccount();
  const policy = gatePolicy({ limits: [{ requests: 20, perMs: hourMs, burst: 20 }] });
  const workers = ['w1', 'w2', 'w3', 'w4'].map((name) => gates.worker(name));
  const grants = await Promise.all(workers.map((worker) => worker.acquire(account, policy, gateRequest({ want: 8, horizonMs: 1_000 }))));
  expect(grants.flatMap((grant) => grant.startsMs)).toHaveLength(20);
});

test('no window of any limit ever holds too many starts, whatever is asked and however limits change', async () => {
  const requests = fc.integer({ min: 1, max: 60 });
  const limit = (perMs: number) => fc.record({ perMs: fc.constant(perMs), requests, burst: fc.integer({ min: 1, max: 70 }) });
  const step = fc.record({
    limits: fc.tuple(limit(100), limit(777), limit(5_000)),
    changes: fc.boolean(),
    want: fc.integer({ min: 1, max: 90 }),
    horizonMs: fc.integer({ min: 0, max: 20_000 }),
  });
  const history = fc.record({
    beginsLarge: fc.boolean(),
    used: fc.integer({ min: 1, max: 3 }),
    steps: fc.array(step, { minLength: 1, maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ beginsLarge, used, steps }) => {
      const account = newAccount();
      const starts: number[] = [];
      let limits: RateLimit[] = [];
      const grantAndCheck = async (want: number, horizonMs: number) => {
        for (const start of startsUs(await ask(account, limits, want, horizonMs))) {
          expect(start).toBeGreaterThanOrEqual(starts.at(-1) ?? 0);
          starts.push(start);
          for (const { perMs, requests: most } of limits) {
            const spanUs = (perMs + marginMs(perMs)) * 1000;
            expect(starts.filter((other) => other > start - spanUs).length).toBeLessThanOrEqual(most);
          }
        }
      };
      if (beginsLarge) {
        limits = [100, 777, 5_000].slice(0, used).map((perMs) => ({ requests: 20_000, perMs, burst: 100 }));
        await grantAndCheck(50, 1_000);
      }
      for (const { limits: next, changes, want, horizonMs } of steps) {
        if (changes || limits.length === 0 || limits[0]?.requests === 20_000) limits = next.slice(0, used);
        await grantAndCheck(want, horizonMs);
      }
    }),
    { numRuns: 60 },
  );
});

test('in any stretch of time no more start than the burst and the rate allow', async () => {
  const limit = fc.record({
    requests: fc.integer({ min: 1, max: 50 }),
    perMs: fc.constantFrom(1_000, 7_000),
    burst: fc.integer({ min: 1, max: 10 }),
  });
  await fc.assert(
    fc.asyncProperty(limit, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }), async (only, wants) => {
      const account = newAccount();
      const starts: number[] = [];
      for (const want of wants) starts.push(...startsUs(await ask(account, [only], want, 1e9)));
      const intervalUs = (only.perMs * 1000) / only.requests;
      starts.forEach((from, i) => {
        for (let j = i; j < starts.length; j += 1) {
          // One microsecond of rounding for each start between them.
          const roomFor = only.burst + ((starts[j] as number) - from + (j - i)) / intervalUs;
          expect(j - i + 1).toBeLessThanOrEqual(roomFor);
        }
      });
    }),
    { numRuns: 30 },
  );
});

test.each([
  { requests: 100, perMs: 1_000, burst: 100 },
  { requests: 100, perMs: 1_000, burst: 1 },
  { requests: 190, perMs: 10_000, burst: 19 },
  { requests: 10_000, perMs: 2_000, burst: 10_000 },
  { requests: 20_000, perMs: 10_000, burst: 100 },
])('who always asks gets 97 % of $requests in $perMs ms (burst $burst), and no window is passed', async (limit) => {
  const starts = await startsUntil(limit.perMs * 4, [limit]);
  expect(maxInWindow(starts, limit.perMs * 1000)).toBeLessThanOrEqual(limit.requests);
  expect(utilisation(starts, limit)).toBeGreaterThanOrEqual(0.97);
});

test('of several limits the tightest is used to 97 %', async () => {
  const tight = { requests: 150, perMs: 10_000, burst: 10 };
  const limits = [{ requests: 20, perMs: 1_000, burst: 20 }, tight, { requests: 2_000_000, perMs: 86_400_000, burst: 20 }];
  const starts = await startsUntil(60_000, limits, 40);
  for (const { requests, perMs } of limits) expect(maxInWindow(starts, perMs * 1000)).toBeLessThanOrEqual(requests);
  expect(utilisation(starts, tight)).toBeGreaterThanOrEqual(0.97);
});

test('a raised limit is felt at the next call, and its history stays', async () => {
  const account = newAccount();
  const limit = { requests: 2, perMs: hourMs, burst: 2 };
  expect((await ask(account, [limit], 5, 1_000)).startsMs).toHaveLength(2);
  expect((await ask(account, [limit], 5, 1_000)).startsMs).toHaveLength(0);
  expect((await ask(account, [{ ...limit, requests: 9, burst: 9 }], 20, 1_000)).startsMs).toHaveLength(7);
});

test('a lowered limit is felt at the next call, and raising it again forgets nothing', async () => {
  const account = newAccount();
  const limit = { requests: 10, perMs: hourMs, burst: 10 };
  await ask(account, [limit], 8, 0);
  expect((await ask(account, [{ ...limit, requests: 3, burst: 3 }], 5, 1_000)).refusedBy).toBe('quota');
  expect((await ask(account, [limit], 5, 1_000)).startsMs).toHaveLength(2);
});

test('a slow limit made fast does not wait out its old pace', async () => {
  const account = newAccount();
  const slow = { requests: 2, perMs: hourMs, burst: 1 };
  expect((await ask(account, [slow], 1, 0)).startsMs).toHaveLength(1);
  expect((await ask(account, [slow], 1, 0)).retryInMs).toBeGreaterThan(hourMs / 4);
  const fast = await ask(account, [{ ...slow, requests: 3_600 }], 1, 2_000);
  expect(fast.startsMs).toHaveLength(1);
});

test('a limit raised past what a list holds, and lowered again, keeps its history', async () => {
  const account = newAccount();
  const limit = { requests: 100, perMs: hourMs, burst: 100 };
  await ask(account, [limit], 60, 0);
  await ask(account, [{ ...limit, requests: 20_000 }], 30, hourMs / 10);
  expect(await gates.redis.exists(gates.keys.gateWindow(account, hourMs))).toBe(0);
  const peeked = await gate.peek(account, gatePolicy({ limits: [limit] }));
  expect(peeked.windows).toEqual([{ perMs: hourMs, requests: 100, effective: 100, left: 10 }]);
  expect((await ask(account, [{ ...limit, requests: 90 }], 5, 1_000)).startsMs).toEqual([]);
});

test('permits returned unused are room again in counted windows', async () => {
  const account = newAccount();
  const limits = [{ requests: 20_000, perMs: hourMs, burst: 20_000 }];
  for (let i = 0; i < 40; i += 1) await ask(account, limits, 500, 0);
  const left = async () => (await gate.peek(account, { limits })).windows[0]?.left;
  expect(await left()).toBe(0);
  await ask(account, limits, 0, 0, 7);
  expect(await left()).toBe(7);
  expect((await ask(account, [{ ...limits[0], burst: 20_000 } as RateLimit], 50, 5_000)).startsMs.length).toBeLessThanOrEqual(7);
});

test('returned permits never make room for more than were granted', async () => {
  const account = newAccount();
  const limits = [{ requests: 11_000, perMs: 60_000, burst: 11_000 }];
  await ask(account, limits, 5, 0);
  await ask(account, limits, 0, 0, 500);
  expect((await gate.peek(account, { limits })).windows[0]?.left).toBe(11_000);
});

test('permits returned come off the sub-window of half a minute ago, then off older ones, then off newer ones', async () => {
  const account = newAccount();
  const limits = [{ requests: 20_000, perMs: hourMs, burst: 1 }];
  const current = Math.floor(((await gates.nowMs()) * 128) / hourMs);
  const [older, recent, ahead] = [current - 40, current - 4, current + 2];
  const key = gates.keys.gateQuota(account, hourMs);
  await gates.redis.hset(key, { [older]: 10, [recent]: 10, [ahead]: 10 });
  await ask(account, limits, 0, 0, 4);
  expect(await gates.redis.hgetall(key)).toEqual({ [older]: '10', [recent]: '6', [ahead]: '10' });
  await ask(account, limits, 0, 0, 18);
  expect(await gates.redis.hgetall(key)).toEqual({ [older]: '0', [recent]: '0', [ahead]: '8' });
});

test('permits returned leave lists as they are', async () => {
  const account = newAccount();
  const limits = [{ requests: 5, perMs: hourMs, burst: 5 }];
  await ask(account, limits, 5, 0);
  expect((await ask(account, limits, 1, 0, 5)).startsMs).toEqual([]);
});

test('a call repeated after a lost reply spends permits, and passes no window', async () => {
  const account = newAccount();
  const limits = [{ requests: 6, perMs: hourMs, burst: 6 }];
  const grants = [await ask(account, limits, 4, 0), await ask(account, limits, 4, 0)];
  expect(grants.map((grant) => grant.startsMs.length)).toEqual([4, 2]);
});

test('peek tells the permits left in each window and changes nothing', async () => {
  const account = newAccount();
  const limits = [
    { requests: 100, perMs: hourMs, burst: 100 },
    { requests: 20_000, perMs: 86_400_000, burst: 100 },
  ];
  await ask(account, limits, 30, 0);
  const dump = () =>
    Promise.all([gates.keys.gate(account), gates.keys.gateWindow(account, hourMs)].map((key) => gates.redis.dumpBuffer(key)));
  const before = await dump();
  expect((await gate.peek(account, { limits })).windows).toEqual([
    { perMs: hourMs, requests: 100, effective: 100, left: 70 },
    { perMs: 86_400_000, requests: 20_000, effective: 20_000, left: 19_970 },
  ]);
  expect(await dump()).toEqual(before);
});

test('peek counts only what is still in the window', async () => {
  const account = newAccount();
  const nowMs = await gates.nowMs();
  const ages = [9_000_000, 5_000_000, 3_700_000, 3_500_000, 10, -60_000];
  await gates.redis.rpush(gates.keys.gateWindow(account, hourMs), ...ages.map((age) => Math.round((nowMs - age) * 1000)));
  const limits = [{ requests: 10, perMs: hourMs, burst: 10 }];
  expect((await gate.peek(account, { limits })).windows[0]?.left).toBe(7);
});

test.each([{ want: -1 }, { want: 1.5 }, { horizonMs: Number.NaN }, { keepSlots: -1 }, { pause: { ms: Infinity, reason: '' } }])(
  'a request with %o is refused before it reaches Redis',
  async (part) => {
    await expect(gate.acquire('strange', gatePolicy(), gateRequest(part))).rejects.toThrow(RangeError);
  },
);
