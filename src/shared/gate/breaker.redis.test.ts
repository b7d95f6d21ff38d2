import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Gates, gatePolicy, gateRequest, startGates } from '../../../test/support/gate.ts';
import { connectRedis, disconnectRedis } from '../redis/connection.ts';
import type { AcquireRequest, GatePolicy } from './acquire.ts';

let gates: Gates;
let accounts = 0;
const newAccount = () => `account-${++accounts}`;
const long = gatePolicy();
/** Opens for a millisecond only, so that the next look finds it half open. */
const brief = gatePolicy({ breaker: { ...long.breaker, openMs: 1 } });
const call = (worker: string, account: string, part: Partial<AcquireRequest>, policy: GatePolicy = long) =>
  gates.worker(worker).acquire(account, policy, gateRequest(part));

beforeAll(async () => {
  gates = await startGates('breaker:');
});
afterAll(() => gates.stop());

async function halfOpen(account: string): Promise<number> {
  const { epoch } = await call('a', account, { failed: 20 }, brief);
  await eventually(async () => (await call('a', account, {})).breaker === 'half_open');
  return epoch;
}

test('opens when enough calls have ended and enough of them failed', async () => {
  const account = newAccount();
  expect((await call('a', account, { want: 1, succeeded: 9, failed: 10 })).breaker).toBe('closed');
  const grant = await call('b', account, { want: 3, failed: 1 });
  expect(grant).toMatchObject({ breaker: 'open', startsMs: [], refusedBy: 'breaker' });
  expect(grant.retryInMs).toBe(600_000);
});

test('stays closed while most calls succeed, and where nothing failed', async () => {
  const account = newAccount();
  expect((await call('a', account, { succeeded: 500, failed: 499 })).breaker).toBe('closed');
  const strict = gatePolicy({ breaker: { ...long.breaker, failureRate: 0 } });
  expect((await call('a', newAccount(), { succeeded: 500 }, strict)).breaker).toBe('closed');
});

test('calls that ended before the window do not count', async () => {
  const account = newAccount();
  const short = gatePolicy({ breaker: { ...long.breaker, windowMs: 2 } });
  await call('a', account, { failed: 19 }, short);
  await gates.passed(3);
  expect((await call('a', account, { failed: 19 }, short)).breaker).toBe('closed');
});

test('the half window before the current one still counts', async () => {
  const account = newAccount();
  await call('a', account, { failed: 19 });
  await gates.redis.hincrby(gates.keys.gate(account), 'half', -1);
  expect((await call('a', account, { failed: 1 })).breaker).toBe('open');
});

test('while it is open no report closes it or keeps it open for longer', async () => {
  const account = newAccount();
  const { retryInMs, nowMs, epoch } = await call('a', account, { want: 1, failed: 20 });
  for (const part of [{ succeeded: 100 }, { failed: 100 }, { succeeded: 100, epoch }, { failed: 100, epoch }]) {
    const late = await call('a', account, { want: 1, ...part });
    expect(late.breaker).toBe('open');
    expect(late.nowMs + (late.retryInMs as number)).toBeCloseTo(nowMs + (retryInMs as number), 0);
  }
});

test('half open, one worker of four gets one probe', async () => {
  const account = newAccount();
  await halfOpen(account);
  const grants = await Promise.all(['a', 'b', 'c', 'd'].map((worker) => call(worker, account, { want: 5 })));
  expect(grants.map((grant) => grant.startsMs.length).sort()).toEqual([0, 0, 0, 1]);
  for (const grant of grants) expect(grant).toMatchObject({ breaker: 'half_open', refusedBy: 'breaker' });
  for (const grant of grants) expect(grant.retryInMs).toBeLessThanOrEqual(1_000);
});

test('half open, the one permit asked for is a full grant', async () => {
  const account = newAccount();
  await halfOpen(account);
  expect(await call('a', account, { want: 1 })).toMatchObject({ startsMs: [0], refusedBy: undefined, retryInMs: undefined });
});

test('a probe that succeeds closes it, and the counting begins anew', async () => {
  const account = newAccount();
  await halfOpen(account);
  await call('b', account, { want: 1 });
  const closed = await call('b', account, { want: 4, succeeded: 1 });
  expect(closed).toMatchObject({ breaker: 'closed', startsMs: [0, 0, 0, 0] });
  expect((await call('a', account, { failed: 19 })).breaker).toBe('closed');
  expect((await call('a', account, { failed: 1 })).breaker).toBe('open');
});

test('a probe that fails opens it again', async () => {
  const account = newAccount();
  const first = await halfOpen(account);
  await call('b', account, { want: 1 });
  const opened = await call('b', account, { want: 1, failed: 1 });
  expect(opened).toMatchObject({ breaker: 'open', startsMs: [], retryInMs: 600_000 });
  expect(opened.epoch).toBeGreaterThan(first);
});

test('half open, only the prober is believed', async () => {
  const account = newAccount();
  await halfOpen(account);
  await call('b', account, { want: 1 });
  expect((await call('a', account, { succeeded: 1 })).breaker).toBe('half_open');
  expect((await call('a', account, { failed: 1 })).breaker).toBe('half_open');
});

test('calls begun before the opening count for nothing, even from the prober', async () => {
  const account = newAccount();
  const { epoch: before } = await call('a', account, {});
  const epoch = await halfOpen(account);
  expect((await call('b', account, { want: 1 })).epoch).toBe(epoch);
  expect((await call('b', account, { failed: 5, epoch: before })).breaker).toBe('half_open');
  expect((await call('b', account, { succeeded: 5, epoch: before })).breaker).toBe('half_open');
  expect((await call('b', account, { succeeded: 1, epoch })).breaker).toBe('closed');
  expect((await call('b', account, { failed: 50, epoch: before })).breaker).toBe('closed');
});

test('a dead prober blocks no longer than a hold lives, and its late outcome still counts', async () => {
  const account = newAccount();
  const epoch = await halfOpen(account);
  const dead = gates.worker('dead', { holdTtlMs: 40 });
  expect((await dead.acquire(account, long, gateRequest({ want: 1 }))).startsMs).toEqual([0]);
  await eventually(async () => (await call('b', account, { want: 1 })).startsMs.length === 1);
  expect((await call('c', account, { want: 1 })).startsMs).toEqual([]);
  expect((await call('dead', account, { succeeded: 1, epoch })).breaker).toBe('closed');
});

test('a probe that ends without telling anything, or whose worker leaves, is free for another', async () => {
  const account = newAccount();
  await halfOpen(account);
  await call('b', account, { want: 1 });
  await call('a', account, { probeEnded: true });
  expect((await call('c', account, { want: 1 })).startsMs).toEqual([]);
  await call('b', account, { probeEnded: true });
  expect((await call('c', account, { want: 1 })).startsMs).toEqual([0]);
  await gates.worker('d').leave(account);
  expect((await call('d', account, { want: 1 })).startsMs).toEqual([]);
  await gates.worker('c').leave(account);
  expect((await call('d', account, { want: 1 })).startsMs).toEqual([0]);
});

test('permits of before the opening that come back unused do not end the probe of their worker', async () => {
  const account = newAccount();
  const { epoch: before } = await call('b', account, {});
  const epoch = await halfOpen(account);
  expect((await call('b', account, { want: 1 })).startsMs).toEqual([0]);
  await call('b', account, { returned: 3, epoch });
  await call('b', account, { probeEnded: true, epoch: before });
  expect((await call('c', account, { want: 1 })).startsMs).toEqual([]);
});

test('a probe keeps the limits', async () => {
  const account = newAccount();
  const limits = [{ requests: 1, perMs: 3_600_000, burst: 1 }];
  await call('a', account, { want: 1 }, { ...brief, limits });
  await halfOpen(account);
  expect(await call('b', account, { want: 1 }, { ...long, limits })).toMatchObject({ startsMs: [], refusedBy: 'quota' });
  expect((await call('c', account, { want: 1 })).startsMs).toEqual([0]);
});

test('a pause holds the whole account for its time, the longest wins', async () => {
  const account = newAccount();
  const paused = await call('a', account, { want: 2, pause: { ms: 60_000, reason: 'Retry-After' } });
  expect(paused).toMatchObject({ startsMs: [], refusedBy: 'paused', retryInMs: 60_000, pausedUntilMs: Math.ceil(paused.nowMs + 60_000) });
  const shorter = await call('b', account, { want: 2, pause: { ms: 5, reason: 'throttled' } });
  expect(shorter).toMatchObject({ startsMs: [], pausedUntilMs: paused.pausedUntilMs });
  expect(await gates.worker('c').peek(account, long)).toMatchObject({ pausedUntilMs: paused.pausedUntilMs, pauseReason: 'Retry-After' });
  const longer = await call('b', account, { pause: { ms: 90_000, reason: 'throttled' } });
  expect(longer.pausedUntilMs).toBeGreaterThan(paused.pausedUntilMs);
  expect((await gates.worker('c').peek(account, long)).pauseReason).toBe('throttled');
});

test('a pause ends by itself', async () => {
  const account = newAccount();
  expect((await call('a', account, { want: 1, pause: { ms: 30, reason: 'throttled' } })).startsMs).toEqual([]);
  await eventually(async () => (await call('b', account, { want: 1 })).startsMs.length === 1);
  expect(await gates.worker('b').peek(account, long)).toMatchObject({ pausedUntilMs: 0, pauseReason: undefined });
});

test('asking for nothing is granted in full, whatever the state', async () => {
  const account = newAccount();
  const grant = await call('a', account, { failed: 20, pause: { ms: 60_000, reason: 'x' } });
  expect(grant).toMatchObject({ breaker: 'open', refusedBy: undefined, retryInMs: undefined });
});

test('of pause and open breaker the later end decides', async () => {
  const account = newAccount();
  const grant = await call('a', account, { want: 1, failed: 20, pause: { ms: 60_000, reason: 'x' } });
  expect(grant).toMatchObject({ refusedBy: 'breaker', retryInMs: 600_000 });
  expect(await call('a', account, { want: 1, pause: { ms: 900_000, reason: 'x' } })).toMatchObject({
    refusedBy: 'paused',
    retryInMs: 900_000,
  });
});

describe('lifted, since what failed is not the same any more', () => {
  const mended = { stays: 'rate_limited', closesBreaker: true };

  test.each(['open', 'half open'])('an %s breaker closes for all workers, who are told once, and begins anew', async (state) => {
    const account = newAccount();
    const before = state === 'open' ? (await call('a', account, { failed: 20 })).epoch : await halfOpen(account);
    const heard: string[] = [];
    const listener = connectRedis(gates.url, { name: 'listener' });
    onTestFinished(() => disconnectRedis(listener));
    listener.on('message', (_channel: string, name: string) => heard.push(name));
    await listener.subscribe(gates.keys.gateLifted);
    await gates.worker('b').lift(account);
    expect((await call('a', account, {})).breaker).not.toBe('closed');
    await gates.worker('b').lift(account, mended);
    await gates.worker('a').lift(account, mended);
    await gates.redis.publish(gates.keys.gateLifted, 'end');
    await eventually(() => heard.at(-1) === 'end');
    expect(heard).toEqual([account, 'end']);
    // Calls that began before count for nothing.
    const grant = await call('a', account, { want: 2, failed: 20, epoch: before });
    expect(grant).toMatchObject({ breaker: 'closed', startsMs: [0, 0] });
    expect((await call('a', account, { failed: 20, epoch: grant.epoch })).breaker).toBe('open');
    expect(await gates.redis.pttl(gates.keys.gate(account))).toBeGreaterThan(0);
  });

  test('what a closed one has counted is forgotten, and nobody is told; a pause for throttling stays', async () => {
    const account = newAccount();
    const { epoch } = await call('a', account, { failed: 19, pause: { ms: 60_000, reason: 'rate_limited' } });
    await gates.worker('a').lift(account, mended);
    expect(await call('a', account, { want: 1, failed: 19, epoch })).toMatchObject({ breaker: 'closed', refusedBy: 'paused' });
    expect((await call('a', account, { failed: 1 })).breaker).toBe('closed');
  });

  test('an account that nothing is known of stays unknown', async () => {
    const account = newAccount();
    await gates.worker('a').lift(account, mended);
    expect(await gates.redis.exists(gates.keys.gate(account))).toBe(0);
  });
});

test('a pause and an opening are published, nothing else is', async () => {
  const heard: string[] = [];
  const listener = connectRedis(gates.url, { name: 'listener' });
  await listener.subscribe(gates.keys.gateChanged);
  listener.on('message', (_channel: string, account: string) => heard.push(account));
  const [paused, opened, quiet, last] = [newAccount(), newAccount(), newAccount(), newAccount()];
  await call('a', quiet, { want: 5, succeeded: 5, failed: 4, wantSlots: 3 });
  await call('a', paused, { pause: { ms: 60_000, reason: 'x' } });
  await call('a', paused, { pause: { ms: 10, reason: 'x' } });
  await call('a', opened, { failed: 20 });
  await call('a', opened, { failed: 20 });
  await call('a', last, { pause: { ms: 60_000, reason: 'x' } });
  await eventually(() => heard.includes(last));
  expect(heard).toEqual([paused, opened, last]);
  await disconnectRedis(listener);
});
