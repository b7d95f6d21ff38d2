/** The whole queue on a Redis Cluster: every command reaches the node that holds its keys at the first try, and no script mixes slots. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { changeOf, createQueueBench, deadOf, entriesOf, finalOf, type QueueBench, settlementOf } from '../../../test/support/queue.ts';
import { type RedisCluster, startCluster } from '../../../test/support/redis.ts';
import { type Place, parseOperationId } from '../domain/operation.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connection.ts';
import { createFinalWaiter } from './wait.ts';

let cluster: RedisCluster;
let redis: RedisClient;
let subscriber: RedisClient;
beforeAll(async () => {
  cluster = await startCluster(3);
  redis = connectRedis(cluster.url, { name: 'test' });
  subscriber = connectRedis(cluster.url, { name: 'test' });
  await eventually(() => redis.set('ready', '1'));
  for (const node of cluster.nodes) await node.ask('CONFIG', 'RESETSTAT');
});
afterAll(async () => {
  await disconnectRedis(redis);
  await disconnectRedis(subscriber);
  await cluster.stop();
});

/** What nodes answer to a command that is not theirs, or whose keys lie in several slots; counted since they started. */
const misrouted = /^errorstat_(MOVED|ASK|CROSSSLOT|TRYAGAIN|CLUSTERDOWN)/;

async function errorsOfNodes(): Promise<string[]> {
  const stats = await Promise.all(cluster.nodes.map((node) => node.ask('INFO', 'errorstats')));
  return stats.flatMap((text) => text.split('\r\n').filter((line) => misrouted.test(line)));
}

const shards = 16;
const everyShard = Array.from({ length: shards }, (_, shard) => shard);

/** Owns and reads every shard; ends every second operation, and gives the others up. */
async function workAll(q: QueueBench): Promise<void> {
  const owners = await Promise.all(everyShard.map((shard) => q.own('w', shard)));
  const claims = await q.reader('w').claim(owners.map((owner) => ({ ...owner, queue: 'crm', count: 1_000 })));
  const settlements = owners.map((owner, shard) => {
    const finals = entriesOf(claims[shard]).map((entry) =>
      entry.rank % 2 === 0 ? finalOf(entry, {}, 'crm', shard) : deadOf(entry, 'refused', 'crm', shard),
    );
    return settlementOf(owner, { finals });
  });
  expect(new Set(await q.settler('w')(settlements))).toEqual(new Set(['ok']));
}

test('accepts, reads, settles, shows, puts back and gives up without one misrouted command', async () => {
  const q = await createQueueBench(redis, 'k:', { shards });
  const submissions = Array.from({ length: 400 }, (_, i) => ({
    change: changeOf({ recordId: `r${i}` }),
    ...(i % 2 === 0 ? { idempotency: { key: `k${i}`, fingerprint: 'f', isRecordIdGenerated: false } } : {}),
  }));
  const submitted = await q.submit(submissions);
  const again = await q.submit(submissions.filter(({ idempotency }) => idempotency));
  expect(again).toEqual(submitted.filter((_, i) => i % 2 === 0));
  const places = submitted.map((each) => parseOperationId(each.status === 'queued' ? each.operationId : '') as Place);
  expect(new Set(places.map(({ shard }) => shard)).size).toBe(shards);

  await workAll(q);
  const views = await Promise.all(places.map((place) => q.status.read(place)));
  expect(views.every((view, i) => view?.status === ((places[i] as Place).rank % 2 === 0 ? 'succeeded' : 'dead_lettered'))).toBe(true);
  const dead = views.filter((view) => view?.status === 'dead_lettered').length;
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 0, pending: 0, deadLetters: dead });
  const page = await q.deadLetters.list({}, { limit: 500 });
  expect(page.status === 'listed' && page.items.length).toBe(dead);
  expect(await q.deadLetters.retryAll({}, async () => true)).toEqual({ requeued: dead, skipped: 0 });

  await q.leases.heartbeat('w', 60_000, {});
  expect(await q.leases.readMembers()).toHaveLength(1);
  expect((await q.leases.readLeases()).map(({ owner }) => owner)).toEqual(everyShard.map(() => 'w'));
  const owner = { shard: 3, epoch: 1 };
  expect(await q.leases.renew(3, 'w', 1, 60_000)).toMatchObject({ status: 'renewed' });
  expect(await q.reader('w').takeOver(owner, 'crm', { after: undefined, hasOwnerDied: true })).toMatchObject({ status: 'taken' });
  expect(await q.reader('w').sweep(owner, 'crm', 3_600_000)).toBe(true);
  expect(await q.purge.deadLetterAll('crm', { kind: 'gone', code: 'c', message: 'm' })).toBe(dead);
  expect(await q.purge.forget('crm')).toBe(true);
  expect(await errorsOfNodes()).toEqual([]);
});

test('who waits is woken, whichever node holds the operation', async () => {
  const q = await createQueueBench(redis, 'v:', { shards });
  const waiter = createFinalWaiter({ redis, subscriber, keys: q.keys });
  const places = await q.placeMany(40);
  let asked = 0;
  const isFinal = async () => {
    asked += 1;
    return false;
  };
  const waits = places.map((place) => waiter.wait(place, { timeoutMs: 3_600_000, signal: new AbortController().signal, isFinal }));
  await eventually(() => asked === places.length);
  await workAll(q);
  await Promise.all(waits);
  expect(await errorsOfNodes()).toEqual([]);
});

test('a misrouted command would have been seen', async () => {
  for (const shard of everyShard) await cluster.nodes[0]?.ask('GET', `{${shard}}`).catch(() => {});
  expect((await errorsOfNodes()).join()).toContain('MOVED');
});
