/** Somebody destroys the consumer groups: no operation is lost, and those that are final are not called again. */
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

const shards = 3;

/** Returns how many groups there were. */
async function destroyGroups(service: Service): Promise<number> {
  const destroyed = await Promise.all(
    Array.from({ length: shards }, (_, shard) => service.redis.ask('XGROUP', 'DESTROY', `{0${shard}}:q:crm`, 'workers')),
  );
  return destroyed.filter((answer) => answer.includes('1')).length;
}

async function startWithHistory() {
  // So little history that it is trimmed all the time, also while there is no group.
  const service = await startService({
    workers: 2,
    env: { SLUICE_SHARDS: String(shards), SLUICE_HISTORY_ENTRIES: '0' },
    answer: () => ({ delayMs: 5 }),
  });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 8 });
  const accepted: Accepted[] = [];
  const submit = async (count: number) => {
    accepted.push(...(await service.accept(mixOf({ provider: 'crm', count, records: 80, from: accepted.length, deleteEvery: 8 }))));
  };
  const check = async () => {
    await service.drained('crm');
    const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
    expectKept({ accepted, statuses, deliveries: deliveriesOf(service.receiver.calls), maxRepeated: 0 });
  };
  return { service, submit, check };
}

test('groups destroyed under load are made again, and every operation is called once', { timeout: 120_000 }, async () => {
  const { service, submit, check } = await startWithHistory();
  let lost = 0;
  for (let round = 1; round <= 4; round++) {
    await submit(300);
    const called = service.receiver.calls.length;
    await eventually(() => service.receiver.calls.length >= called + 20);
    lost += await destroyGroups(service);
  }
  // Some had been made again before the next round destroyed them.
  expect(lost).toBeGreaterThan(shards);
  await submit(300);
  await check();
});

test('a group destroyed while nothing is queued costs nothing: what is final stays so, what comes is called', {
  timeout: 120_000,
}, async () => {
  const { service, submit, check } = await startWithHistory();
  await submit(400);
  await check();
  const called = service.receiver.calls.length;
  expect(await destroyGroups(service)).toBe(shards);
  await submit(300);
  await check();
  expect(service.receiver.calls.length).toBeGreaterThan(called);
});

test('a group destroyed while everything left is in the hands of workers: it all ends, and the next operation sets the counts right', {
  timeout: 120_000,
}, async () => {
  const { service, submit, check } = await startWithHistory();
  await submit(400);
  await check();
  let release = () => {};
  const gate = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  service.receiver.answerWith(() => gate);
  await submit(20);
  await eventually(async () => (await service.request('GET', '/providers/crm/status')).json.in_flight === 20);
  expect(await destroyGroups(service)).toBe(shards);
  release();
  const called = service.receiver.calls.length;
  await eventually(() => service.inFlight() === 0);
  await submit(30);
  await check();
  expect(service.receiver.calls.length).toBeGreaterThan(called);
});
