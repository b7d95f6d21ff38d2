import { expect, test } from 'vitest';
import { changeOf, createQueueBench, deadOf, entriesOf, type QueueBench, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { type Change, formatOperationId, type Place, parseOperationId } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { DeadLetterFilter, DeadLetterPage } from './dead-letters.ts';
import { parseEntry, withDoubt } from './entry.ts';
import type { DeadLetterContent, FinalSettlement } from './settle.ts';

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});
const bench = (shards = 1) => createQueueBench(redis, `d${benches++}:`, { shards });

/** Submits operations and gives them all up; their places. */
async function giveUp(q: QueueBench, changes: readonly Partial<Change>[], code = 'refused'): Promise<Place[]> {
  const places = await Promise.all(changes.map((change) => q.place(change)));
  for (let shard = 0; shard < q.shards; shard++) {
    const owner = await q.own('w', shard);
    for (const queue of await q.backlog.queuesOf(shard)) {
      const [claimed] = await q.reader('w').claim([{ ...owner, queue, count: 1_000 }]);
      const finals = entriesOf(claimed).map((entry) => deadOf(entry, code, queue, shard));
      await q.settler('w')([settlementOf(owner, { queue, finals })]);
    }
    await q.leases.release(shard, 'w', owner.epoch);
  }
  return places;
}

const listed = (page: DeadLetterPage) => {
  if (page.status !== 'listed') throw new Error(page.status);
  return page;
};
const recordsOf = (page: DeadLetterPage) => listed(page).items.map(({ operation }) => operation.recordId);

/** Every page of so many; `between` runs after each. */
async function pageThrough(q: QueueBench, limit: number, filter: DeadLetterFilter = {}, between?: () => Promise<unknown>) {
  const records: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = listed(await q.deadLetters.list(filter, { limit, cursor }));
    expect(page.items.length).toBeLessThanOrEqual(limit);
    records.push(...page.items.map(({ operation }) => operation.recordId));
    cursor = page.nextCursor;
    if (cursor === undefined) return records;
    await between?.();
  }
}
const always = async () => true;
const named = (count: number, prefix = 'r') => Array.from({ length: count }, (_, i) => ({ recordId: `${prefix}${i}` }));

test('a dead letter has the operation as submitted, the attempts, the error and the provider’s answer', async () => {
  const q = await bench();
  const change = changeOf({ tenant: 'Ünit 7', entity: 'deal', recordId: '😀\t"', dataJson: '{"a":"\\u0000"}', timestampMs: 77 });
  const [place] = (await giveUp(q, [change])) as [Place];
  expect(await q.deadLetters.get(place)).toEqual({
    operation: { ...change, place },
    attempts: 1,
    error: { kind: 'invalid', code: 'refused', message: 'no', providerStatus: 400, answer: '{"why":"no"}' },
    deadAtMs: place.ms + 5,
  });
  expect(await q.deadLetters.get({ ...place, rank: 99 })).toBeUndefined();
  expect(await q.deadLetters.get({ ...place, shard: 99 })).toBeUndefined();
});

test('paging shows each letter once, over shards and providers', async () => {
  const q = await bench(8);
  await giveUp(q, [...named(40), ...named(10, 'x').map((each) => ({ ...each, provider: 'other' }))]);
  for (const limit of [1, 7, 50, 500]) {
    const records = await pageThrough(q, limit);
    expect(records).toHaveLength(50);
    expect(new Set(records).size).toBe(50);
  }
});

test('letters come newest first, and those that share a millisecond are not lost between pages', async () => {
  const q = await bench(3);
  for (const shard of [0, 1, 2]) {
    for (const provider of ['crm', 'other']) {
      for (const id of ['1000-0', '1000-1', '1001-0']) {
        const fields = { q: provider, i: '7-1', o: `["u","${id} ${shard} ${provider}",1]`, d: '{}', r: 'x', n: '1', e: '{}', t: '1' };
        await redis.xadd(q.keys.deadLetters(shard, provider), id, ...Object.entries(fields).flat());
      }
      await redis.sadd(q.keys.deadLetterProviders(shard), provider);
    }
  }
  for (const limit of [1, 2, 5, 500]) {
    const records = await pageThrough(q, limit);
    expect(new Set(records).size).toBe(18);
    expect(records.map((record) => record.slice(0, 4))).toEqual([...new Array(6).fill('1001'), ...new Array(12).fill('1000')]);
  }
});

test('pages are steady while letters come and go', async () => {
  const q = await bench(4);
  const places = await giveUp(q, named(30));
  let round = 0;
  const change = async () => {
    round += 1;
    await giveUp(q, [{ recordId: `new${round}` }]);
    await q.deadLetters.remove(places[round] as Place);
  };
  const records = await pageThrough(q, 5, {}, change);
  expect(new Set(records).size).toBe(records.length);
  expect(records.filter((record) => record.startsWith('new'))).toEqual([]);
  expect(records.length).toBeGreaterThanOrEqual(30 - round);
});

test('filters select by provider, tenant, code and record', async () => {
  const q = await bench(4);
  await giveUp(q, [{ recordId: 'a' }, { recordId: 'b', tenant: 'acme' }, { recordId: 'c', provider: 'other' }]);
  await giveUp(q, [{ recordId: 'd' }], 'gone');
  const by = async (filter: DeadLetterFilter) => recordsOf(await q.deadLetters.list(filter, { limit: 10 })).sort();
  expect(await by({ provider: 'crm' })).toEqual(['a', 'b', 'd']);
  expect(await by({ tenant: 'acme' })).toEqual(['b']);
  expect(await by({ tenant: 'default', code: 'refused' })).toEqual(['a', 'c']);
  expect(await by({ code: 'gone' })).toEqual(['d']);
  expect(await by({ recordId: 'c' })).toEqual(['c']);
  expect(await by({ provider: 'nobody' })).toEqual([]);
});

test('a filter that few match finds them beyond the first page of the stream', async () => {
  const q = await bench();
  await giveUp(q, [{ recordId: 'old' }]);
  await giveUp(q, named(450), 'other');
  expect(recordsOf(await q.deadLetters.list({ code: 'refused' }, { limit: 2 }))).toEqual(['old']);
});

test('a cursor that is garbage is refused, whatever it holds', async () => {
  const q = await bench();
  await giveUp(q, named(2));
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const odd = [null, 1, 'x', [], [0, 0, 0, 'crm'], [1, 2], [1.5, 0, 0, 'crm'], [-1, 0, 0, 'crm'], [1, 0, 0, 7], [1e300, 0, 0, 'crm'], {}];
  for (const cursor of ['', 'garbage', '%%%', ...odd.map(encode)]) {
    expect(await q.deadLetters.list({}, { limit: 5, cursor })).toEqual({ status: 'bad_cursor' });
  }
  expect(recordsOf(await q.deadLetters.list({}, { limit: 5, cursor: encode([1, 0, 0, 'crm']) }))).toEqual([]);
});

test('a retried letter is a new operation with the old timestamp, and the old one says so', async () => {
  const q = await bench();
  const [place] = (await giveUp(q, [{ recordId: 'r', timestampMs: 77 }])) as [Place];
  const retried = await q.deadLetters.retry(place);
  const newPlace = parseOperationId(retried.status === 'retried' ? retried.operationId : '') as Place;
  expect(newPlace).toMatchObject({ queue: 'crm', rank: 2 });
  expect(await q.status.read(place)).toMatchObject({ status: 'dead_lettered', retriedAs: formatOperationId(newPlace) });
  expect(await q.status.read(newPlace)).toMatchObject({ status: 'queued', attempts: 0 });
  const owner = await q.own('w');
  const [claimed] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]);
  expect(entriesOf(claimed)).toMatchObject([{ rank: 2, header: '["p","r",77]', data: '{"a":1}' }]);
  expect(await q.inspect()).toMatchObject({ added: 2, final: 1, dead: 0 });
  expect(await redis.pttl(q.keys.results(0, 'crm', 1))).toBeGreaterThan(0);
});

test('a letter in doubt is shown as submitted, and hands its doubt on; one that says nothing of it has none', async () => {
  const q = await bench();
  const change = changeOf({ kind: 'create', recordId: 'r', entity: 'deal' });
  const places = [await q.place(change), await q.place(change)];
  const owner = await q.own('w');
  const claim = async () => entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
  const [inDoubt, plain] = (await claim()).map((entry) => deadOf(entry)) as [FinalSettlement, FinalSettlement];
  const deadLetter = inDoubt.deadLetter as DeadLetterContent;
  const finals = [{ ...inDoubt, deadLetter: { ...deadLetter, header: withDoubt(deadLetter.header, true) } }, plain];
  await q.settler('w')([settlementOf(owner, { finals })]);
  for (const place of places) {
    expect((await q.deadLetters.get(place))?.operation).toEqual({ ...change, place });
    await q.deadLetters.retry(place);
  }
  expect((await claim()).map(({ header, data }) => parseEntry(header, data))).toMatchObject([
    { recordId: 'r', isInDoubt: true },
    { recordId: 'r', isInDoubt: false },
  ]);
});

test('a letter is retried or dropped once', async () => {
  const q = await bench();
  const [first, second] = (await giveUp(q, named(2))) as [Place, Place];
  const retries = await Promise.all([q.deadLetters.retry(first), q.deadLetters.retry(first)]);
  expect(retries.map(({ status }) => status).sort()).toEqual(['not_found', 'retried']);
  expect(await q.deadLetters.remove(first)).toBe(false);
  expect(await q.deadLetters.remove(second)).toBe(true);
  expect(await q.deadLetters.remove(second)).toBe(false);
  expect(await q.deadLetters.retry(second)).toEqual({ status: 'not_found' });
  expect(await q.deadLetters.retry({ ...second, shard: 99 })).toEqual({ status: 'not_found' });
  expect(await q.inspect()).toMatchObject({ added: 3, dead: 0 });
});

test('when the last letter is gone, nothing of the provider’s letters is left', async () => {
  const q = await bench();
  const [place] = (await giveUp(q, named(1))) as [Place];
  await giveUp(q, [{ provider: 'other' }]);
  await q.deadLetters.remove(place);
  const left = await redis.keys(`${q.keys.prefix}*:dlq*`);
  expect(left.sort()).toEqual([q.keys.deadLetters(0, 'other'), q.keys.deadLetterIndex(0, 'other'), q.keys.deadLetterProviders(0)].sort());
  expect(await redis.smembers(q.keys.deadLetterProviders(0))).toEqual(['other']);
});

test('a letter whose stream was deleted by hand can still be dropped from the index', async () => {
  const q = await bench();
  const [place] = (await giveUp(q, named(1))) as [Place];
  await redis.del(q.keys.deadLetters(0, 'crm'));
  expect(await q.deadLetters.retry(place)).toEqual({ status: 'not_found' });
  expect(await redis.exists(q.keys.deadLetterIndex(0, 'crm'))).toBe(0);
  expect((await q.inspect()).added).toBe(1);
});

test('a retry works when the result has expired, and leaves none behind', async () => {
  const q = await bench();
  const [place] = (await giveUp(q, named(1))) as [Place];
  await redis.del(q.keys.results(0, 'crm', 1));
  expect(await q.deadLetters.retry(place)).toMatchObject({ status: 'retried' });
  expect(await redis.exists(q.keys.results(0, 'crm', 1))).toBe(0);
});

test('all that match are put back or dropped, more than a page of them, and the others stay', async () => {
  const q = await bench(4);
  await giveUp(q, named(450));
  await giveUp(q, named(20, 'x'), 'gone');
  expect(await q.deadLetters.retryAll({ code: 'refused' }, always)).toEqual({ requeued: 450, skipped: 0 });
  expect(await q.deadLetters.retryAll({ code: 'refused' }, always)).toEqual({ requeued: 0, skipped: 0 });
  expect((await q.backlog.read('crm')).backlog).toBe(450);
  expect(await q.deadLetters.removeAll({ provider: 'other' })).toBe(0);
  expect(await q.deadLetters.removeAll({})).toBe(20);
  expect(await pageThrough(q, 10)).toEqual([]);
});

test('so many are put back or dropped as are asked for, from where a page of the list ended', async () => {
  const q = await bench(4);
  await giveUp(q, named(450));
  const order = await pageThrough(q, 500);
  const { nextCursor: cursor } = listed(await q.deadLetters.list({}, { limit: 10 }));
  expect(await q.deadLetters.removeAll({}, { limit: 1, cursor })).toBe(1);
  expect(await q.deadLetters.retryAll({}, always, { limit: 205, cursor })).toEqual({ requeued: 205, skipped: 0 });
  expect(await q.deadLetters.removeAll({}, { limit: 2 })).toBe(2);
  expect(await pageThrough(q, 500)).toEqual([...order.slice(2, 10), ...order.slice(216)]);
  expect(await q.deadLetters.removeAll({}, { cursor })).toBe(234);
  for (const bad of [{ cursor: 'nonsense' }, { cursor: 'nonsense', limit: 1 }]) {
    expect(await q.deadLetters.removeAll({}, bad)).toBe('bad_cursor');
    expect(await q.deadLetters.retryAll({}, always, bad)).toBe('bad_cursor');
  }
  expect(await pageThrough(q, 500)).toEqual(order.slice(2, 10));
});

test('each that is dropped is counted as cancelled, once, and none that is put back', async () => {
  const q = await bench(2);
  const [one, two, ...others] = (await giveUp(q, [
    ...named(2),
    ...named(3, 'd').map((each) => ({ ...each, kind: 'delete' as const })),
  ])) as [Place, Place, ...Place[]];
  expect(await Promise.all([q.deadLetters.remove(one), q.deadLetters.remove(one)])).toContain(false);
  await q.deadLetters.retry(two);
  expect(await q.deadLetters.removeAll({})).toBe(others.length);
  expect(q.finals).toEqual({ 'crm upsert cancelled': 1, 'crm delete cancelled': 3 });
});

test('those that stay because their provider is gone do not use up how many are to be put back', async () => {
  const q = await bench();
  await giveUp(q, named(5));
  await giveUp(
    q,
    named(5).map((each) => ({ ...each, provider: 'gone' })),
  );
  const retry = () => q.deadLetters.retryAll({}, async (provider) => provider === 'crm', { limit: 3 });
  expect(await retry()).toMatchObject({ requeued: 3 });
  expect(await retry()).toEqual({ requeued: 2, skipped: 5 });
});

test('letters of a provider that is gone stay when all are put back, and are counted apart', async () => {
  const q = await bench(4);
  await giveUp(q, [...named(250), ...named(210).map((each) => ({ ...each, provider: 'gone' }))]);
  const asked: string[] = [];
  const isRegistered = async (provider: string) => {
    asked.push(provider);
    return provider === 'crm';
  };
  expect(await q.deadLetters.retryAll({}, isRegistered)).toEqual({ requeued: 250, skipped: 210 });
  expect(asked.sort()).toEqual(['crm', 'gone']);
  expect(await q.deadLetters.retryAll({ provider: 'gone' }, isRegistered)).toEqual({ requeued: 0, skipped: 210 });
  expect(await pageThrough(q, 500)).toHaveLength(210);
  expect((await q.backlog.read('gone')).backlog).toBe(0);
});

test('a dropped letter’s operation is cancelled, with its error; one that was put back stays dead-lettered', async () => {
  const q = await bench();
  const places = await giveUp(q, named(4));
  const [one, two, three, kept] = places as [Place, Place, Place, Place];
  const before = await q.status.read(one);
  const life = await redis.pexpiretime(q.keys.results(0, 'crm', 1));
  await q.deadLetters.remove(one);
  await q.deadLetters.retry(three);
  await q.deadLetters.removeAll({ recordId: 'r1' });
  expect(await q.status.read(one)).toEqual({ ...before, status: 'cancelled' });
  expect(await q.status.read(two)).toMatchObject({ status: 'cancelled', error: { code: 'refused' } });
  expect(await q.status.read(three)).toMatchObject({ status: 'dead_lettered', retriedAs: expect.any(String) });
  expect(await q.status.read(kept)).toMatchObject({ status: 'dead_lettered' });
  expect(await redis.pexpiretime(q.keys.results(0, 'crm', 1)), 'for as long as statuses are kept').toBe(life);
});

test('a letter is dropped when its result has expired, and none is made; another operation’s result is left alone', async () => {
  const q = await bench();
  const [first, second] = (await giveUp(q, named(2))) as [Place, Place];
  const results = q.keys.results(0, 'crm', 1);
  const foreign = (await redis.hget(results, String(second.rank)))?.replace(/^(..)..../, '$1zzzz') as string;
  await redis.hdel(results, String(first.rank));
  await redis.hset(results, String(second.rank), foreign);
  expect(await q.deadLetters.remove(first)).toBe(true);
  expect(await q.deadLetters.remove(second)).toBe(true);
  expect(await redis.hgetall(results)).toEqual({ [second.rank]: foreign });
});

test('what settles a dropped letter’s operation a second time leaves it cancelled', async () => {
  const q = await bench();
  await q.placeMany(1);
  const owner = await q.own('w');
  const [entry] = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1 }]))[0]);
  if (!entry) throw new Error('not read');
  const settle = () => q.settler('w')([settlementOf(owner, { finals: [deadOf(entry)] })]);
  await settle();
  const place = { shard: 0, queue: 'crm', ms: entry.ms, rank: entry.rank };
  await q.deadLetters.remove(place);
  await settle();
  expect(await q.status.read(place)).toMatchObject({ status: 'cancelled' });
  expect(await q.inspect()).toMatchObject({ dead: 0 });
});

test('requeueing works after SCRIPT FLUSH', async () => {
  const q = await bench();
  const [place] = (await giveUp(q, named(1))) as [Place];
  await redis.script('FLUSH');
  expect(await q.deadLetters.retry(place)).toMatchObject({ status: 'retried' });
});
