/** The whole service on a Redis Cluster of three masters. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisCluster, startCluster } from '../support/redis.ts';
import { type Service, startService } from '../support/service.ts';
import { type Accepted, expectKept, mixOf, upsertsOf } from '../support/workload.ts';

let cluster: RedisCluster;
let sluice: Service;
beforeEach(async () => {
  cluster = await startCluster(3);
  sluice = await startService({
    workers: 2,
    redisUrl: `redis+cluster://127.0.0.1:${cluster.nodes[0]?.port}`,
    env: { SLUICE_SHARDS: '16', SLUICE_LEASE_TTL_MS: '1500' },
    answer: () => ({ delayMs: 5 }),
  });
});
afterEach(async () => {
  await sluice?.stop();
  await cluster.stop();
});

/** What a command to the wrong node, or with keys of several slots, leaves in a log. */
function expectNoMisdirection(): void {
  for (const process of [sluice.api, ...sluice.workers]) expect(process.log()).not.toMatch(/CROSSSLOT|MOVED|Too many Cluster redirections/);
}

test('operations of all shards are delivered, also when a worker dies, and every master has its part', { timeout: 120_000 }, async () => {
  await sluice.register({ name: 'crm', max_concurrency: 12 });
  const accepted: Accepted[] = [];
  const submit = async () => {
    const mix = { provider: 'crm', count: 400, records: 120, deleteEvery: 8, disorder: 20 };
    accepted.push(...(await sluice.accept(mixOf({ ...mix, from: accepted.length }))));
  };
  await submit();
  await eventually(() => sluice.inFlight() > 0);
  expect(await sluice.workers[0]?.kill9()).toMatchObject({ signal: 'SIGKILL' });
  await submit();
  await sluice.addWorker();
  await sluice.drained('crm');

  expect(new Set(accepted.map(({ operationId }) => operationId.split('.')[0])).size).toBe(16);
  const sizes = await Promise.all(cluster.nodes.map((node) => node.ask('DBSIZE')));
  expect(sizes.map((size) => Number(/\d+/.exec(size)?.[0])).filter((size) => size === 0)).toEqual([]);
  const statuses = await sluice.statusesOf(accepted.map(({ operationId }) => operationId));
  expectKept({ accepted, statuses, deliveries: deliveriesOf(sluice.receiver.calls), maxRepeated: 24 });
  expectNoMisdirection();
});

test('dead letters, idempotency keys, providers and the fleet work across nodes', { timeout: 120_000 }, async () => {
  sluice.receiver.answerWith(({ path }) => (path.includes('/bad') ? { status: 400 } : undefined));
  const other = await sluice.addApi();
  await sluice.register({ name: 'crm' });
  const bad = await sluice.accept(upsertsOf({ provider: 'crm', count: 30, prefix: 'bad' }));
  await sluice.drained('crm');
  const first = await sluice.request('GET', '/dlq?provider=crm&limit=20');
  const second = await sluice.request('GET', `/dlq?provider=crm&limit=20&cursor=${first.json.next_cursor}`);
  expect([first.json.items.length, second.json.items.length, second.json.next_cursor]).toEqual([20, 10, null]);
  const listed = new Set([...first.json.items, ...second.json.items].map((item) => item.operation_id));
  expect(listed).toEqual(new Set(bad.map(({ operationId }) => operationId)));

  sluice.receiver.answerWith(() => undefined);
  expect(await sluice.request('POST', '/dlq/retry', { provider: 'crm' })).toMatchObject({ status: 202, json: { requeued: 30 } });
  await sluice.drained('crm');
  expect((await sluice.request('GET', '/dlq')).json.items).toEqual([]);

  const operation = { operation: 'create', provider: 'crm', data: { name: 'Ada' }, idempotency_key: 'once' };
  const accepted = await sluice.request('POST', '/sync', operation);
  const again = await fetch(`${other.url}/sync`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(operation),
  });
  expect(await again.json()).toEqual(accepted.json);
  expect(await sluice.request('POST', '/sync', { ...operation, data: {} })).toMatchObject({
    status: 422,
    json: { code: 'idempotency_mismatch' },
  });

  expect(await sluice.request('GET', `${accepted.json.status_url}?wait=20`)).toMatchObject({ json: { status: 'succeeded' } });
  await eventually(async () => (await sluice.fleet()).shards.every(({ owner }) => owner !== null));
  expect((await sluice.request('GET', '/metrics')).status).toBe(200);
  expect((await sluice.request('DELETE', '/providers/crm')).status).toBe(204);
  expectNoMisdirection();
});
