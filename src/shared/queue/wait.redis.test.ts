import { afterAll, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createQueueBench, deadOf, entriesOf, finalOf, type QueueBench, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { formatEntryId, type Place } from '../domain/operation.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connection.ts';
import type { ClaimedEntry } from './claim.ts';
import type { FinalSettlement } from './settle.ts';
import { createFinalWaiter } from './wait.ts';

let redis: RedisClient;
let subscriber: RedisClient;
let benches = 0;
useRedis((client, at) => {
  redis = client;
  subscriber = connectRedis(at.url, { name: 'test' });
});
afterAll(async () => {
  await disconnectRedis(subscriber);
});

/** Far beyond a test's limit: who comes back in time was woken. */
const foreverMs = 3_600_000;
const never = new AbortController().signal;

async function waiting() {
  const q = await createQueueBench(redis, `w${benches++}:`);
  return { q, waiter: createFinalWaiter({ redis, subscriber, keys: q.keys }) };
}

/** Reads everything and ends it. */
async function settleAll(q: QueueBench, end: (entry: ClaimedEntry) => FinalSettlement = (entry) => finalOf(entry)) {
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 100 }]))[0]);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => end(entry)) })]);
}

/** Counts how often it is asked, and answers no. */
function notYet() {
  const asked = {
    times: 0,
    isFinal: async () => {
      asked.times += 1;
      return false;
    },
  };
  return asked;
}
const isWaitedFor = (q: QueueBench, place: Place) => redis.sismember(q.keys.waiting(0), `${place.queue} ${formatEntryId(place)}`);

test('everybody who waits is woken by the settling, having asked once', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  const asked = notYet();
  const waits = [1, 2, 3].map(() => waiter.wait(place, { timeoutMs: foreverMs, signal: never, isFinal: asked.isFinal }));
  await eventually(() => asked.times === 3);
  await settleAll(q);
  await Promise.all(waits);
  expect(asked.times).toBe(3);
  expect(await redis.exists(q.keys.waiting(0))).toBe(0);
});

test('a dead letter is an end, too', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  const asked = notYet();
  const wait = waiter.wait(place, { timeoutMs: foreverMs, signal: never, isFinal: asked.isFinal });
  await eventually(() => asked.times === 1);
  await settleAll(q, (entry) => deadOf(entry));
  await wait;
});

test('an end between the question and the waiting is seen, and leaves no name behind', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  await settleAll(q);
  await waiter.wait(place, { timeoutMs: foreverMs, signal: never, isFinal: async () => true });
  expect(await isWaitedFor(q, place)).toBe(0);
});

test('an operation that nobody waits for wakes nobody', async () => {
  const { q, waiter } = await waiting();
  const other = await q.place({ recordId: 'other' });
  const owner = await q.own('w');
  const entries = entriesOf((await q.reader('w').claim([{ ...owner, queue: 'crm', count: 1 }]))[0]);
  const place = await q.place();
  const asked = notYet();
  const controller = new AbortController();
  let isOver = false;
  const wait = waiter.wait(place, { timeoutMs: foreverMs, signal: controller.signal, isFinal: asked.isFinal }).then(() => {
    isOver = true;
  });
  await eventually(() => asked.times === 1);
  await q.settler('w')([settlementOf(owner, { finals: entries.map((entry) => finalOf(entry)) })]);
  expect(await q.status.read(other)).toMatchObject({ status: 'succeeded' });
  expect(isOver).toBe(false);
  controller.abort();
  await wait;
});

test('a wait ends with its time, and when it is aborted before or during it', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  await waiter.wait(place, { timeoutMs: 1, signal: never, isFinal: notYet().isFinal });
  await waiter.wait(place, { timeoutMs: foreverMs, signal: AbortSignal.abort(), isFinal: notYet().isFinal });
  const controller = new AbortController();
  const asked = notYet();
  const wait = waiter.wait(place, { timeoutMs: foreverMs, signal: controller.signal, isFinal: asked.isFinal });
  await eventually(() => asked.times === 1);
  controller.abort();
  await wait;
  expect(await isWaitedFor(q, place)).toBe(1);
  expect(await redis.ttl(q.keys.waiting(0))).toBeGreaterThan(30);
});

test('one that gives up does not wake the others', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  const asked = notYet();
  const controller = new AbortController();
  const ended: string[] = [];
  const wait = (name: string, signal: AbortSignal) =>
    waiter.wait(place, { timeoutMs: foreverMs, signal, isFinal: asked.isFinal }).then(() => ended.push(name));
  const both = [wait('impatient', controller.signal), wait('patient', never)];
  await eventually(() => asked.times === 2);
  controller.abort();
  await both[0];
  expect(ended).toEqual(['impatient']);
  await settleAll(q);
  await Promise.all(both);
  expect(ended).toEqual(['impatient', 'patient']);
});

test('a failing question reaches the caller', async () => {
  const { q, waiter } = await waiting();
  const place = await q.place();
  const isFinal = () => Promise.reject(new Error('away'));
  await expect(waiter.wait(place, { timeoutMs: foreverMs, signal: never, isFinal })).rejects.toThrow('away');
});
