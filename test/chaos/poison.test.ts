/** An operation that kills whichever worker calls it: its attempts are bounded, and its neighbours do not pay for it. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const maxAttempts = 3;

test('an operation that kills every worker ends as a dead letter, and all others succeed', { timeout: 120_000 }, async () => {
  const service = await startService({ env: { SLUICE_LEASE_TTL_MS: '800', SLUICE_SHARDS: '2' } });
  sluice = service;
  let crashes = 0;
  service.receiver.answerWith((call) => {
    if (!call.path.includes('poison')) return undefined;
    crashes++;
    void service.workers.at(-1)?.kill9();
    return { hang: true };
  });
  await service.register({ name: 'crm', retry: { max_attempts: maxAttempts, base_ms: 10, max_ms: 50 } });
  const neighbours = upsertsOf({ provider: 'crm', count: 60 });
  const poison = upsertsOf({ provider: 'crm', count: 1, prefix: 'poison' });
  const accepted = await service.accept([...neighbours.slice(0, 30), ...poison, ...neighbours.slice(30)]);

  // A supervisor as any deployment has one: who dies is replaced.
  const poisonId = accepted[30]?.operationId as string;
  await eventually(
    async () => {
      if (service.workers.at(-1)?.hasEnded()) await service.addWorker();
      return (await service.statusesOf([poisonId])).get(poisonId).status === 'dead_lettered';
    },
    { timeoutMs: 60_000 },
  );
  await service.drained('crm');
  // The first crash is nobody's: only then is it known that the operation was in a worker's hands.
  expect(crashes).toBeGreaterThan(0);
  expect(crashes).toBeLessThanOrEqual(maxAttempts + 1);
  const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  expect(statuses.get(poisonId)).toMatchObject({ status: 'dead_lettered', attempts: maxAttempts, error: { code: 'worker_lost' } });
  const others = accepted.filter(({ operationId }) => operationId !== poisonId).map(({ operationId }) => statuses.get(operationId).status);
  expect(others.filter((status) => status !== 'succeeded')).toEqual([]);
});
