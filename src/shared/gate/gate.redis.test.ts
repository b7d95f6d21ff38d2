import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Gates, gatePolicy, gateRequest, startGates } from '../../../test/support/gate.ts';
import { startCluster } from '../../../test/support/redis.ts';
import { connectRedis, disconnectRedis } from '../redis/connection.ts';
import { createKeys } from '../redis/keys.ts';
import { createGate } from './gate.ts';

let gates: Gates;
const dayMs = 86_400_000;
const limits = [
  { requests: 100, perMs: 1_000, burst: 50 },
  { requests: 20_000, perMs: dayMs, burst: 50 },
];
const policy = gatePolicy({ limits });
const busy = gateRequest({ want: 20, horizonMs: 1_000, wantSlots: 5, succeeded: 2, failed: 1, returned: 1, pause: { ms: 1, reason: 'x' } });
const asking = gateRequest({ want: 20, horizonMs: 1_000, wantSlots: 5 });

beforeAll(async () => {
  gates = await startGates('gate:');
});
afterAll(() => gates.stop());

const keysOf = (account: string) => gates.redis.keys(`gate:gate:{${account}}*`);

test('every key expires, none before it has ceased to matter', async () => {
  await gates.worker('a').acquire('life', policy, asking);
  await gates.worker('a').acquire('life', policy, busy);
  const keys = await keysOf('life');
  expect(keys.sort()).toEqual([gates.keys.gate('life'), gates.keys.gateQuota('life', dayMs), gates.keys.gateWindow('life', 1_000)]);
  const lives = await Promise.all(keys.map((key) => gates.redis.pttl(key)));
  expect(lives[0]).toBeGreaterThan(dayMs);
  expect(lives[1]).toBeGreaterThan(dayMs);
  expect(lives[2]).toBeGreaterThan(0);
  expect(lives[2]).toBeLessThan(10_000);
});

test('a pause that is lifted is over for all workers, who are told; one for a reason that stays is not lifted', async () => {
  const [a, b] = [gates.worker('a'), gates.worker('b')];
  await a.acquire('lifted', policy, gateRequest({ pause: { ms: 60_000, reason: 'rate_limited' } }));
  await a.lift('lifted', { stays: 'rate_limited' });
  expect(await b.acquire('lifted', policy, asking)).toMatchObject({ refusedBy: 'paused', startsMs: [] });
  const heard: string[] = [];
  const subscriber = connectRedis(gates.url, { name: 'lifted' });
  subscriber.on('message', (_, account) => void heard.push(account));
  await subscriber.subscribe(gates.keys.gateLifted);
  await a.lift('lifted');
  await a.lift('lifted');
  expect(await b.acquire('lifted', policy, asking)).toMatchObject({ refusedBy: undefined, pausedUntilMs: 0 });
  await eventually(() => heard.length > 0);
  await disconnectRedis(subscriber);
  expect(heard).toEqual(['lifted']);
  expect(await b.peek('lifted', policy)).toMatchObject({ pausedUntilMs: 0, pauseReason: undefined });
});

test('a pause or an opening longer than anything else outlives it', async () => {
  const none = gatePolicy({ breaker: { failureRate: 0.5, minCalls: 1, windowMs: 1, openMs: 5_000_000 } });
  await gates.worker('a').acquire('paused', none, gateRequest({ pause: { ms: 9_000_000, reason: 'x' } }));
  expect(await gates.redis.pttl(gates.keys.gate('paused'))).toBeGreaterThan(8_000_000);
  await gates.worker('a').acquire('open', none, gateRequest({ failed: 1 }));
  await gates.worker('a').acquire('open', gatePolicy(), gateRequest());
  expect(await gates.redis.pttl(gates.keys.gate('open'))).toBeGreaterThan(4_000_000);
});

test('a call that knows nothing of a limit does not shorten what the others keep of it', async () => {
  await gates.worker('a').acquire('mixed', policy, asking);
  await gates.worker('b').acquire('mixed', gatePolicy(), gateRequest({ want: 1 }));
  expect(await gates.redis.pttl(gates.keys.gate('mixed'))).toBeGreaterThan(dayMs);
});

test('neighbouring accounts are untouched', async () => {
  for (const account of ['crm', 'crm2', 'crm/t', 'cr']) await gates.worker('a').acquire(account, policy, asking);
  const dump = async () => {
    const keys = (await Promise.all(['crm2', 'crm/t', 'cr'].map(keysOf))).flat().sort();
    return Promise.all(keys.map(async (key) => [key, (await gates.redis.dumpBuffer(key))?.toString('hex')]));
  };
  const before = await dump();
  await gates.worker('b').acquire('crm', policy, { ...busy, failed: 50 });
  await gates.worker('a').leave('crm');
  await gates.worker('a').clear('crm');
  expect(await dump()).toEqual(before);
  expect(before).toHaveLength(9);
});

test('clear removes every key of an account, and of one that never was', async () => {
  await gates.worker('a').acquire('gone', policy, asking);
  await gates.worker('a').acquire('gone', gatePolicy({ limits: [{ requests: 5, perMs: 60_000, burst: 5 }] }), asking);
  expect(await keysOf('gone')).toHaveLength(4);
  await gates.worker('a').clear('gone');
  await gates.worker('a').clear('gone');
  expect(await keysOf('gone')).toEqual([]);
});

test('works on after SCRIPT FLUSH', async () => {
  await gates.worker('a').acquire('flushed', policy, asking);
  await gates.redis.script('FLUSH');
  expect((await gates.worker('a').acquire('flushed', policy, asking)).startsMs).toHaveLength(20);
  await gates.redis.script('FLUSH');
  expect((await gates.worker('a').peek('flushed', policy)).heldSlots).toBe(5);
  await gates.redis.script('FLUSH');
  await gates.worker('a').leave('flushed');
  expect((await gates.worker('a').peek('flushed', policy)).heldSlots).toBe(0);
});

test('a full Redis still grants permits: they are what empties it', async () => {
  await gates.redis.config('SET', 'maxmemory', '1');
  try {
    await expect(gates.redis.set('gate:more', 'x')).rejects.toThrow('OOM');
    expect((await gates.worker('a').acquire('full', policy, asking)).startsMs).toHaveLength(20);
    await gates.worker('a').leave('full');
  } finally {
    await gates.redis.config('SET', 'maxmemory', '0');
  }
});

test('a worker needs no memory of its own: another gate object goes on where the first stopped', async () => {
  await gates.worker('a').acquire('twice', policy, asking);
  const again = await gates.worker('a').acquire('twice', policy, { ...asking, keepSlots: 5 });
  expect(again.slots).toBe(5);
  expect((await gates.worker('a').peek('twice', policy)).windows.map(({ left }) => left)).toEqual([60, 19_960]);
});

test('runs on a Redis Cluster', async () => {
  const cluster = await startCluster();
  const redis = connectRedis(cluster.url, { name: 'test' });
  try {
    const gate = createGate({ redis, keys: createKeys('c:'), workerId: 'a', holdTtlMs: 60_000 });
    for (const account of ['hubspot', 'salesforce/acme', 'outreach']) {
      expect((await gate.acquire(account, policy, asking)).startsMs).toHaveLength(20);
      expect((await gate.peek(account, policy)).heldSlots).toBe(5);
      await gate.leave(account);
      await gate.clear(account);
      expect((await gate.peek(account, policy)).windows[0]?.left).toBe(100);
    }
  } finally {
    await disconnectRedis(redis);
    await cluster.stop();
  }
});
