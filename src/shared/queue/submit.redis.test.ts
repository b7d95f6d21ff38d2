import { expect, test } from 'vitest';
import {
  changeOf,
  createQueueBench,
  entriesOf,
  finalOf,
  type QueueBench,
  type QueueBenchOptions,
  settlementOf,
} from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { formatEntryId, formatOperationId, parseOperationId } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import { queuesRung } from './bell.ts';
import { parseOperation } from './entry.ts';
import { AcceptedTooLate, type Submission, type Submitted } from './submit.ts';

let redis: RedisClient;
let benches = 0;
const { hear } = useRedis((client) => {
  redis = client;
});
const bench = (options?: QueueBenchOptions) => createQueueBench(redis, `s${benches++}:`, options);

const keyed = (key: string, fingerprint = 'f', isRecordIdGenerated = false): NonNullable<Submission['idempotency']> => ({
  key,
  fingerprint,
  isRecordIdGenerated,
});
const statusesOf = (submitted: readonly Submitted[]) => submitted.map(({ status }) => status);
const idOf = (submitted: Submitted | undefined) => (submitted?.status === 'queued' ? submitted.operationId : undefined);

/** Every entry of every queue, as operations, by shard. */
async function readAll({ redis, keys, shards }: QueueBench, queue = 'crm') {
  const perShard = await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const entries = await redis.xrange(keys.queue(shard, queue), '-', '+');
      return entries.map(([id, [, header, , data]]) => {
        const [ms, rank] = id.split('-').map(Number) as [number, number];
        return parseOperation({ shard, queue, ms, rank }, header as string, data as string);
      });
    }),
  );
  return perShard.flat();
}

test('an accepted operation is an entry at the place that its id names, and nothing else is written but counters and the bell', async () => {
  const q = await bench({ shards: 16 });
  const change = changeOf({ tenant: 'Ünit 7', entity: 'deal', recordId: '😀', dataJson: '{"a":"b"}' });
  const [submitted] = await q.submit([{ change }]);
  const place = parseOperationId(idOf(submitted) as string);
  expect(await readAll(q, 'crm:Ünit 7')).toEqual([{ ...change, place }]);
  const shard = place?.shard as number;
  expect(await redis.keys(`${q.keys.prefix}*`)).toHaveLength(4);
  expect(await redis.smembers(q.keys.ready(shard))).toEqual(['crm:Ünit 7']);
  expect(await q.backlog.queuesOf(shard)).toEqual(['crm:Ünit 7']);
});

test('ranks count from 1, entries are ordered, answers come in the order asked', async () => {
  const q = await bench();
  const submitted = await q.submit(['a', 'b', 'c'].map((recordId) => ({ change: changeOf({ recordId }) })));
  expect(submitted.map((each) => each.status === 'queued' && each.recordId)).toEqual(['a', 'b', 'c']);
  expect(submitted.map((each) => parseOperationId(idOf(each) as string)?.rank)).toEqual([1, 2, 3]);
  expect((await readAll(q)).map(({ recordId }) => recordId)).toEqual(['a', 'b', 'c']);
});

test('3,000 operations for many shards and tenants in one request are all accepted', async () => {
  const q = await bench({ shards: 16 });
  const changes = Array.from({ length: 3_000 }, (_, i) => changeOf({ recordId: `r${i}`, tenant: i % 3 === 0 ? 'acme' : 'default' }));
  const submitted = await q.submit(changes.map((change) => ({ change })));
  expect(new Set(submitted.map(idOf)).size).toBe(3_000);
  expect((await readAll(q)).length + (await readAll(q, 'crm:acme')).length).toBe(3_000);
  expect((await q.backlog.read('crm')).backlog).toBe(3_000);
});

test('operations with much data go in several calls, in order', async () => {
  const q = await bench();
  const dataJson = JSON.stringify({ text: 'x'.repeat(60_000) });
  await q.submit(Array.from({ length: 40 }, (_, i) => ({ change: changeOf({ recordId: `r${i}`, dataJson }) })));
  expect((await readAll(q)).map(({ recordId }) => recordId)).toEqual(Array.from({ length: 40 }, (_, i) => `r${i}`));
});

test('the bell rings for the first entry alone, until the queue is drained', async () => {
  const q = await bench();
  const heard = await hear(q.keys.bell(0));
  await q.placeMany(3);
  const owner = await q.own('w');
  await q.reader('w').claim([{ ...owner, queue: 'crm', count: 3 }]);
  await q.placeMany(1);
  expect(await heard()).toEqual(['["crm"]']);
  await q.reader('w').claim([{ ...owner, queue: 'crm', count: 3 }]);
  await q.placeMany(2);
  expect(await heard()).toEqual(['["crm"]', '["crm"]']);
});

test('one ring tells of all queues of a shard that got entries in one call', async () => {
  const q = await bench();
  const heard = await hear(q.keys.bell(0));
  await q.submit(['default', 'acme corp', '"x"'].map((tenant) => ({ change: changeOf({ provider: 'crm', tenant }) })));
  expect((await heard()).map(queuesRung)).toEqual([['crm', 'crm:acme corp', 'crm:"x"']]);
});

test('ids go on rising when Redis’s clock goes back', async () => {
  const q = await bench();
  await redis.hset(q.keys.counters(0, 'crm'), 'a', 5, 'm', 99_999_999_999_999);
  const place = await q.place();
  expect([place.ms, place.rank]).toEqual([99_999_999_999_999, 6]);
});

test('enqueue works after SCRIPT FLUSH', async () => {
  const q = await bench();
  await q.place();
  await redis.script('FLUSH');
  expect((await q.place()).rank).toBe(2);
});

test('what Redis comes to only after its caller was told no is refused', async () => {
  const q = await bench({ submit: { acceptWithinMs: 50 } });
  await redis.call('CLIENT', 'PAUSE', '200', 'WRITE');
  await expect(q.submit([{ change: changeOf() }])).rejects.toThrow(AcceptedTooLate);
  await redis.call('CLIENT', 'UNPAUSE');
  expect(await redis.keys(`${q.keys.prefix}*`)).toEqual([]);
  expect((await q.backlog.readCounts('crm')).size).toBe(0);
});

test('where Redis’s clock is not known, an operation is accepted all the same, once', async () => {
  const q = await bench({ submit: { redisNow: () => Date.now() - 60_000 } });
  expect(statusesOf(await q.submit([{ change: changeOf() }]))).toEqual(['queued']);
  expect(await readAll(q)).toHaveLength(1);
});

test('the same key with the same operation gets the first answer; with another one, it is a mismatch', async () => {
  const q = await bench({ shards: 16 });
  const change = changeOf();
  const [first] = await q.submit([{ change, idempotency: keyed('k') }]);
  const [again] = await q.submit([{ change, idempotency: keyed('k') }]);
  const [other] = await q.submit([{ change: changeOf({ recordId: 'x' }), idempotency: keyed('k', 'other') }]);
  expect(again).toEqual(first);
  expect(other).toEqual({ status: 'idempotency_mismatch' });
  expect(await readAll(q)).toHaveLength(1);
});

test('a repetition gets the first answer after its operation has ended, too', async () => {
  const q = await bench();
  const [first] = await q.submit([{ change: changeOf(), idempotency: keyed('k') }]);
  await redis.del(q.keys.queue(0, 'crm'));
  expect(await q.submit([{ change: changeOf(), idempotency: keyed('k') }])).toEqual([first]);
});

test('a record id that was made is made once for a key', async () => {
  const q = await bench({ shards: 16 });
  const submit = (recordId: string) => q.submit([{ change: changeOf({ kind: 'create', recordId }), idempotency: keyed('k', 'f', true) }]);
  const [first] = await submit('made-1');
  expect(first).toMatchObject({ recordId: 'made-1' });
  expect(await submit('made-2')).toEqual([first]);
});

test('of many at once with one key, in one request and in others, one is accepted', async () => {
  const q = await bench({ shards: 16 });
  const make = (i: number) => ({
    change: changeOf({ kind: 'create' as const, recordId: `made-${i}` }),
    idempotency: keyed('k', 'f', true),
  });
  const many = Array.from({ length: 20 }, (_, i) => make(i));
  const answers = await Promise.all([q.submit(many), ...many.map((each) => q.submit([each]))]);
  expect(new Set(answers.flat().map(idOf)).size).toBe(1);
  expect(await readAll(q)).toHaveLength(1);
});

test('a fingerprint without an entry, left by a crash, does not stop the repetition', async () => {
  const q = await bench();
  const key = q.keys.fingerprint(q.hasher.shardOfText('k', 1), 'k');
  await redis.set(key, JSON.stringify(['f', 'made-1']), 'PX', 60_000);
  const [submitted] = await q.submit([{ change: changeOf({ kind: 'create', recordId: 'made-2' }), idempotency: keyed('k', 'f', true) }]);
  expect(submitted).toMatchObject({ status: 'queued', recordId: 'made-1' });
});

test('marks expire, fingerprints after them', async () => {
  const q = await bench({ idempotencyTtlMs: 5_000 });
  await q.place({}, keyed('k'));
  const markMs = await redis.pttl(q.keys.idempotency(0, 'k'));
  const fingerprintMs = await redis.pttl(q.keys.fingerprint(0, 'k'));
  expect(markMs).toBeGreaterThan(0);
  expect(markMs).toBeLessThanOrEqual(5_000);
  expect(fingerprintMs).toBeGreaterThan(markMs);
});

test('a fingerprint outlives its mark, too, where only a late repetition was accepted', async () => {
  const q = await bench({ maxBacklog: 1, idempotencyTtlMs: 600_000 });
  const owner = await q.own('w');
  await q.place({ recordId: 'in the way' });
  const submission = { change: changeOf(), idempotency: keyed('k') };
  expect(await q.submit([submission])).toEqual([{ status: 'backlog_full' }]);
  const fingerprint = q.keys.fingerprint(0, 'k');
  // Minutes pass, and there is room.
  await redis.pexpire(fingerprint, 61_000);
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 10 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  q.passTime(1_000);
  // Another operation does not keep the key for itself.
  expect(statusesOf(await q.submit([{ ...submission, idempotency: keyed('k', 'other') }]))).toEqual(['idempotency_mismatch']);
  expect(await redis.pttl(fingerprint)).toBeLessThanOrEqual(61_000);
  expect(statusesOf(await q.submit([submission]))).toEqual(['queued']);
  expect(await redis.pttl(fingerprint)).toBeGreaterThan(await redis.pttl(q.keys.idempotency(0, 'k')));
});

test('operations of one request on one record keep its order, with and without keys', async () => {
  const q = await bench({ shards: 16 });
  const submissions: Submission[] = Array.from({ length: 60 }, (_, i) => ({
    change: changeOf({ timestampMs: i }),
    ...(i % 2 === 0 ? { idempotency: keyed(`k${i}`) } : {}),
  }));
  await q.submit(submissions);
  expect((await readAll(q)).map(({ timestampMs }) => timestampMs)).toEqual(submissions.map((_, i) => i));
});

test('the bound on the backlog is exact for one API, over shards and tenants, and at full speed', async () => {
  const q = await bench({ shards: 16, maxBacklog: 100 });
  const send = (i: number) => q.submit([{ change: changeOf({ recordId: `r${i}`, tenant: `t${i % 3}` }) }]);
  const first = await Promise.all(Array.from({ length: 150 }, (_, i) => send(i)));
  expect(statusesOf(first.flat()).filter((status) => status === 'queued')).toHaveLength(100);
  expect(await send(0)).toEqual([{ status: 'backlog_full' }]);
  expect((await q.backlog.read('crm')).backlog).toBe(100);
});

test('places that workers freed are found before anything is refused', async () => {
  const q = await bench({ maxBacklog: 3 });
  await q.placeMany(3);
  await redis.hincrby(q.keys.counters(0, 'crm'), 'f', 2);
  expect(statusesOf(await q.submit([1, 2, 3].map(() => ({ change: changeOf() }))))).toEqual(['queued', 'queued', 'backlog_full']);
});

test('a full provider turns nobody else away', async () => {
  const q = await bench({ maxBacklog: 1 });
  const submitted = await q.submit(['crm', 'crm', 'other'].map((provider) => ({ change: changeOf({ provider }) })));
  expect(statusesOf(submitted)).toEqual(['queued', 'backlog_full', 'queued']);
});

test('a repetition gets its first answer though the backlog is full', async () => {
  const q = await bench({ maxBacklog: 1 });
  const [first] = await q.submit([{ change: changeOf(), idempotency: keyed('k') }]);
  expect(await q.submit([{ change: changeOf(), idempotency: keyed('k') }])).toEqual([first]);
  expect(await q.submit([{ change: changeOf(), idempotency: keyed('new') }])).toEqual([{ status: 'backlog_full' }]);
});

test('too many dead letters stop a provider’s operations', async () => {
  const q = await bench({ maxDeadLetters: 2 });
  await q.place();
  await redis.hset(q.keys.counters(0, 'crm'), 'x', 2);
  q.passTime(1_000);
  expect(statusesOf(await q.submit([{ change: changeOf() }]))).toEqual(['queued']);
  expect(statusesOf(await q.submit([{ change: changeOf() }]))).toEqual(['backlog_full']);
  await redis.hset(q.keys.counters(0, 'crm'), 'x', 1);
  q.passTime(1_000);
  expect(statusesOf(await q.submit([{ change: changeOf() }]))).toEqual(['queued']);
});

test('an error of Redis reaches every caller, and the places it took are given back', async () => {
  const q = await bench({ maxBacklog: 5 });
  await redis.set(q.keys.queue(0, 'crm'), 'not a stream');
  const failing = await Promise.allSettled([1, 2, 3, 4].map((i) => q.submit([{ change: changeOf({ recordId: `r${i}` }) }])));
  expect(failing.map(({ status }) => status)).toEqual(failing.map(() => 'rejected'));
  await redis.del(q.keys.queue(0, 'crm'));
  expect(statusesOf(await q.submit([1, 2, 3, 4, 5, 6].map(() => ({ change: changeOf() }))))).toEqual([
    ...new Array<string>(5).fill('queued'),
    'backlog_full',
  ]);
});

test('of a request that fails in part, that part is unavailable and the reason is told; what was accepted says so', async () => {
  const told: unknown[] = [];
  const q = await bench({ maxBacklog: 1_001, submit: { onPartFailed: (error) => void told.push(error) } });
  await redis.set(q.keys.queue(0, 'other'), 'not a stream');
  // As much as goes in one call.
  const others = Array.from({ length: 1_000 }, (_, i) => ({ change: changeOf({ provider: 'other', recordId: `r${i}` }) }));
  const submitted = await q.submit([{ change: changeOf() }, ...others]);
  expect(statusesOf(submitted)).toEqual(['queued', ...others.map(() => 'unavailable')]);
  expect(await readAll(q)).toHaveLength(1);
  expect(told).toEqual([expect.objectContaining({ message: expect.stringContaining('WRONGTYPE') })]);
  await expect(q.submit(others)).rejects.toThrow('WRONGTYPE');
  expect(told).toHaveLength(1);
  await redis.unlink(q.keys.queue(0, 'other'));
  expect(statusesOf(await q.submit(others))).toEqual(others.map(() => 'queued'));
});

test('an error while counts are read reaches the callers, and those that needed no count are accepted', async () => {
  const q = await bench({ maxBacklog: 1 });
  await redis.set(q.keys.queues(0), 'no sorted set');
  // In `ready` already: the bell, and with it `queues`, is not touched.
  await redis.sadd(q.keys.ready(0), 'crm', 'other');
  const [first, second, other] = await Promise.allSettled(
    ['crm', 'crm', 'other'].map((provider) => q.submit([{ change: changeOf({ provider }) }])),
  );
  expect([first?.status, second?.status, other?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('entries of two queues in one call do not touch each other or their neighbours', async () => {
  const q = await bench();
  await q.submit(['crm', 'crm2', 'crm', 'crm2'].map((provider, i) => ({ change: changeOf({ provider, recordId: `r${i}` }) })));
  expect((await readAll(q, 'crm')).map(({ recordId }) => recordId)).toEqual(['r0', 'r2']);
  expect((await readAll(q, 'crm2')).map(({ recordId }) => recordId)).toEqual(['r1', 'r3']);
  const owner = await q.own('w');
  const [claimed] = await q.reader('w').claim([{ ...owner, queue: 'crm2', count: 10 }]);
  expect(entriesOf(claimed)).toHaveLength(2);
  expect((await q.inspect('crm')).pending).toBe(0);
});

test('an operation id is the one that status pages read', async () => {
  const q = await bench();
  const place = await q.place({ recordId: 'r9' });
  expect(await q.status.read(parseOperationId(formatOperationId(place)) as typeof place)).toMatchObject({
    status: 'queued',
    recordId: 'r9',
  });
  expect(formatEntryId(place)).toMatch(/^\d+-1$/);
});
