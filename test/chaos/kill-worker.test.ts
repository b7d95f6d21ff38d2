/** Workers die by kill -9, one after the other, while changes stream in: nothing is lost, doubled without bound, or put out of order. */
import { afterEach, expect, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { type Accepted, expectKept, mixOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const maxConcurrency = 24;
const kills = 5;
const operationsAKill = 500;

test('five of the workers that share 3,000 operations over 200 records are killed: every operation ends, in order, with the last write', {
  timeout: 180_000,
}, async () => {
  const service = await startService({
    workers: 3,
    env: { SLUICE_LEASE_TTL_MS: '1500', SLUICE_SHARDS: '6' },
    answer: () => ({ delayMs: 15 }),
  });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: maxConcurrency });
  const accepted: Accepted[] = [];
  const submit = async () => {
    const mix = { provider: 'crm', count: operationsAKill, records: 200, deleteEvery: 8, disorder: 40 };
    accepted.push(...(await service.accept(mixOf({ ...mix, from: accepted.length }))));
  };
  let inFlightAtKills = 0;
  for (let kill = 0; kill < kills; kill++) {
    await submit();
    const victim = service.workers[kill] as Service['workers'][number];
    // It must have something to lose.
    await eventually(async () => {
      const owned = (await service.fleet()).workers.find(({ pid }) => pid === victim.pid)?.shards.length ?? 0;
      return owned > 0 && service.inFlight() > 0;
    });
    inFlightAtKills += service.inFlight();
    expect(await victim.kill9()).toEqual({ code: null, signal: 'SIGKILL' });
    await service.addWorker();
  }
  await submit();
  await service.drained('crm', 90_000);

  expect(inFlightAtKills).toBeGreaterThan(0);
  const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  // A call that had ended was repeated too where its end was not written yet: as many again, at most.
  expectKept({ accepted, statuses, deliveries: deliveriesOf(service.receiver.calls), maxRepeated: 2 * kills * maxConcurrency });
});
