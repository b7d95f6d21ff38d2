/** A worker freezes with calls under way for longer than its leases last, and wakes when others have its shards. */
import { afterEach, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { readMetric, type Service, startService } from '../support/service.ts';
import { type Accepted, expectKept, mixOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

test('a worker that wakes after its shards were taken over calls nothing of them any more and settles nothing', {
  timeout: 120_000,
}, async () => {
  const service = await startService({ env: { SLUICE_LEASE_TTL_MS: '1500' }, answer: () => ({ delayMs: 40 }) });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 8, coalesce: false });
  const accepted: Accepted[] = [];
  const submit = async (count: number) => {
    const mix = { provider: 'crm', count, records: 25, deleteEvery: 8, disorder: 5 };
    accepted.push(...(await service.accept(mixOf({ ...mix, from: accepted.length }))));
  };
  // Alone, it owns every shard; its lanes hold more than it can call at once.
  await submit(300);
  const [frozen] = service.workers as [Service['workers'][number]];
  await eventually(() => service.inFlight() >= 4);
  frozen.pause();
  const calledBefore = service.receiver.calls.length;

  const other = await service.addWorker();
  await eventually(async () => {
    const { workers, shards } = await service.fleet();
    const heir = workers.find(({ pid }) => pid === other.pid);
    return shards.every(({ owner, epoch }) => owner === heir?.id && epoch > 1);
  });
  // The heir has been at it for a while: what the frozen one holds is old now.
  await eventually(() => service.receiver.calls.length >= calledBefore + 20);
  frozen.resume();
  await eventually(async () => (await readMetric(frozen, 'sluice_lease_changes_total', 'change="lost"')) >= 8);
  await submit(200);
  await service.drained('crm');

  const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  // What was under way at the freeze may repeat: 8 calls, and 8 that had ended and were not written yet.
  expectKept({ accepted, statuses, deliveries: deliveriesOf(service.receiver.calls), maxRepeated: 16 });
});
