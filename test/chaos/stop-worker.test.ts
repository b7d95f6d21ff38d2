/** SIGTERM under load: what is in flight ends, the shards go to the others at once, nothing is called twice. */
import { afterEach, expect, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { expectKept, mixOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

/** Only a hand-over can explain a shard that changes hands within this test. */
const leaseTtlMs = 300_000;

test('a worker that is told to stop under load exits with 0, repeats no call, and its shards go on at once', {
  timeout: 120_000,
}, async () => {
  const service = await startService({
    workers: 2,
    env: { SLUICE_LEASE_TTL_MS: String(leaseTtlMs), SLUICE_DRAIN_MS: '30000' },
    answer: () => ({ delayMs: 30 }),
  });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 8 });
  const [leaving, staying] = service.workers as [Service['workers'][number], Service['workers'][number]];
  await eventually(async () => (await service.fleet()).workers.every(({ shards }) => shards.length === 4));
  const accepted = await service.accept(mixOf({ provider: 'crm', count: 800, records: 150, deleteEvery: 8, disorder: 10 }));
  await eventually(() => service.inFlight() >= 4);
  leaving.term();
  expect(await leaving.ended).toEqual({ code: 0, signal: null });
  expect(leaving.log()).not.toContain('the drain time is over');
  await eventually(async () => {
    const { workers } = await service.fleet();
    return workers.length === 1 && workers[0]?.pid === staying.pid && workers[0].shards.length === 8;
  });
  const { json: rest } = await service.request('GET', '/providers/crm/status');
  expect(rest.backlog, 'there was still something to do when the worker left').toBeGreaterThan(0);
  await service.drained('crm');

  const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  expectKept({ accepted, statuses, deliveries: deliveriesOf(service.receiver.calls), maxRepeated: 0 });
});
