import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Gates, gatePolicy, gateRequest, startGates } from '../../../test/support/gate.ts';
import { type ClockedGates, startClockedGates } from '../../../test/support/gate-clock.ts';
import type { RateLimit } from '../providers/config.ts';
import type { AcquireRequest } from './acquire.ts';

let gates: Gates;
let clock: ClockedGates;
let tests = 0;
const limit = { requests: 100, perMs: 10_000, burst: 100 };

beforeAll(async () => {
  gates = await startGates('throttling:');
});
afterAll(() => gates.stop());
beforeEach(async () => {
  clock = await startClockedGates(gates.redis, `throttling${++tests}:`);
});

const tell = (part: Partial<AcquireRequest>, limits: RateLimit[] = [limit], worker = 'a') =>
  clock.worker(worker).acquire('crm', gatePolicy({ limits }), gateRequest({ horizonMs: 0, ...part }));
const peek = (limits: RateLimit[] = [limit]) => clock.worker('a').peek('crm', { limits });
const effective = async () => (await peek()).windows[0]?.effective;

test('throttling cuts the requests of every window to 0.7, and what is granted', async () => {
  const day = { requests: 20_000, perMs: 86_400_000, burst: 100 };
  await tell({ throttled: 1 }, [limit, day]);
  const status = await peek([limit, day]);
  expect(status.factor).toBe(0.7);
  expect(status.windows.map((window) => window.effective)).toEqual([70, 14_000]);
  expect((await tell({ want: 90 }, [limit, day])).startsMs).toHaveLength(70);
});

test('it cuts the rate between bursts, too', async () => {
  await tell({ throttled: 1 });
  const { startsMs } = await tell({ want: 3, horizonMs: 1_000 }, [{ ...limit, burst: 1 }]);
  expect(startsMs.map(Math.round)).toEqual([0, 143, 286]);
});

test('the answers of one second are one episode, whoever tells them', async () => {
  await tell({ throttled: 5 });
  await clock.passed(900);
  await tell({ throttled: 3 }, [limit], 'b');
  expect(await effective()).toBe(70);
  await clock.passed(101);
  await tell({ throttled: 1 });
  expect((await peek()).factor).toBeCloseTo(0.49, 3);
});

test.each([
  { told: 'with them', first: { throttled: 2, pause: { ms: 8_000, reason: 'x' } }, later: {} },
  { told: 'after them', first: { throttled: 2 }, later: { pause: { ms: 8_000, reason: 'x' } } },
  { told: 'before them', first: { pause: { ms: 8_000, reason: 'x' } }, later: { throttled: 2 } },
])('the answers of one pause told $told are one episode', async ({ first, later }) => {
  await tell(first);
  await tell(later);
  for (let i = 0; i < 7; i += 1) {
    await clock.passed(1_000);
    await tell({ throttled: 1 });
  }
  expect((await peek()).factor).toBe(0.7);
});

test('recovery begins when the pause ends, goes by steps of 0.05, and ends at the configured limit', async () => {
  await tell({ throttled: 1, pause: { ms: 30_000, reason: 'x' } });
  const seen: (number | undefined)[] = [];
  for (const ms of [30_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 60_000]) {
    await clock.passed(ms);
    seen.push(await effective());
  }
  expect(seen).toEqual([70, 75, 80, 85, 90, 95, 100, 100]);
  await tell({});
  expect(await gates.redis.hexists(clock.keys.gate('crm'), 'factor')).toBe(0);
});

test('a pause that is lifted ends its episode: the limits come back from then on, and further throttling cuts them', async () => {
  await tell({ throttled: 1, pause: { ms: 3_600_000, reason: 'x' } });
  await clock.passed(5_000);
  await clock.worker('a').lift('crm');
  expect(await effective()).toBe(70);
  await clock.passed(4_000);
  expect(await effective()).toBe(80);
  await tell({ throttled: 1 });
  expect((await peek()).factor).toBeCloseTo(0.56, 3);
});

test('lifting a pause does not put off a recovery that has begun', async () => {
  await tell({ throttled: 1 });
  await clock.passed(3_000);
  expect(await effective()).toBe(75);
  await tell({ pause: { ms: 60_000, reason: 'x' } });
  await clock.worker('a').lift('crm');
  expect(await effective()).toBe(75);
  await clock.passed(2_000);
  expect(await effective()).toBe(80);
});

test('many episodes cut to a tenth, not below, and all of it comes back with nobody doing anything', async () => {
  for (let i = 0; i < 20; i += 1) {
    await tell({ throttled: 1 });
    await clock.passed(1_001);
  }
  expect((await peek()).factor).toBeCloseTo(0.1, 2);
  await clock.passed(37_000);
  expect((await peek()).factor).toBe(1);
  expect((await tell({ want: 100 })).startsMs).toHaveLength(100);
});

test('a limit of one request keeps it', async () => {
  const one = { requests: 1, perMs: 10_000, burst: 1 };
  await tell({ throttled: 1 }, [one]);
  expect((await tell({ want: 1 }, [one])).startsMs).toHaveLength(1);
});

test('who is refused by a cut limit is told to ask again soon, since it recovers', async () => {
  const hour = { requests: 100, perMs: 3_600_000, burst: 100 };
  await tell({ want: 80 }, [hour]);
  await tell({ throttled: 1 }, [hour]);
  const grant = await tell({ want: 1 }, [hour]);
  expect(grant).toMatchObject({ refusedBy: 'quota', retryInMs: 100 });
});

test('what was granted before a cut is not forgotten when it has recovered', async () => {
  const long = { requests: 100, perMs: 3_600_000, burst: 100 };
  await tell({ want: 90 }, [long]);
  await tell({ throttled: 1 }, [long]);
  await tell({ want: 10 }, [long]);
  await clock.passed(120_000);
  expect((await peek([long])).windows[0]).toMatchObject({ effective: 100, left: 10 });
});

test('an account without limits has no factor', async () => {
  await tell({ throttled: 3 }, []);
  expect((await tell({ want: 50 }, [])).startsMs).toHaveLength(50);
  expect((await peek([])).factor).toBe(1);
  expect(await gates.redis.hexists(clock.keys.gate('crm'), 'factor')).toBe(0);
});

test('a count that is none is refused', async () => {
  await expect(tell({ throttled: -1 })).rejects.toThrow(RangeError);
});
