/** Redis dies by kill -9 and comes back with its append-only file, or hangs: what was accepted stays accepted, and all go on by themselves. */
import { afterEach, expect, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { type Reply, type Service, startService } from '../support/service.ts';
import { type Accepted, expectKept, mixOf, type OperationBody } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const maxConcurrency = 16;

/** Submits operations one after the other, each until it is accepted, under an idempotency key of its own, as a careful caller does. */
function startCaller(service: Service) {
  const accepted: Accepted[] = [];
  const refusals: Reply[] = [];
  let isOver = false;
  const submit = async (operation: OperationBody) => {
    for (;;) {
      const reply = await service.request('POST', '/sync', operation);
      if (reply.status === 202) {
        accepted.push({ operation, operationId: reply.json.operation_id });
        return;
      }
      refusals.push(reply);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const run = async (start: number) => {
    for (let i = start; !isOver; i += lines) {
      const [operation] = mixOf({ provider: 'crm', count: 1, records: 60, from: i, deleteEvery: 8, disorder: 10 });
      await submit({ ...(operation as OperationBody), idempotency_key: `k${i}` });
    }
  };
  const lines = 4;
  const running = Promise.all(Array.from({ length: lines }, (_, line) => run(line)));
  return {
    accepted,
    refusals,
    async end() {
      isOver = true;
      await running;
    },
  };
}

async function startUnderLoad() {
  const service = await startService({ workers: 2, redis: { appendonly: true }, answer: () => ({ delayMs: 10 }) });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: maxConcurrency });
  const caller = startCaller(service);
  await eventually(() => caller.accepted.length >= 200 && service.receiver.calls.length >= 50);
  return { service, caller };
}

function expectOnlyUnavailable(refusals: readonly Reply[]): void {
  expect(refusals.length, 'the fault was felt').toBeGreaterThan(0);
  for (const { status, json, headers } of refusals) {
    expect({ status, code: json.code, retryAfter: headers.get('retry-after') }).toEqual({
      status: 503,
      code: 'unavailable',
      retryAfter: expect.stringMatching(/^[1-9]\d*$/),
    });
  }
}

async function expectGoesOn(service: Service, caller: ReturnType<typeof startCaller>): Promise<void> {
  const before = caller.accepted.length;
  const called = service.receiver.calls.length;
  await eventually(() => caller.accepted.length >= before + 50 && service.receiver.calls.length >= called + 20, { timeoutMs: 30_000 });
  await caller.end();
  await service.drained('crm');
  expect([service.api, ...service.workers].map((process) => process.hasEnded())).toEqual([false, false, false]);
}

test('a Redis that is killed under load and started again loses nothing that was accepted', { timeout: 120_000 }, async () => {
  const { service, caller } = await startUnderLoad();
  const pid = service.redis.pid();
  await service.redis.kill9();
  await eventually(() => caller.refusals.length >= 8);
  expect((await service.request('GET', '/readyz')).status).toBe(503);
  await service.redis.restart();
  expect(service.redis.pid()).not.toBe(pid);
  await expectGoesOn(service, caller);

  expectOnlyUnavailable(caller.refusals);
  const statuses = await service.statusesOf(caller.accepted.map(({ operationId }) => operationId));
  const deliveries = deliveriesOf(service.receiver.calls);
  expectKept({ accepted: caller.accepted, statuses, deliveries, maxRepeated: 2 * maxConcurrency });
});

test('a Redis that hangs makes callers wait or turns them away, and all is well when it wakes', { timeout: 120_000 }, async () => {
  const { service, caller } = await startUnderLoad();
  service.redis.pause();
  // The first answer while it hangs comes when the API has given up waiting, after some seconds.
  await eventually(() => caller.refusals.length >= 1);
  service.redis.resume();
  await expectGoesOn(service, caller);

  expectOnlyUnavailable(caller.refusals);
  const statuses = await service.statusesOf(caller.accepted.map(({ operationId }) => operationId));
  const deliveries = deliveriesOf(service.receiver.calls);
  expectKept({ accepted: caller.accepted, statuses, deliveries, maxRepeated: 2 * maxConcurrency });
});

test('what was refused while Redis hung is not carried out when it wakes', { timeout: 60_000 }, async () => {
  sluice = await startService({ workers: 1 });
  await sluice.register({ name: 'crm' });
  const upsert = (n: number) => ({ operation: 'upsert', provider: 'crm', record_id: 'r', data: { n } });
  sluice.redis.pause();
  const refused = await sluice.request('POST', '/sync', upsert(1));
  sluice.redis.resume();
  expect(refused).toMatchObject({ status: 503, json: { code: 'unavailable' } });
  await eventually(async () => (await sluice?.request('POST', '/sync', upsert(2)))?.status === 202);
  await sluice.drained('crm');
  expect(sluice.receiver.calls.map(({ text }) => text)).toEqual(['{"n":2}']);
});
