import { expect, test } from 'vitest';
import { changeOf, createQueueBench, entriesOf, entryIdOf, finalOf, type QueueBench, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { RedisClient } from '../redis/connection.ts';
import { group } from '../redis/keys.ts';
import type { Ownership, TakenEntry } from './claim.ts';
import { parseTrial, type Trial } from './trial.ts';

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});
const bench = (shards = 1) => createQueueBench(redis, `c${benches++}:`, { shards });

const claim = async (q: QueueBench, worker: string, owner: Ownership, count = 100, queue = 'crm') =>
  (await q.reader(worker).claim([{ ...owner, queue, count }]))[0];
const stale = (owner: Ownership): Ownership => ({ ...owner, epoch: owner.epoch - 1 });
const failed: Trial = { attempts: 2, dueAtMs: 99, error: { code: 'c', message: 'm', retryable: true }, startedIn: 0, sealedTo: 0 };

/** Every page of what a former owner left. */
async function takeAll(q: QueueBench, worker: string, owner: Ownership, hasOwnerDied = false): Promise<TakenEntry[]> {
  const entries: TakenEntry[] = [];
  for (let after: string | undefined; ; ) {
    const page = await q.reader(worker).takeOver(owner, 'crm', { after, hasOwnerDied });
    if (page.status === 'lost') throw new Error('lost');
    entries.push(...page.entries);
    after = page.last;
    if (after === undefined) return entries;
  }
}

test('a claim reads entries in order, with what is known of their records, and makes them pending', async () => {
  const q = await bench();
  const places = await q.placeMany(3);
  const digest = q.hasher.digestOf(changeOf({ recordId: 'r1' }));
  await redis.hset(q.keys.records(0, 'crm'), digest, 'packed');
  const owner = await q.own('w');
  const claimed = await claim(q, 'w', owner);
  expect(claimed).toMatchObject({ status: 'read', isDrained: true, checkUpTo: 0 });
  expect(entriesOf(claimed).map(({ rank }) => rank)).toEqual(places.map(({ rank }) => rank));
  expect(entriesOf(claimed).map(({ state }) => state)).toEqual(['', 'packed', '']);
  expect(entriesOf(claimed)[1]).toMatchObject({ data: '{"a":1}', digest });
  expect((await q.inspect()).pending).toBe(3);
});

test('a second claim reads on, and only a drained queue leaves `ready`', async () => {
  const q = await bench();
  await q.placeMany(3);
  const owner = await q.own('w');
  expect(await claim(q, 'w', owner, 3)).toMatchObject({ isDrained: false });
  expect(await redis.smembers(q.keys.ready(0))).toEqual(['crm']);
  expect(await claim(q, 'w', owner, 3)).toMatchObject({ isDrained: true, entries: [] });
  expect(await redis.exists(q.keys.ready(0))).toBe(0);
});

test('nobody but the holder of the lease reads, takes over, marks or sweeps', async () => {
  const q = await bench();
  await q.placeMany(1);
  const owner = await q.own('w');
  for (const [worker, ownership] of [
    ['other', owner],
    ['w', stale(owner)],
  ] as const) {
    const reader = q.reader(worker);
    expect(await claim(q, worker, ownership)).toEqual({ status: 'lost' });
    expect(await reader.takeOver(ownership, 'crm', { after: undefined, hasOwnerDied: false })).toEqual({ status: 'lost' });
    expect(await reader.mark(ownership, 'crm', new Map([['1-1', failed]]))).toBe(false);
    expect(await reader.sweep(ownership, 'crm', 0)).toBe(false);
  }
  expect(await q.inspect()).toMatchObject({ length: 1, pending: 0 });
  expect(await redis.exists(q.keys.tries(0, 'crm'))).toBe(0);
});

test('a lost shard in a claim of many does not stop the others', async () => {
  const q = await bench(2);
  await q.submit(Array.from({ length: 20 }, (_, i) => ({ change: changeOf({ recordId: `r${i}` }) })));
  const mine = await q.own('w', 0);
  const lost = stale(await q.own('w', 1));
  const claimed = await q.reader('w').claim([lost, mine].map((owner) => ({ ...owner, queue: 'crm', count: 100 })));
  expect(claimed.map(({ status }) => status)).toEqual(['lost', 'read']);
  expect((await q.inspect('crm', 1)).pending).toBe(0);
  expect((await q.inspect('crm', 0)).pending).toBe(entriesOf(claimed[1]).length);
});

test('a claim of a queue that does not exist is drained and makes nothing', async () => {
  const q = await bench();
  const owner = await q.own('w');
  expect(await claim(q, 'w', owner)).toEqual({ status: 'read', isDrained: true, checkUpTo: 0, entries: [] });
  expect(await redis.keys(`${q.keys.prefix}*`)).toEqual([q.keys.lease(0)]);
});

test('a thousand entries are claimed at once, in many queues in one round', async () => {
  const q = await bench();
  const change = (i: number, provider: string) => ({ change: changeOf({ recordId: `r${i}`, provider }) });
  await q.submit(Array.from({ length: 3_000 }, (_, i) => change(i, ['crm', 'crm2', 'crm3'][i % 3] as string)));
  const owner = await q.own('w');
  const claimed = await q.reader('w').claim(['crm', 'crm2', 'crm3'].map((queue) => ({ ...owner, queue, count: 1_000 })));
  expect(claimed.map((each) => entriesOf(each).length)).toEqual([1_000, 1_000, 1_000]);
  expect(entriesOf(claimed[1])[0]?.header).toContain('"r1"');
});

test('claims and take-overs work after SCRIPT FLUSH', async () => {
  const q = await bench();
  await q.placeMany(2);
  const owner = await q.own('w');
  await redis.script('FLUSH');
  expect(entriesOf(await claim(q, 'w', owner))).toHaveLength(2);
  await redis.script('FLUSH');
  expect(await takeAll(q, 'w', owner)).toHaveLength(2);
});

test('after a lost group everything comes again, and what may be final already is said', async () => {
  const q = await bench();
  await q.placeMany(5);
  const owner = await q.own('w');
  const entries = entriesOf(await claim(q, 'w', owner, 5));
  await q.settler('w')([settlementOf(owner, { finals: entries.slice(0, 2).map((entry) => finalOf(entry)) })]);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  const claimed = await claim(q, 'w', owner);
  expect(claimed).toMatchObject({ checkUpTo: 5 });
  expect(entriesOf(claimed)).toHaveLength(5);
  expect(await q.reader('w').findFinal(0, 'crm', [1, 2, 3, 4, 5])).toEqual(new Set([1, 2]));
  await q.settler('w')([settlementOf(owner, { settledBefore: entriesOf(claimed).slice(0, 2) })]);
  expect(await q.inspect()).toMatchObject({ pending: 3, added: 5, final: 2 });
});

test('a new owner is told, too, that a group was lost before it came', async () => {
  const q = await bench();
  await q.placeMany(2);
  const first = await q.own('w1');
  await claim(q, 'w1', first);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  await claim(q, 'w1', first);
  await redis.del(q.keys.lease(0));
  const page = await q.reader('w2').takeOver(await q.own('w2'), 'crm', { after: undefined, hasOwnerDied: true });
  expect(page).toMatchObject({ status: 'taken', checkUpTo: 2, entries: [{ rank: 1 }, { rank: 2 }] });
});

test('takes over the entries of a dead worker, remembers its death, and forgets its consumer', async () => {
  const q = await bench();
  await q.placeMany(450);
  await claim(q, 'dead', await q.own('dead'), 450);
  await redis.hset(q.keys.lease(0), 'until', 1);
  const owner = await q.own('w');
  // Twice, as after an answer that was lost.
  await takeAll(q, 'w', owner, true);
  const taken = await takeAll(q, 'w', owner, true);
  expect(taken.map(({ rank }) => rank)).toEqual(Array.from({ length: 450 }, (_, i) => i + 1));
  expect(new Set(taken.map(({ inheritedIn }) => inheritedIn))).toEqual(new Set([owner.epoch]));
  const consumers = (await redis.xinfo('CONSUMERS', q.keys.queue(0, 'crm'), group)) as string[][];
  expect(consumers.map((each) => each[1])).toEqual(['w']);
});

test('an orderly hand-over is no death, with trials and record states as they are', async () => {
  const q = await bench();
  const [place] = await q.placeMany(1);
  const first = await q.own('w1');
  await claim(q, 'w1', first);
  expect(await q.reader('w1').mark(first, 'crm', new Map([[entryIdOf(place ?? { ms: 0, rank: 0 }), failed]]))).toBe(true);
  await redis.hset(q.keys.records(0, 'crm'), q.hasher.digestOf(changeOf({ recordId: 'r0' })), 'packed');
  await q.leases.release(0, 'w1', first.epoch);
  const second = await q.own('w2');
  for (const taken of [await takeAll(q, 'w2', second), await takeAll(q, 'w2', second)]) {
    expect(taken).toMatchObject([{ inheritedIn: 1, trial: failed, state: 'packed', rank: 1 }]);
  }
});

test('an entry that was deleted by hand leaves the pending list and counts as final', async () => {
  const q = await bench();
  const places = await q.placeMany(3);
  const owner = await q.own('w');
  await claim(q, 'w', owner);
  await redis.xdel(q.keys.queue(0, 'crm'), entryIdOf(places[1] ?? { ms: 0, rank: 0 }));
  for (const hasOwnerDied of [true, false]) {
    expect((await takeAll(q, 'w', owner, hasOwnerDied)).map(({ rank }) => rank)).toEqual([1, 3]);
    expect(await q.inspect()).toMatchObject({ length: 2, pending: 2, added: 3, final: 1 });
  }
});

test('taking over a queue without stream or group finds nothing', async () => {
  const q = await bench();
  const owner = await q.own('w');
  expect(await takeAll(q, 'w', owner)).toEqual([]);
  await q.placeMany(1);
  expect(await takeAll(q, 'w', owner)).toEqual([]);
  expect(entriesOf(await claim(q, 'w', owner))).toHaveLength(1);
});

test('marks are written, and written again', async () => {
  const q = await bench();
  const owner = await q.own('w');
  const marks = new Map(Array.from({ length: 1_000 }, (_, i) => [`1-${i}`, { ...failed, attempts: i }]));
  expect(await q.reader('w').mark(owner, 'crm', marks)).toBe(true);
  expect(await q.reader('w').mark(owner, 'crm', marks)).toBe(true);
  expect(await redis.hlen(q.keys.tries(0, 'crm'))).toBe(1_000);
});

test('marks keep what errors say, whatever is in it', async () => {
  const q = await bench();
  const owner = await q.own('w');
  const error = { code: 'c', message: 'separator \x1f, half a character \ud800, "quotes", \n', retryable: true };
  await q.reader('w').mark(owner, 'crm', new Map([['1-1', { ...failed, error }]]));
  expect(parseTrial((await redis.hget(q.keys.tries(0, 'crm'), '1-1')) as string)).toEqual({ ...failed, error, writtenIn: owner.epoch });
});

test('a mark of nothing writes nothing', async () => {
  const q = await bench();
  const owner = await q.own('w');
  expect(await q.reader('w').mark(owner, 'crm', new Map())).toBe(true);
  expect(await redis.exists(q.keys.tries(0, 'crm'))).toBe(0);
});
