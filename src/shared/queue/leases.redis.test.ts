import { expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createQueueBench } from '../../../test/support/queue.ts';
import type { RedisServer } from '../../../test/support/redis.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connection.ts';

let server: RedisServer;
let redis: RedisClient;
let benches = 0;
useRedis((client, at) => {
  redis = client;
  server = at;
});
const bench = (shards = 2) => createQueueBench(redis, `l${benches++}:`, { shards });
const ttlMs = 60_000;
/** Makes a lease or a heartbeat end now, as time would. */
const expireLease = (key: string) => redis.hset(key, 'until', 1);

test('a free lease is taken by one, and the others are told by whom and for how long', async () => {
  const { leases } = await bench();
  expect(await leases.acquire(0, 'a', ttlMs)).toMatchObject({ status: 'acquired', epoch: 1, hasOwnerDied: false });
  const held = await leases.acquire(0, 'b', ttlMs);
  expect(held).toMatchObject({ status: 'held', owner: 'a' });
  expect(held.status === 'held' && held.leftMs).toBeGreaterThan(0);
  expect(held.status === 'held' && held.leftMs).toBeLessThanOrEqual(ttlMs);
  expect(await leases.acquire(1, 'b', ttlMs)).toMatchObject({ status: 'acquired', epoch: 1 });
});

test('of many that ask at once, one gets it', async () => {
  const { leases } = await bench();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => leases.acquire(0, `w${i}`, ttlMs)));
  expect(answers.filter(({ status }) => status === 'acquired')).toHaveLength(1);
});

test('an expired lease passes to the next, with a new epoch and word of the death', async () => {
  const { leases, keys } = await bench();
  await leases.acquire(0, 'a', ttlMs);
  await expireLease(keys.lease(0));
  expect(await leases.acquire(0, 'b', ttlMs)).toMatchObject({ status: 'acquired', epoch: 2, hasOwnerDied: true });
  expect(await leases.renew(0, 'a', 1, ttlMs)).toEqual({ status: 'lost' });
  await leases.release(0, 'a', 1);
  expect(await leases.renew(0, 'b', 2, ttlMs)).toMatchObject({ status: 'renewed' });
});

test('a worker that takes its own lease again gets a new epoch, and nobody died', async () => {
  const { leases } = await bench();
  await leases.acquire(0, 'a', ttlMs);
  expect(await leases.acquire(0, 'a', ttlMs)).toMatchObject({ status: 'acquired', epoch: 2, hasOwnerDied: false });
  expect(await leases.renew(0, 'a', 1, ttlMs)).toEqual({ status: 'lost' });
});

test('a released lease is free at once; nobody died, and its epoch grows', async () => {
  const { leases } = await bench();
  await leases.acquire(0, 'a', ttlMs);
  await leases.release(0, 'a', 1);
  await leases.release(0, 'a', 1);
  expect(await leases.readLeases()).toMatchObject([
    { shard: 0, owner: undefined, epoch: 1 },
    { shard: 1, epoch: 0 },
  ]);
  expect(await leases.acquire(0, 'b', ttlMs)).toMatchObject({ status: 'acquired', epoch: 2, hasOwnerDied: false });
});

test('a renewal prolongs, and tells which queues have entries', async () => {
  const q = await bench(1);
  await q.leases.acquire(0, 'a', 1_000);
  const before = (await q.leases.readLeases())[0]?.untilMs as number;
  await q.placeMany(1);
  expect(await q.leases.renew(0, 'a', 1, ttlMs)).toMatchObject({ status: 'renewed', readyQueues: ['crm'] });
  expect((await q.leases.readLeases())[0]?.untilMs).toBeGreaterThan(before);
});

test('who takes or renews a lease is told which run of Redis answered; where a user may not ask, nothing', async () => {
  const { leases } = await bench();
  const runId = /run_id:(\w+)/.exec(await redis.info('server'))?.[1];
  expect(await leases.acquire(0, 'a', ttlMs)).toMatchObject({ runId });
  expect(await leases.renew(0, 'a', 1, ttlMs)).toMatchObject({ runId });
  await redis.acl('SETUSER', 'default', '-@dangerous', '+acl');
  try {
    expect(await leases.renew(0, 'a', 1, ttlMs)).toMatchObject({ status: 'renewed', runId: '' });
    expect(await leases.acquire(1, 'a', ttlMs)).toMatchObject({ status: 'acquired', runId: '' });
  } finally {
    await redis.acl('SETUSER', 'default', '+@all');
  }
});

test('workers that live know each other, and say what they are', async () => {
  const { leases } = await bench();
  const alone = await leases.heartbeat('a', 2_000, { host: 'x' });
  expect(alone.workers).toEqual(['a']);
  expect(alone.firstEndsInMs).toBeGreaterThan(0);
  expect(alone.firstEndsInMs).toBeLessThanOrEqual(2_000);
  const both = await leases.heartbeat('b', ttlMs, { host: 'y' });
  expect(both.workers).toEqual(['a', 'b']);
  expect(both.firstEndsInMs).toBeLessThanOrEqual(2_000);
  expect(await leases.readMembers()).toMatchObject([
    { id: 'a', info: { host: 'x' } },
    { id: 'b', info: { host: 'y' } },
  ]);
});

test('a worker that was not heard of for its time is forgotten by the next heartbeat', async () => {
  const { leases, keys } = await bench();
  await leases.heartbeat('a', ttlMs, {});
  await redis.zadd(keys.fleet, 1, 'a');
  expect((await leases.heartbeat('b', ttlMs, {})).workers).toEqual(['b']);
  expect(await redis.hkeys(keys.fleetInfo)).toEqual(['b']);
});

test('the last worker that leaves leaves nothing behind, and may leave twice', async () => {
  const { leases, keys } = await bench();
  await leases.heartbeat('a', ttlMs, {});
  await leases.leave('a');
  await leases.leave('a');
  expect(await redis.exists(keys.fleet, keys.fleetInfo)).toBe(0);
});

test('the fleet is told who comes, goes, dies or hands over, and of nothing else', async () => {
  const { leases, keys } = await bench();
  const heard: string[] = [];
  const subscriber = connectRedis(server.url, { name: 'test' });
  subscriber.on('message', (_: string, worker: string) => heard.push(worker));
  await subscriber.subscribe(keys.fleetChanged);
  await leases.heartbeat('a', ttlMs, {});
  await leases.heartbeat('a', ttlMs, {});
  await leases.heartbeat('b', ttlMs, {});
  await redis.zadd(keys.fleet, 1, 'a');
  await leases.heartbeat('b', ttlMs, {});
  await leases.acquire(0, 'b', ttlMs);
  await leases.release(0, 'b', 1);
  await leases.release(0, 'b', 1);
  await leases.leave('b');
  await redis.publish(keys.fleetChanged, 'end');
  await eventually(() => heard.at(-1) === 'end');
  expect(heard).toEqual(['a', 'b', 'b', 'b', 'b', 'end']);
  await disconnectRedis(subscriber);
});

test('leases and heartbeats work after SCRIPT FLUSH', async () => {
  const { leases } = await bench();
  await redis.script('FLUSH');
  expect(await leases.acquire(0, 'a', ttlMs)).toMatchObject({ status: 'acquired' });
  expect(await leases.heartbeat('a', ttlMs, {})).toMatchObject({ workers: ['a'] });
});
