import { expect, test } from 'vitest';
import { createQueueBench, deadOf, entriesOf, finalOf, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { RedisClient } from '../redis/connection.ts';
import { group } from '../redis/keys.ts';

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});
const bench = (shards = 1) => createQueueBench(redis, `b${benches++}:`, { shards });

test('nothing waits for a provider that nobody used', async () => {
  const q = await bench(4);
  expect(await q.backlog.read('crm')).toEqual({ backlog: 0, pending: 0, oldestMs: undefined, deadLetters: 0 });
  expect((await q.backlog.readAll()).size).toBe(0);
  expect(await q.backlog.queuesOf(0)).toEqual([]);
});

test('the oldest operation that is not final is told, read or not', async () => {
  const q = await bench();
  const [first, second, third] = await q.placeMany(3);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 3, pending: 0, oldestMs: first?.ms });
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 2 }]))[0]);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 3, pending: 2, oldestMs: first?.ms });
  const settle = q.settler('w');
  await settle([settlementOf(owner, { finals: entries.slice(0, 1).map((entry) => finalOf(entry)) })]);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 2, pending: 1, oldestMs: second?.ms });
  await settle([settlementOf(owner, { finals: entries.slice(1).map((entry) => deadOf(entry)) })]);
  expect(await q.backlog.read('crm')).toEqual({ backlog: 1, pending: 0, oldestMs: third?.ms, deadLetters: 1 });
});

test('a lost group hides no backlog', async () => {
  const q = await bench();
  const [first] = await q.placeMany(2);
  const owner = await q.own('w');
  await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1 }]);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 2, pending: 0, oldestMs: first?.ms });
});

test('the queues of a provider are summed over shards and tenants, apart from its neighbours', async () => {
  const q = await bench(8);
  await q.placeMany(30);
  await q.placeMany(20, { tenant: 'acme' });
  await q.placeMany(10, { provider: 'crm2' });
  const all = await q.backlog.readAll();
  expect([all.get('crm')?.backlog, all.get('crm2')?.backlog]).toEqual([50, 10]);
  expect((await q.backlog.read('crm')).backlog).toBe(50);
  const counts = [...(await q.backlog.readCounts('crm')).values()];
  expect(counts.reduce((sum, { open }) => sum + open, 0)).toBe(50);
  const queues = await Promise.all(Array.from({ length: 8 }, (_, shard) => q.backlog.queuesOf(shard, 'crm')));
  expect(new Set(queues.flat())).toEqual(new Set(['crm', 'crm:acme']));
});

test('reading works after SCRIPT FLUSH', async () => {
  const q = await bench();
  await q.placeMany(1);
  await redis.script('FLUSH');
  expect((await q.backlog.read('crm')).backlog).toBe(1);
});

test('a group that somebody else made at a queue misleads nobody', async () => {
  const q = await bench();
  const queue = q.keys.queue(0, 'crm');
  const owner = await q.own('w');
  const [ended, waiting] = await q.placeMany(2);
  if (!ended || !waiting) throw new Error('not placed');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  await redis.del(q.keys.results(0, 'crm', ended.rank));
  // Before ours in the alphabet: the one has read nothing, the other everything.
  for (const [name, from] of [
    ['aaa', '0'],
    ['aaa', '$'],
  ] as const) {
    await redis.xgroup('CREATE', queue, name, from);
    expect(await q.status.read(ended)).toBeUndefined();
    expect(await q.status.read(waiting)).toMatchObject({ status: 'queued' });
    expect(await q.backlog.read('crm')).toMatchObject({ backlog: 1, oldestMs: waiting.ms });
    expect(await q.reader('w').sweep(owner, 'crm', -60_000)).toBe(true);
    expect(await redis.xlen(queue)).toBeGreaterThan(0);
    await redis.xgroup('DESTROY', queue, name);
  }
});

test.each(['forgotten', 'swept'])('dead letters of a queue that was %s are counted until they are dropped', async (way) => {
  const q = await bench();
  const owner = await q.own('w');
  const [place] = await q.placeMany(1);
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => deadOf(entry)) })]);
  const tidy = async () => {
    if (way === 'forgotten') expect(await q.purge.forget('crm')).toBe(true);
    else expect(await q.reader('w').sweep(owner, 'crm', -60_000)).toBe(false);
  };
  await tidy();
  await tidy();
  expect(await redis.exists(q.keys.queue(0, 'crm'))).toBe(0);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 0, deadLetters: 1 });
  expect([...(await q.backlog.readCounts('crm')).values()]).toEqual([{ open: 0, deadLetters: 1 }]);
  if (place) await q.deadLetters.remove(place);
  await tidy();
  expect(await q.backlog.queuesOf(0)).toEqual([]);
});
