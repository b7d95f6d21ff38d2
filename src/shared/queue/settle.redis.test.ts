import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createQueueBench,
  deadOf,
  entriesOf,
  entryIdOf,
  finalOf,
  type QueueBench,
  type QueueBenchOptions,
  settlementOf,
} from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { Place } from '../domain/operation.ts';
import { parseRecordState } from '../domain/record-state.ts';
import type { RedisClient } from '../redis/connection.ts';
import { group } from '../redis/keys.ts';
import type { ClaimedEntry } from './claim.ts';
import type { Trial } from './trial.ts';

fc.configureGlobal({ seed: 7 });

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});

/** A queue of which a worker has read so many entries. */
async function claimed(count: number, options?: QueueBenchOptions) {
  const q = await createQueueBench(redis, `f${benches++}:`, options);
  await q.placeMany(count);
  const owner = await q.own('w');
  const entries: ClaimedEntry[] = [];
  for (let left = count; left > 0; left -= 1_000) {
    const [part] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: Math.min(left, 1_000) }]);
    entries.push(...entriesOf(part));
  }
  return { q, owner, entries, settle: q.settler('w') };
}

const viewOf = (q: QueueBench, { ms, rank }: ClaimedEntry) => q.status.read({ shard: 0, queue: 'crm', ms, rank });
const trial: Trial = { attempts: 1, dueAtMs: 5_000, error: { code: 'busy', message: 'm', retryable: true }, startedIn: 0, sealedTo: 0 };

test('what is final is acknowledged, with its outcome and its record’s state, in one step', async () => {
  const { q, owner, entries, settle } = await claimed(2);
  const [entry, other] = entries as [ClaimedEntry, ClaimedEntry];
  const record = {
    digest: entry.digest,
    state: { stamp: { ms: 35, rank: 1 }, isDeleted: false, providerRecordId: undefined, fields: undefined },
  };
  expect(await settle([settlementOf(owner, { finals: [{ ...finalOf(entry, { providerRecordId: 'p1' }), record }] })])).toEqual(['ok']);
  expect(await viewOf(q, entry)).toMatchObject({ status: 'succeeded', attempts: 1, providerRecordId: 'p1', completedAtMs: entry.ms + 5 });
  expect(await viewOf(q, other)).toMatchObject({ status: 'processing' });
  expect(await redis.hgetall(q.keys.records(0, 'crm'))).toEqual({ [entry.digest]: 'z.1' });
  expect(await q.inspect()).toEqual({ length: 2, pending: 1, added: 2, final: 1, dead: 0 });
});

test('settled twice is settled once', async () => {
  const { q, owner, entries, settle } = await claimed(3);
  const [done, dead, retried] = entries as [ClaimedEntry, ClaimedEntry, ClaimedEntry];
  const settlement = settlementOf(owner, { finals: [finalOf(done), deadOf(dead)], retries: [{ entry: retried, trial }] });
  expect(await settle([settlement])).toEqual(['ok']);
  const before = await q.inspect();
  expect(await settle([settlement])).toEqual(['ok']);
  expect(await q.inspect()).toEqual(before);
  expect(before).toMatchObject({ pending: 1, final: 2, dead: 1 });
  expect(await redis.xlen(q.keys.deadLetters(0, 'crm'))).toBe(1);
});

test('an owner that lost its shard writes nothing', async () => {
  const { q, owner, entries } = await claimed(1);
  const before = await redis.keys(`${q.keys.prefix}*`);
  const settlement = { finals: entries.map((entry) => deadOf(entry)), retries: [{ entry: { ms: 1, rank: 1 }, trial }] };
  expect(await q.settler('other')([settlementOf(owner, settlement)])).toEqual(['lost']);
  expect(await q.settler('w')([settlementOf({ ...owner, epoch: owner.epoch - 1 }, settlement)])).toEqual(['lost']);
  expect((await redis.keys(`${q.keys.prefix}*`)).sort()).toEqual(before.sort());
  expect(await q.inspect()).toMatchObject({ pending: 1, final: 0, dead: 0 });
});

test('one lost shard does not stop the others, whichever comes first', async () => {
  const q = await createQueueBench(redis, `f${benches++}:`, { shards: 2 });
  await q.placeMany(20);
  const owners = [await q.own('w', 0), await q.own('w', 1)] as const;
  const claims = await q.reader('w').claim(owners.map((owner) => ({ ...owner, queue: 'crm', count: 50 })));
  await redis.del(q.keys.lease(0));
  const entries = entriesOf(claims[1]);
  // Everything that can be written, of two queues.
  const settlements = owners.flatMap((owner, shard) => {
    const [dead, retried, tried, ...rest] = entriesOf(claims[shard]) as [ClaimedEntry, ClaimedEntry, ClaimedEntry, ...ClaimedEntry[]];
    const finals = [...rest, tried].map((entry) => ({ ...finalOf(entry), hadTrial: entry === tried }));
    return [
      { ...settlementOf(owner, { settledBefore: [{ ms: 1, rank: 1 }] }), queue: 'other' },
      settlementOf(owner, { finals: [...finals, deadOf(dead, 'refused', 'crm', shard)], retries: [{ entry: retried, trial }] }),
    ];
  });
  expect(await q.settler('w')(settlements)).toEqual(['lost', 'lost', 'ok', 'ok']);
  expect(await q.inspect('crm', 0)).toMatchObject({ final: 0, dead: 0 });
  expect(await q.inspect('crm', 1)).toMatchObject({ final: entries.length - 1, dead: 1, pending: 1 });
  expect(await redis.exists(q.keys.tries(0, 'crm'), q.keys.deadLetters(0, 'crm'), q.keys.records(0, 'crm'))).toBe(0);
  expect(await redis.hkeys(q.keys.tries(1, 'crm'))).toEqual([entryIdOf(entries[1] as ClaimedEntry)]);
});

test('an attempt that failed leaves its trial, which goes when the operation ends', async () => {
  const { q, owner, entries, settle } = await claimed(1);
  const [entry] = entries as [ClaimedEntry];
  await settle([settlementOf(owner, { retries: [{ entry, trial }] })]);
  expect(await viewOf(q, entry)).toMatchObject({ status: 'retrying', attempts: 1, nextAttemptAtMs: 5_000, error: { code: 'busy' } });
  expect((await q.inspect()).pending).toBe(1);
  await settle([settlementOf(owner, { finals: [{ ...finalOf(entry), hadTrial: true }] })]);
  expect(await redis.exists(q.keys.tries(0, 'crm'))).toBe(0);
});

test('a dead letter that was put back before the settling was repeated is not made again', async () => {
  const { q, owner, entries, settle } = await claimed(1);
  const [entry] = entries as [ClaimedEntry];
  const settlement = settlementOf(owner, { finals: [deadOf(entry)] });
  await settle([settlement]);
  const retried = await q.deadLetters.retry({ shard: 0, queue: 'crm', ms: entry.ms, rank: entry.rank });
  await settle([settlement]);
  expect((await q.deadLetters.list({}, { limit: 10 })) as object).toMatchObject({ items: [] });
  expect(await q.inspect()).toMatchObject({ added: 2, final: 1, dead: 0 });
  expect(await viewOf(q, entry)).toMatchObject({ status: 'dead_lettered', retriedAs: retried.status === 'retried' && retried.operationId });
});

test('2,000 ends of three kinds are written at once', async () => {
  const { q, owner, entries, settle } = await claimed(2_000);
  const finals = entries.slice(0, 1_000).map((entry) => ({ ...finalOf(entry), hadTrial: true }));
  const dead = entries.slice(1_000, 1_900).map((entry) => deadOf(entry));
  const retries = entries.slice(1_900).map((entry) => ({ entry, trial }));
  expect(await settle([settlementOf(owner, { finals: [...finals, ...dead], retries, keep: 10_000 })])).toEqual(['ok']);
  expect(await q.inspect()).toEqual({ length: 2_000, pending: 100, added: 2_000, final: 1_900, dead: 900 });
  expect(await redis.hlen(q.keys.tries(0, 'crm'))).toBe(100);
  expect(
    (
      await q.reader('w').findFinal(
        0,
        'crm',
        entries.map(({ rank }) => rank),
      )
    ).size,
  ).toBe(1_900);
});

test('results expire, whether of dead letters or of others', async () => {
  const { q, owner, entries, settle } = await claimed(250, { statusTtlMs: 5_000 });
  const finals = entries.map((entry, i) => (i < 150 ? finalOf(entry) : deadOf(entry)));
  await settle([settlementOf(owner, { finals })]);
  const buckets = await redis.keys(`${q.keys.prefix}*:res:*`);
  expect(buckets).toHaveLength(3);
  for (const bucket of buckets) {
    const leftMs = await redis.pttl(bucket);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(5_000);
  }
});

test('once its result has expired a settled operation is unknown, not queued', async () => {
  const { q, owner, entries, settle } = await claimed(2);
  const [done, open] = entries as [ClaimedEntry, ClaimedEntry];
  await settle([settlementOf(owner, { finals: [finalOf(done)] })]);
  await redis.del(q.keys.results(0, 'crm', 1));
  const unread = await q.place();
  expect(await viewOf(q, done)).toBeUndefined();
  expect(await viewOf(q, open)).toMatchObject({ status: 'processing' });
  expect(await q.status.read(unread)).toMatchObject({ status: 'queued' });
  expect(await q.status.read({ ...unread, rank: 99 })).toBeUndefined();
  expect(await q.status.read({ ...unread, shard: 99 })).toBeUndefined();
});

test('settling while the group is lost fails nobody, and counts what is read again', async () => {
  const { q, owner, entries, settle } = await claimed(300);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  expect(await settle([settlementOf(owner, { keep: 0, finals: entries.map((entry) => finalOf(entry)) })])).toEqual(['ok']);
  const [again] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1_000 }]);
  const known = await q.reader('w').findFinal(
    0,
    'crm',
    entriesOf(again).map(({ rank }) => rank),
  );
  expect(known.size).toBe(300);
  await settle([settlementOf(owner, { keep: 0, settledBefore: entriesOf(again) })]);
  expect(await q.inspect()).toMatchObject({ length: 0, pending: 0, added: 300, final: 300 });
});

test('trimming keeps about as many settled entries as it is told', async () => {
  const { q, owner, entries, settle } = await claimed(1_500);
  for (let i = 0; i < entries.length; i += 50) {
    await settle([settlementOf(owner, { keep: 300, finals: entries.slice(i, i + 50).map((entry) => finalOf(entry)) })]);
  }
  const { length } = await q.inspect();
  expect(length).toBeGreaterThanOrEqual(300);
  expect(length).toBeLessThan(500);
});

test('trimming never passes an entry that is not final, in whatever order operations end', async () => {
  const history = fc.record({
    unread: fc.nat(250),
    rounds: fc.array(fc.record({ from: fc.nat(600), count: fc.integer({ min: 1, max: 250 }) }), { minLength: 1, maxLength: 6 }),
    keep: fc.constantFrom(0, 1, 120),
  });
  await fc.assert(
    fc.asyncProperty(history, async ({ unread, rounds, keep }) => {
      const { q, owner, entries, settle } = await claimed(600);
      await q.placeMany(unread);
      const isOpen = new Set(entries.map(entryIdOf));
      for (const { from, count } of rounds) {
        const part = entries.slice(from, from + count).filter((entry) => isOpen.has(entryIdOf(entry)));
        await settle([settlementOf(owner, { keep, finals: part.map((entry) => finalOf(entry)) })]);
        for (const entry of part) isOpen.delete(entryIdOf(entry));
      }
      const ids = new Set((await redis.xrange(q.keys.queue(0, 'crm'), '-', '+')).map(([id]) => id));
      expect([...isOpen].filter((id) => !ids.has(id))).toEqual([]);
      expect(ids.size).toBeGreaterThanOrEqual(isOpen.size + unread);
      const { added, final } = await q.inspect();
      expect(added - final).toBe(isOpen.size + unread);
    }),
    { numRuns: 12 },
  );
});

test('a sweep drops history that is older than its results, never past what is open', async () => {
  const { q, owner, entries, settle } = await claimed(4);
  const [first, second, third] = entries as [ClaimedEntry, ClaimedEntry, ClaimedEntry];
  const sweep = (historyMs: number) => q.reader('w').sweep(owner, 'crm', historyMs);
  await settle([settlementOf(owner, { finals: [first, third].map((entry) => finalOf(entry)) })]);
  expect(await sweep(3_600_000)).toBe(true);
  expect((await q.inspect()).length).toBe(4);
  expect(await sweep(-1_000)).toBe(true);
  expect((await redis.xrange(q.keys.queue(0, 'crm'), '-', '+')).map(([id]) => id)).toEqual(entries.slice(1).map(entryIdOf));
  expect(await viewOf(q, second)).toMatchObject({ status: 'processing' });
});

test('a sweep leaves unread entries alone, old as they may be', async () => {
  const { q, owner, entries, settle } = await claimed(2);
  await settle([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  await q.placeMany(2);
  expect(await q.reader('w').sweep(owner, 'crm', -1_000)).toBe(true);
  expect(await q.inspect()).toMatchObject({ length: 2, added: 4, final: 2 });
  await q.reader('w').sweep(owner, 'crm', -1_000);
  const [claimedLater] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 9 }]);
  expect(entriesOf(claimedLater).map(({ rank }) => rank)).toEqual([3, 4]);
});

test('a queue that nobody used for long is removed, and its ranks go on where it is used again', async () => {
  const { q, owner, entries, settle } = await claimed(2);
  await settle([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  expect(await q.reader('w').sweep(owner, 'crm', 3_600_000)).toBe(true);
  expect(await q.reader('w').sweep(owner, 'crm', -1_000)).toBe(false);
  expect(await q.reader('w').sweep(owner, 'crm', -1_000)).toBe(false);
  expect(await q.backlog.queuesOf(0)).toEqual([]);
  expect((await redis.keys(`${q.keys.prefix}*`)).map((key) => key.split(':')[2]).sort()).toEqual(['lease', 'n', 'res']);
  const [place] = await q.placeMany(1);
  expect(place?.rank).toBe(3);
  const [again] = await q.reader('w').claim([{ ...owner, queue: 'crm', count: 9 }]);
  expect(again).toMatchObject({ checkUpTo: 0, entries: [{ rank: 3 }] });
});

test('a sweep never removes a queue with entries that its counters have forgotten, and puts counters right', async () => {
  const { q, owner, entries, settle } = await claimed(2);
  const counters = q.keys.counters(0, 'crm');
  await redis.hset(counters, 'f', 2);
  expect(await q.reader('w').sweep(owner, 'crm', -1_000)).toBe(true);
  expect((await q.inspect()).length).toBe(2);
  await redis.hset(counters, 'f', 0);
  await settle([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  await redis.hset(counters, 'a', 7);
  await q.reader('w').sweep(owner, 'crm', 3_600_000);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: 0 });
});

test('a sweep without group waits for the next claim', async () => {
  const { q, owner } = await claimed(2);
  await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group);
  expect(await q.reader('w').sweep(owner, 'crm', -1_000)).toBe(true);
  expect((await q.inspect()).length).toBe(2);
});

test('a busy neighbour’s keys are untouched', async () => {
  const { q, owner, entries, settle } = await claimed(1);
  await q.placeMany(1, { provider: 'crm2', tenant: 'acme' });
  const before = await redis.dump(q.keys.queue(0, 'crm2:acme'));
  await settle([settlementOf(owner, { keep: 0, finals: entries.map((entry) => deadOf(entry)) })]);
  await q.reader('w').sweep(owner, 'crm', -1_000);
  expect(await redis.dump(q.keys.queue(0, 'crm2:acme'))).toEqual(before);
  expect(await q.inspect('crm2:acme')).toMatchObject({ length: 1, final: 0 });
});

test('odd characters in names, ids and data are kept, and half a character stops nobody', async () => {
  const q = await createQueueBench(redis, `f${benches++}:`);
  const tenant = 'a\u0000b"\\{}😀 é';
  const queue = `crm:${tenant}`;
  const odd = { tenant, recordId: '~\t"\\\u0001😀', dataJson: '{"a":"\\u0000\\ud800 é"}' };
  const places = [await q.place(odd), await q.place({ ...odd, recordId: 'dead' })];
  const owner = await q.own('w');
  const [done, dead] = entriesOf((await q.reader('w').claim([{ ...owner, queue, count: 9 }]))[0]) as [ClaimedEntry, ClaimedEntry];
  const stamp = { ms: 1, rank: 1 };
  const record = {
    digest: done.digest,
    state: { stamp, isDeleted: false, providerRecordId: 'p|%\ud800', fields: new Map([['f\ud800', stamp]]) },
  };
  const result = { 'k\ud800\u0000': [] };
  const finals = [{ ...finalOf(done, { providerRecordId: 'p\t%\ud800', result }, queue), record }, deadOf(dead, 'refused', queue)];
  expect(await q.settler('w')([settlementOf(owner, { queue, finals })])).toEqual(['ok']);
  expect(await q.status.read(places[0] as Place)).toMatchObject({ recordId: odd.recordId, providerRecordId: 'p\t%\ufffd', result });
  expect(parseRecordState((await redis.hget(q.keys.records(0, queue), done.digest)) ?? '').providerRecordId).toBe('p|%\ufffd');
  expect((await q.deadLetters.get(places[1] as Place))?.operation).toMatchObject({ tenant, dataJson: odd.dataJson });
});

test('settling works after SCRIPT FLUSH', async () => {
  const { q, owner, entries, settle } = await claimed(1);
  await redis.script('FLUSH');
  expect(await settle([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })])).toEqual(['ok']);
  await redis.script('FLUSH');
  expect(await viewOf(q, entries[0] as ClaimedEntry)).toMatchObject({ status: 'succeeded' });
});
