import { afterAll, expect, test } from 'vitest';
import { deliveriesOf, lastWrites, overlappingRecords, reorderedRecords } from './deliveries.ts';
import { eventually } from './eventually.ts';
import { type ReceivedCall, startReceiver } from './receiver.ts';
import { startCluster, startRedis } from './redis.ts';
import { maxInWindow } from './rolling-window.ts';

const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  await Promise.all(closing.map((close) => close()));
});

test('a rolling window is half-open and found wherever it begins', () => {
  expect(maxInWindow([0, 10, 20], 20)).toBe(2);
  expect(maxInWindow([0, 10, 19.9], 20)).toBe(3);
  expect(maxInWindow([30, 5, 100, 31, 32], 3)).toBe(3);
  expect(maxInWindow([], 10)).toBe(0);
});

test('a durable Redis keeps what it acknowledged over kill -9, a passing one does not', async () => {
  const durable = await startRedis({ appendonly: true });
  const passing = await startRedis();
  closing.push(durable.stop, passing.stop);
  for (const redis of [durable, passing]) {
    await redis.ask('SET', 'x', 'kept');
    const before = redis.pid();
    await redis.kill9();
    await expect(redis.ask('GET', 'x')).rejects.toThrow();
    await redis.restart();
    expect(redis.pid()).not.toBe(before);
  }
  expect(await durable.ask('GET', 'x')).toBe('kept');
  expect(await passing.ask('GET', 'x')).toBe('');
});

test('a cluster serves all slots from three masters', async () => {
  const cluster = await startCluster(3);
  closing.push(cluster.stop);
  const info = (await cluster.nodes[0]?.ask('CLUSTER', 'INFO')) ?? '';
  expect(info).toContain('cluster_slots_ok:16384');
  expect(cluster.url.split(',')).toHaveLength(3);
});

test('a receiver records calls and answers as it is told', async () => {
  const receiver = await startReceiver({
    answer: (call) => (call.method === 'DELETE' ? { drop: true } : { status: 201, body: { id: 'p1' } }),
  });
  closing.push(receiver.close);
  const headers = { 'idempotency-key': 'op1', 'x-record-timestamp': '2026-01-01T00:00:00.000Z' };
  const answer = await fetch(`${receiver.url}/contact`, { method: 'POST', body: '{"id":"a b"}', headers });
  expect([answer.status, await answer.json()]).toEqual([201, { id: 'p1' }]);
  await expect(fetch(`${receiver.url}/contact/a%20b`, { method: 'DELETE', headers })).rejects.toThrow();
  const deliveries = await eventually(() => receiver.calls.every((call) => call.endedAtMs !== undefined) && deliveriesOf(receiver.calls));
  expect(deliveries.map(({ record, kind, operationId }) => [record, kind, operationId])).toEqual([
    ['contact/a b', 'create', 'op1'],
    ['contact/a b', 'delete', 'op1'],
  ]);
  expect([...lastWrites(deliveries)]).toEqual([['contact/a b', undefined]]);
  expect([...lastWrites(deliveries.slice(0, 1))]).toEqual([['contact/a b', { id: 'a b' }]]);
});

test('calls that overlap or go back in time on one record are found, in batches too', () => {
  const call = (arrivedAtMs: number, endedAtMs: number, timestamp: string): ReceivedCall => {
    const operations = [{ operation_id: 'o', operation: 'update', entity: 'contact', record_id: '1', timestamp }];
    return { index: 0, arrivedAtMs, endedAtMs, method: 'POST', path: '/batch', headers: {}, text: '', json: { operations } };
  };
  const inOrder = deliveriesOf([call(0, 10, '2026-01-01T00:00:00Z'), call(10, 20, '2026-01-01T00:00:01Z')]);
  expect([overlappingRecords(inOrder), reorderedRecords(inOrder)]).toEqual([[], []]);
  const broken = deliveriesOf([call(0, 10, '2026-01-01T00:00:01Z'), call(9, 20, '2026-01-01T00:00:00Z')]);
  expect([overlappingRecords(broken), reorderedRecords(broken)]).toEqual([['contact/1'], ['contact/1']]);
});
