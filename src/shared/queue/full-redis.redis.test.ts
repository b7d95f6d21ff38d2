/** A Redis at its memory bound refuses what is new and lets workers finish what is there. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeOf, createQueueBench, deadOf, entriesOf, entryIdOf, finalOf, settlementOf } from '../../../test/support/queue.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connection.ts';
import type { ClaimedEntry } from './claim.ts';

let server: RedisServer;
let redis: RedisClient;
let benches = 0;
beforeAll(async () => {
  server = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
  redis = connectRedis(server.url, { name: 'test' });
});
afterAll(async () => {
  await disconnectRedis(redis);
  await server.stop();
});
const bench = () => createQueueBench(redis, `o${benches++}:`);

/** Runs with a Redis that has no memory left for anybody. */
async function whileFull<T>(run: () => Promise<T>): Promise<T> {
  await redis.config('SET', 'maxmemory', '1');
  try {
    await expect(redis.set('x', 'y')).rejects.toThrow('OOM');
    return await run();
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
}

test('new operations are refused, with and without a key, and nothing of them is written', async () => {
  const q = await bench();
  await q.place();
  const before = await redis.keys(`${q.keys.prefix}*`);
  await whileFull(async () => {
    await expect(q.submit([{ change: changeOf() }])).rejects.toThrow('OOM');
    const idempotency = { key: 'k', fingerprint: 'f', isRecordIdGenerated: false };
    await expect(q.submit([{ change: changeOf(), idempotency }])).rejects.toThrow('OOM');
  });
  expect((await redis.keys(`${q.keys.prefix}*`)).sort()).toEqual(before.sort());
  expect(await q.inspect()).toMatchObject({ length: 1, added: 1 });
  expect((await q.place()).rank).toBe(2);
});

test('workers come, claim, mark, settle, sweep and leave', async () => {
  const q = await bench();
  await q.placeMany(4);
  await whileFull(async () => {
    await q.leases.heartbeat('w', 60_000, { host: 'h' });
    const owner = await q.own('w');
    expect(await q.leases.renew(0, 'w', owner.epoch, 60_000)).toMatchObject({ status: 'renewed' });
    const [claimed] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]);
    const [done, dead, retried] = entriesOf(claimed) as [ClaimedEntry, ClaimedEntry, ClaimedEntry];
    const trial = { attempts: 1, dueAtMs: 5, error: undefined, startedIn: 0, sealedTo: 0 };
    expect(await q.reader('w').mark(owner, 'crm', new Map([[entryIdOf(done), trial]]))).toBe(true);
    const record = {
      digest: done.digest,
      state: { stamp: { ms: 1, rank: 1 }, isDeleted: false, providerRecordId: undefined, fields: undefined },
    };
    const finals = [{ ...finalOf(done), record }, deadOf(dead)];
    expect(await q.settler('w')([settlementOf(owner, { finals, retries: [{ entry: retried, trial }] })])).toEqual(['ok']);
    expect(await q.reader('w').takeOver(owner, 'crm', { after: undefined, hasOwnerDied: true })).toMatchObject({ status: 'taken' });
    expect(await q.reader('w').sweep(owner, 'crm', 3_600_000)).toBe(true);
    await q.leases.release(0, 'w', owner.epoch);
    await q.leases.leave('w');
  });
  expect(await q.inspect()).toEqual({ length: 4, pending: 2, added: 4, final: 2, dead: 1 });
  expect(await redis.hlen(q.keys.records(0, 'crm'))).toBe(1);
});

test('operators read, retry, drop and purge', async () => {
  const q = await bench();
  const [first, second, third] = await q.placeMany(4);
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 2 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => deadOf(entry)) })]);
  await whileFull(async () => {
    expect(await q.backlog.read('crm')).toMatchObject({ backlog: 2, deadLetters: 2 });
    expect(third && (await q.status.read(third))).toMatchObject({ status: 'queued' });
    expect(first && (await q.deadLetters.retry(first))).toMatchObject({ status: 'retried' });
    expect(second && (await q.deadLetters.remove(second))).toBe(true);
    expect(await q.purge.deadLetterAll('crm', { kind: 'gone', code: 'c', message: 'm' })).toBe(3);
    expect(await q.purge.forget('crm')).toBe(true);
  });
  expect(await q.inspect()).toMatchObject({ length: 0, added: 5, final: 5, dead: 3 });
});
