import { expect, onTestFinished, test } from 'vitest';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { RedisClient } from './connection.ts';
import { createKeys } from './keys.ts';
import { checkShards, ShardCountMismatch } from './shard-count.ts';

let redis: RedisClient;
useRedis((client) => {
  redis = client;
});

const check = (prefix: string, shards: number, onWaiting: (error: unknown) => void = () => {}) =>
  checkShards({ redis, keys: createKeys(prefix), shards, onWaiting });

/** From now on, to the test's end or until it is called off. */
async function fillRedis() {
  const empty = () => redis.config('SET', 'maxmemory', '0');
  onTestFinished(async () => void (await empty()));
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
  await redis.config('SET', 'maxmemory', '1');
  return empty;
}

test('the first process stores the number, and one that was told another does not start', async () => {
  await check('a:', 8);
  await check('a:', 8);
  await expect(check('a:', 4)).rejects.toThrow(ShardCountMismatch);
  expect(await redis.get('a:shards')).toBe('8');
});

test('of several first processes at once the number of one holds', async () => {
  const ends = await Promise.allSettled([check('b:', 8), check('b:', 4)]);
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('in a full Redis a process of a deployment that is there starts', async () => {
  await check('c:', 8);
  await fillRedis();
  await check('c:', 8);
  await expect(check('c:', 4)).rejects.toThrow(ShardCountMismatch);
});

test('in a full Redis the first process of all waits for room, and says why', async () => {
  const empty = await fillRedis();
  const heard: unknown[] = [];
  await check('d:', 8, (error) => {
    heard.push(error);
    void empty();
  });
  expect(heard[0]).toMatchObject({ message: expect.stringContaining('OOM') });
  expect(await redis.get('d:shards')).toBe('8');
});
