/** A provider with a batch call: results are per record, and what fails as a whole is told apart. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReceivedCall } from '../support/receiver.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service;
beforeEach(async () => {
  sluice = await startService();
  await sluice.register({ name: 'crm', batch: { path: '/bulk', max_records: 16, max_wait_ms: 20 }, max_concurrency: 2 });
});
afterEach(() => sluice.stop());

interface Item {
  readonly operation_id: string;
  readonly operation: string;
  readonly entity: string;
  readonly record_id: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly timestamp: string;
}

const itemsOf = (call: ReceivedCall) => (call.json as { operations: Item[] }).operations;
const answerEach = (call: ReceivedCall, statusOf: (item: Item) => number) => ({
  body: { results: itemsOf(call).map((item) => ({ status: statusOf(item), id: `p-${item.record_id}` })) },
});

/** Submits 40 upserts while the provider is paused, so that they go in full batches; waits until all are final. */
async function deliverForty(bad?: string) {
  await sluice.request('POST', '/providers/crm/pause');
  const operations = upsertsOf({ provider: 'crm', count: 40 });
  const accepted = await sluice.accept(
    bad === undefined ? operations : [...operations, { ...operations[0], record_id: bad } as (typeof operations)[0]],
  );
  await sluice.request('POST', '/providers/crm/resume');
  await sluice.drained('crm');
  const statuses = await sluice.statusesOf(accepted.map(({ operationId }) => operationId));
  return new Map([...statuses.values()].map((each) => [each.record_id as string, each]));
}

const allBut = (byRecord: ReadonlyMap<string, { status: string }>, record: string) =>
  new Set([...byRecord].filter(([name]) => name !== record).map(([, { status }]) => status));

test('many operations go in one call, and each has a result of its own', async () => {
  sluice.receiver.answerWith((call) => answerEach(call, ({ record_id: record }) => (record === 'bad' ? 422 : 200)));
  const byRecord = await deliverForty('bad');
  expect(byRecord.get('bad')).toMatchObject({ status: 'dead_lettered', attempts: 1, error: { code: 'rejected', provider_status: 422 } });
  expect(allBut(byRecord, 'bad')).toEqual(new Set(['succeeded']));
  expect(byRecord.get('r7')).toMatchObject({ provider_record_id: 'p-r7', attempts: 1 });

  const { calls } = sluice.receiver;
  expect(calls.length).toBeLessThan(41);
  expect(Math.max(...calls.map((call) => itemsOf(call).length))).toBe(16);
  for (const call of calls) expect(call).toMatchObject({ method: 'POST', path: '/bulk' });
  const item = calls.flatMap(itemsOf).find(({ record_id: record }) => record === 'r7');
  const timestamp = new Date(upsertsOf({ provider: 'crm', count: 1 })[0]?.timestamp as number).toISOString();
  const operation = { operation: 'upsert', entity: 'contact', record_id: 'r7', data: { i: 7 }, timestamp };
  expect(item).toEqual({ operation_id: byRecord.get('r7').operation_id, ...operation });
});

test('a batch that is refused as a whole is split until the culprit stands alone', async () => {
  sluice.receiver.answerWith((call) =>
    itemsOf(call).some(({ record_id: record }) => record === 'bad')
      ? { status: 400, body: { message: 'bad batch' } }
      : answerEach(call, () => 200),
  );
  const byRecord = await deliverForty('bad');
  expect(byRecord.get('bad')).toMatchObject({ status: 'dead_lettered', error: { code: 'rejected', provider_status: 400 } });
  expect(allBut(byRecord, 'bad')).toEqual(new Set(['succeeded']));
  const refused = sluice.receiver.calls.filter((call) => itemsOf(call).some(({ record_id: record }) => record === 'bad'));
  // Halved from at most 16 down to 1.
  expect(refused.length).toBeLessThanOrEqual(5);
  expect(refused.map((call) => itemsOf(call).length).at(-1)).toBe(1);
});

test('a 429 of a batch pauses the provider, and all of it goes again', async () => {
  let throttled = 0;
  sluice.receiver.answerWith((call) => {
    if (throttled > 0) return answerEach(call, () => 200);
    throttled = itemsOf(call).length;
    return { status: 429, headers: { 'retry-after': '1' } };
  });
  const byRecord = await deliverForty();
  expect(throttled).toBeGreaterThan(1);
  expect(allBut(byRecord, '')).toEqual(new Set(['succeeded']));
  const [first, ...rest] = sluice.receiver.calls;
  // One more may have been on its way.
  const late = rest.filter(({ arrivedAtMs }) => arrivedAtMs - (first?.arrivedAtMs as number) >= 1_000);
  expect(rest.length - late.length).toBeLessThanOrEqual(1);
});

test('a batch whose answer is lost, or does not fit, is repeated with the same operation ids', async () => {
  const seen = new Map<string, number>();
  let spoiled = 0;
  sluice.receiver.answerWith((call) => {
    for (const { operation_id: id } of itemsOf(call)) seen.set(id, (seen.get(id) ?? 0) + 1);
    spoiled++;
    if (spoiled === 1) return { drop: true };
    if (spoiled === 2) return { body: { results: [{ status: 200 }] } };
    return answerEach(call, () => 200);
  });
  const byRecord = await deliverForty();
  expect(allBut(byRecord, '')).toEqual(new Set(['succeeded']));
  expect(new Set(seen.keys())).toEqual(new Set([...byRecord.values()].map(({ operation_id: id }) => id)));
  const [lost, misfit] = sluice.receiver.calls;
  const repeated = [...itemsOf(lost as ReceivedCall), ...itemsOf(misfit as ReceivedCall)].map(({ operation_id: id }) => id);
  expect(repeated.every((id) => (seen.get(id) ?? 0) >= 2)).toBe(true);
  expect([...byRecord.values()].filter(({ attempts }) => attempts > 1).length).toBe(new Set(repeated).size);
});
