import { expect, test } from 'vitest';
import { createQueueBench, entriesOf, finalOf, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { type Place, parseOperationId } from '../domain/operation.ts';
import type { ProviderError } from '../domain/provider-error.ts';
import type { RedisClient } from '../redis/connection.ts';
import { group } from '../redis/keys.ts';
import type { ClaimedEntry } from './claim.ts';
import { parseEntry } from './entry.ts';
import type { FinalSettlement, RetrySettlement } from './settle.ts';

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});
const bench = (shards = 1) => createQueueBench(redis, `p${benches++}:`, { shards });
const removed: ProviderError = { kind: 'gone', code: 'provider_removed', message: 'the provider was removed' };

test('without workers every operation of every tenant becomes a dead letter, and the queues go', async () => {
  const q = await bench(4);
  const [place] = await q.placeMany(450);
  await q.placeMany(10, { tenant: 'acme' });
  await q.placeMany(5, { provider: 'other' });
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(460);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(0);
  expect(q.finals).toEqual({ 'crm upsert dead_lettered': 460 });
  expect(place && (await q.status.read(place))).toMatchObject({
    status: 'dead_lettered',
    error: { code: 'provider_removed', retryable: false },
  });
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 0, deadLetters: 460 });
  expect(await q.purge.forget('crm')).toBe(true);
  expect((await redis.keys(`${q.keys.prefix}*:q:*`)).filter((key) => !key.endsWith(':other'))).toEqual([]);
  expect((await q.backlog.read('other')).backlog).toBe(5);
});

test('with a worker that holds entries, they are given up in its name, and its lease stays', async () => {
  const q = await bench();
  await q.placeMany(5);
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 3 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.slice(0, 1).map((entry) => finalOf(entry)) })]);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(4);
  expect(await q.inspect()).toMatchObject({ pending: 0, added: 5, final: 5, dead: 4 });
  expect(await q.leases.renew(0, 'w', owner.epoch, 60_000)).toMatchObject({ status: 'renewed' });
});

test('what a worker held may have been called, and its letters say so; what nobody read was not', async () => {
  const q = await bench();
  // More than a page, so that entries are read long before they are given up.
  const places = await q.placeMany(650, { kind: 'create' });
  const owner = await q.own('w');
  await q.reader('w').claim([{ ...owner, queue: 'crm', count: 300 }]);
  await q.purge.deadLetterAll('crm', removed);
  await Promise.all(places.map((place) => q.deadLetters.retry(place)));
  const again = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1_000 }]))[0]);
  const recordsInDoubt = again
    .map(({ header, data }) => parseEntry(header, data))
    .flatMap((each) => (each.isInDoubt ? [each.recordId] : []));
  expect(again).toHaveLength(650);
  expect(recordsInDoubt.toSorted()).toEqual(Array.from({ length: 300 }, (_, i) => `r${i}`).toSorted());
});

test('attempts made, and what went wrong last, are not forgotten', async () => {
  const q = await bench();
  const [place] = await q.placeMany(1);
  const owner = await q.own('w');
  const [entry] = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
  if (!place || !entry) throw new Error('not read');
  const trial = { attempts: 4, dueAtMs: 1, error: { code: 'busy', message: 'come later', retryable: true }, startedIn: 0, sealedTo: 0 };
  await q.settler('w')([settlementOf(owner, { retries: [{ entry, trial }] })]);
  await q.purge.deadLetterAll('crm', removed);
  const told = { code: 'provider_removed', message: 'the provider was removed; its last attempt: come later' };
  expect(await q.status.read(place)).toMatchObject({ status: 'dead_lettered', attempts: 4, error: told });
  expect(await q.deadLetters.get(place)).toMatchObject({ attempts: 4, error: told });
});

test('a letter given up in doubt and put back is still in doubt when its provider goes', async () => {
  const q = await bench();
  const owner = await q.own('w');
  const claim = async () => entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
  let [place] = (await q.placeMany(1, { kind: 'create' })) as [Place];
  await claim();
  for (let round = 0; round < 2; round++) {
    await q.purge.deadLetterAll('crm', removed);
    const retried = await q.deadLetters.retry(place);
    place = parseOperationId(retried.status === 'retried' ? retried.operationId : '') as Place;
  }
  expect((await claim()).map(({ header, data }) => parseEntry(header, data).isInDoubt)).toEqual([true]);
});

test('a shard without owner is free again afterwards', async () => {
  const q = await bench();
  await q.placeMany(1);
  await q.purge.deadLetterAll('crm', removed);
  expect(await q.leases.acquire(0, 'w', 60_000)).toMatchObject({ status: 'acquired', hasOwnerDied: false });
});

test('a worker that died holding entries of another provider is still known to have died', async () => {
  const q = await bench();
  await q.place({ provider: 'other', kind: 'create' });
  const dead = await q.own('dead');
  await q.reader('dead').claim([{ ...dead, queue: 'other', count: 10 }]);
  await q.placeMany(1);
  await redis.hset(q.keys.lease(0), 'until', 1);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(1);
  expect(await q.leases.acquire(0, 'next', 60_000)).toMatchObject({ status: 'acquired', hasOwnerDied: true });
});

test('in a shard that was handed over and not taken again, operations are given up, too', async () => {
  const q = await bench();
  await q.placeMany(1);
  await q.leases.release(0, 'w', (await q.own('w')).epoch);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(1);
  expect(await q.leases.acquire(0, 'next', 60_000)).toMatchObject({ status: 'acquired', hasOwnerDied: false });
});

test('history is not given up: after a lost group, only what is not final is', async () => {
  const q = await bench();
  await q.placeMany(6);
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 4 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(2);
  expect(await q.inspect()).toMatchObject({ pending: 0, added: 6, final: 6, dead: 2 });
  expect(await q.status.read({ shard: 0, queue: 'crm', ms: entries[0]?.ms ?? 0, rank: 1 })).toMatchObject({ status: 'succeeded' });
});

test('an entry that was deleted by hand while it was pending does not stop a purge', async () => {
  const q = await bench();
  const places = await q.placeMany(3);
  const owner = await q.own('w');
  await q.reader('w').claim([{ ...owner, queue: 'crm', count: 3 }]);
  await redis.xdel(q.keys.queue(0, 'crm'), `${places[0]?.ms}-1`);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(2);
  expect(await q.inspect()).toMatchObject({ added: 3, final: 3 });
});

test('an entry that was deleted by hand before anybody read it does not keep its queue from being forgotten', async () => {
  const q = await bench();
  const [, unread] = await q.placeMany(2);
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  await redis.xdel(q.keys.queue(0, 'crm'), `${unread?.ms}-2`);
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(0);
  expect(await q.inspect()).toMatchObject({ length: 1, added: 2, final: 2 });
  expect(await q.purge.forget('crm')).toBe(true);
});

test('what is accepted between giving up and forgetting is not lost', async () => {
  const q = await bench(2);
  await q.placeMany(10);
  await q.purge.deadLetterAll('crm', removed);
  const late = await q.place({ recordId: 'late' });
  expect(await q.purge.forget('crm')).toBe(false);
  expect(await q.status.read(late)).toMatchObject({ status: 'queued' });
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(1);
  expect(await q.purge.forget('crm')).toBe(true);
});

test('a provider that comes back finds empty queues whose ranks go on, and no memory of records', async () => {
  const q = await bench();
  await q.placeMany(2);
  await redis.hset(q.keys.records(0, 'crm'), 'digest', 'packed');
  await q.purge.deadLetterAll('crm', removed);
  await q.purge.forget('crm');
  await q.purge.forget('crm');
  expect(await redis.exists(q.keys.records(0, 'crm'))).toBe(0);
  const [place] = await q.placeMany(1);
  expect(place?.rank).toBe(3);
  const owner = await q.own('w');
  const [claimed] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]);
  expect(claimed).toMatchObject({ checkUpTo: 0, entries: [{ rank: 3 }] });
});

test.each(['before', 'after'])(
  'what ends %s the next provider of its name has entries leaves nothing to it of the one that was removed',
  async (moment) => {
    const q = await bench();
    const owner = await q.own('w');
    const claim = async () => entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
    const settle = (finals: FinalSettlement[], retries: RetrySettlement[]) => q.settler('w')([settlementOf(owner, { finals, retries })]);
    const applied = (entry: ClaimedEntry, providerRecordId: string): FinalSettlement => {
      const state = { stamp: { ms: 5_000, rank: entry.rank }, isDeleted: false, providerRecordId, fields: undefined };
      return { ...finalOf(entry), record: { digest: entry.digest, state } };
    };
    const trial = { attempts: 1, dueAtMs: 1, error: undefined, startedIn: 0, sealedTo: 0 };
    await q.placeMany(2);
    const [ends, fails] = (await claim()) as [ClaimedEntry, ClaimedEntry];
    await q.purge.deadLetterAll('crm', removed);
    expect(await q.purge.forget('crm')).toBe(true);
    if (moment === 'after') await q.placeMany(2);
    // Once together, once each alone.
    await settle([applied(ends, 'old')], [{ entry: fails, trial }]);
    await settle([applied(ends, 'old')], []);
    await settle([], [{ entry: fails, trial }]);
    if (moment === 'before') await q.placeMany(2);
    const [next, later] = (await claim()) as [ClaimedEntry, ClaimedEntry];
    expect([next, later].map(({ state }) => state)).toEqual(['', '']);
    expect(await redis.exists(q.keys.tries(0, 'crm'))).toBe(0);
    await settle([applied(next, 'new')], [{ entry: later, trial }]);
    expect(await redis.hget(q.keys.records(0, 'crm'), next.digest)).toContain('|new');
    expect(await redis.hkeys(q.keys.tries(0, 'crm'))).toEqual([`${later.ms}-${later.rank}`]);
  },
);

test('a purge works after SCRIPT FLUSH', async () => {
  const q = await bench();
  await q.placeMany(1);
  await redis.script('FLUSH');
  expect(await q.purge.deadLetterAll('crm', removed)).toBe(1);
  await redis.script('FLUSH');
  expect(await q.purge.forget('crm')).toBe(true);
});
