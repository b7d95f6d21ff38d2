/**
 * As many operations as one lane may hold, 8 x the window: 4,096. A script could not write them down before their call, since Lua unpacks at most
 * some 8,000 values at once. Here every script that is given lists meets as much.
 */
import { expect, test } from 'vitest';
import { changeOf, createQueueBench, deadOf, entriesOf, entryIdOf, finalOf, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { ClaimedEntry } from './claim.ts';
import { parseTrial, type Trial } from './trial.ts';

const most = 4_096;
/** Larger windows can be set: twice so many arguments are more than the client can pass. */
const mostOfLargeWindow = 100_000;
const trial: Trial = { attempts: 2, dueAtMs: 99, error: { code: 'c', message: 'm', retryable: true }, startedIn: 0, sealedTo: 0 };

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});

/** A queue with so many operations of one record, all read by a worker. */
async function claimed() {
  const q = await createQueueBench(redis, `h${benches++}:`);
  await q.submit(Array.from({ length: most }, () => ({ change: changeOf({ recordId: 'hot' }) })));
  const owner = await q.own('w');
  const entries: ClaimedEntry[] = [];
  while (entries.length < most) entries.push(...entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1_000 }]))[0]));
  return { q, owner, entries, settle: q.settler('w') };
}

test.each([most, mostOfLargeWindow])('marks of %i operations are written at once, and written again', async (count) => {
  const q = await createQueueBench(redis, `h${benches++}:`);
  const owner = await q.own('w');
  const marks = new Map(Array.from({ length: count }, (_, i) => [`1-${i}`, { ...trial, attempts: i }]));
  for (let round = 0; round < 2; round++) {
    expect(await q.reader('w').mark(owner, 'crm', marks)).toBe(true);
    expect(await redis.hlen(q.keys.tries(0, 'crm'))).toBe(count);
  }
  const ends = await redis.hmget(q.keys.tries(0, 'crm'), '1-0', '1-1999', '1-2000', `1-${count - 1}`);
  expect(ends.map((text) => parseTrial(text as string).attempts)).toEqual([0, 1_999, 2_000, count - 1]);
});

test('they are taken over, in order, with their marks', async () => {
  const { q, owner, entries } = await claimed();
  await q.reader('w').mark(owner, 'crm', new Map(entries.map((entry) => [entryIdOf(entry), trial])));
  await redis.hset(q.keys.lease(0), 'until', 1);
  const next = await q.own('next');
  const taken: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await q.reader('next').takeOver(next, 'crm', { after, hasOwnerDied: true });
    if (page.status === 'lost') throw new Error('lost');
    expect(page.entries.every((entry) => entry.inheritedIn === next.epoch && entry.trial?.attempts === trial.attempts)).toBe(true);
    taken.push(...page.entries.map(entryIdOf));
    after = page.last;
    if (after === undefined) break;
  }
  expect(taken).toEqual(entries.map(entryIdOf));
});

test('they keep a trial each, and settle as one folded group', async () => {
  const { q, owner, entries, settle } = await claimed();
  const carrier = entries.at(-1) as ClaimedEntry;
  const state = { stamp: { ms: 35, rank: 1 }, isDeleted: false, providerRecordId: undefined, fields: undefined };
  const coalesced = entries.slice(0, -1).map((entry) => finalOf(entry, { status: 'coalesced', carriedBy: entryIdOf(carrier) }));
  const finals = [...coalesced, { ...finalOf(carrier), record: { digest: carrier.digest, state } }];
  expect(await settle([settlementOf(owner, { retries: entries.map((entry) => ({ entry, trial })) })])).toEqual(['ok']);
  expect(await redis.hlen(q.keys.tries(0, 'crm'))).toBe(most);
  for (let round = 0; round < 2; round++) {
    expect(await settle([settlementOf(owner, { finals: finals.map((final) => ({ ...final, hadTrial: true })) })])).toEqual(['ok']);
    expect(await q.inspect()).toMatchObject({ pending: 0, added: most, final: most, dead: 0 });
  }
  expect(await redis.exists(q.keys.tries(0, 'crm'))).toBe(0);
  expect(await redis.hkeys(q.keys.records(0, 'crm'))).toEqual([carrier.digest]);
  const views = await Promise.all(entries.map(({ ms, rank }) => q.status.read({ shard: 0, queue: 'crm', ms, rank })));
  expect(views.filter((view) => view?.status === 'coalesced')).toHaveLength(most - 1);
  expect(views.at(-1)).toMatchObject({ status: 'succeeded' });
});

test('they become as many dead letters, at once and again, and are all put back', async () => {
  const { q, owner, entries, settle } = await claimed();
  for (let round = 0; round < 2; round++) {
    expect(await settle([settlementOf(owner, { finals: entries.map((entry) => deadOf(entry)) })])).toEqual(['ok']);
    expect(await q.inspect()).toMatchObject({ pending: 0, final: most, dead: most });
  }
  expect(await q.deadLetters.retryAll({ recordId: 'hot' }, async () => true)).toEqual({ requeued: most, skipped: 0 });
  expect(await q.inspect()).toMatchObject({ added: 2 * most, final: most, dead: 0 });
});

test('they are only acknowledged where they were final already', async () => {
  const { q, owner, entries, settle } = await claimed();
  expect(await settle([settlementOf(owner, { settledBefore: entries })])).toEqual(['ok']);
  expect(await q.inspect()).toMatchObject({ pending: 0, final: most });
});

test('they are given up with their provider', async () => {
  const { q } = await claimed();
  const error = { kind: 'gone', code: 'provider_deleted', message: 'the provider was deleted' } as const;
  expect(await q.purge.deadLetterAll('crm', error)).toBe(most);
  expect(await q.purge.forget('crm')).toBe(true);
});

// Where the lists are of queues instead: those that are drained leave `ready` in one command.
test('thousands of queues of a shard are claimed, and drained, in one round', async () => {
  const q = await createQueueBench(redis, `h${benches++}:`);
  const owner = await q.own('w');
  const names = Array.from({ length: 5_000 }, (_, i) => `crm:tenant${i}`);
  await redis.sadd(q.keys.ready(0), ...names);
  const answers = await q.reader('w').claim(names.map((queue) => ({ ...owner, queue, count: 1 })));
  expect(answers.every((answer) => answer.status === 'read' && answer.isDrained)).toBe(true);
  expect(await redis.exists(q.keys.ready(0))).toBe(0);
});

test('what a crash leaves of a group to be written is older than its record’s state', async () => {
  const { q, owner, entries, settle } = await claimed();
  const [first, ...others] = entries as [ClaimedEntry, ...ClaimedEntry[]];
  const carrier = entries.at(-1) as ClaimedEntry;
  const state = { stamp: { ms: 35, rank: most }, isDeleted: false, providerRecordId: undefined, fields: undefined };
  // Redis knows the script from now on.
  await settle([settlementOf(owner, { finals: [finalOf(first)] })]);
  const finals = others.map((entry) =>
    entry === carrier ? { ...finalOf(entry), record: { digest: entry.digest, state } } : finalOf(entry),
  );
  const { evalsha } = redis;
  const answers: unknown[] = [];
  // Only the first of its calls gets through.
  redis.evalsha = ((...args: Parameters<typeof evalsha>) => {
    if (answers.length > 0) return new Promise(() => {});
    answers.push(evalsha.apply(redis, args));
    return answers[0];
  }) as typeof evalsha;
  void settle([settlementOf(owner, { finals })]);
  redis.evalsha = evalsha;
  await answers[0];
  expect((await q.inspect()).pending).toBeGreaterThan(0);
  expect(await redis.hkeys(q.keys.records(0, 'crm'))).toEqual([carrier.digest]);
});
