/** Calls of which nobody knows whether they were carried out: they are repeated so that the provider can tell. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';

let sluice: Service;
beforeEach(async () => {
  sluice = await startService();
});
afterEach(() => sluice.stop());

const callsOf = (service: Service) =>
  service.receiver.calls.map(({ method, path, text, headers }) => ({ method, path, text, key: headers['idempotency-key'] }));

const change = (operation: string, recordId: string, data?: object) => ({ operation, provider: 'crm', record_id: recordId, data });

async function finalStatus(reply: { json: { status_url: string } }) {
  return (await sluice.request('GET', `${reply.json.status_url}?wait=25`)).json;
}

test('a call whose answer never comes is given up in time and repeated under the same key', async () => {
  sluice.receiver.answerWith(({ index }) => (index === 0 ? { hang: true } : undefined));
  await sluice.register({ name: 'crm', timeout_ms: 300 });
  const reply = await sluice.request('POST', '/sync', change('update', '1', { city: 'Oslo' }));
  const status = await finalStatus(reply);
  expect(status).toMatchObject({ status: 'succeeded', attempts: 2 });
  const [first, second, ...more] = callsOf(sluice);
  expect(more).toEqual([]);
  expect(second).toEqual(first);
  expect(first).toEqual({ method: 'PATCH', path: '/contact/1', text: '{"city":"Oslo"}', key: status.operation_id });
});

test('a call whose connection is cut after the body is repeated under the same key', async () => {
  sluice.receiver.answerWith(({ index }) => (index === 0 ? { drop: true } : undefined));
  await sluice.register({ name: 'crm' });
  const reply = await sluice.request('POST', '/sync', change('delete', '1'));
  expect(await finalStatus(reply)).toMatchObject({ status: 'succeeded', attempts: 2 });
  const [first, second, ...more] = callsOf(sluice);
  expect([second, more]).toEqual([first, []]);
});

test('a status shows the wait for the next attempt, and what went wrong', async () => {
  sluice.receiver.answerWith(() => ({ drop: true }));
  await sluice.register({ name: 'crm', retry: { max_attempts: 3, base_ms: 30_000, max_ms: 60_000 } });
  const reply = await sluice.request('POST', '/sync', change('update', '1', { a: 1 }));
  const status = await eventually(async () => {
    const { json } = await sluice.request('GET', reply.json.status_url);
    return json.status === 'retrying' && json;
  });
  expect(status).toMatchObject({ attempts: 1, error: { code: expect.any(String), retryable: true } });
  expect(Date.parse(status.next_attempt_at)).toBeGreaterThan(Date.parse(status.accepted_at));
});

test('after the last attempt it is a dead letter that says the answer was lost', async () => {
  sluice.receiver.answerWith(() => ({ drop: true }));
  await sluice.register({ name: 'crm', retry: { max_attempts: 3, base_ms: 1, max_ms: 5 } });
  const reply = await sluice.request('POST', '/sync', change('update', '1', { a: 1 }));
  const status = await finalStatus(reply);
  expect(status).toMatchObject({ status: 'dead_lettered', attempts: 3, error: { retryable: true } });
  expect((await sluice.request('GET', `/dlq/${status.operation_id}`)).json).toMatchObject({ attempts: 3, error: { kind: 'ambiguous' } });
  expect(new Set(callsOf(sluice).map(({ key }) => key))).toEqual(new Set([status.operation_id]));
});

test('a create in doubt is repeated as the very same call, although updates of its record have arrived', async () => {
  let cut: (answer: { drop: true }) => void = () => {};
  sluice.receiver.answerWith(({ index }) => (index === 0 ? new Promise((resolve) => (cut = resolve)) : { status: 200 }));
  await sluice.register({ name: 'crm' });
  const created = await sluice.request('POST', '/sync', change('create', '1', { name: 'Ada' }));
  await eventually(() => sluice.receiver.calls.length === 1);
  const updated = await sluice.request('POST', '/sync', change('update', '1', { city: 'London' }));
  cut({ drop: true });
  expect(await finalStatus(created)).toMatchObject({ status: 'succeeded', attempts: 2 });
  expect(await finalStatus(updated)).toMatchObject({ status: 'succeeded', attempts: 1 });
  const [first, second, third, ...more] = callsOf(sluice);
  expect(second).toEqual(first);
  expect(JSON.parse(first?.text as string)).toEqual({ id: '1', name: 'Ada' });
  expect(third).toMatchObject({ method: 'PATCH', path: '/contact/1', text: '{"city":"London"}' });
  expect(more).toEqual([]);
});

test('a create that has taken in updates is repeated with exactly those, also by another worker', async () => {
  let cut: (answer: { drop: true }) => void = () => {};
  sluice.receiver.answerWith(({ index }) => (index === 0 ? new Promise((resolve) => (cut = resolve)) : undefined));
  await sluice.register({ name: 'crm' });
  await sluice.request('POST', '/providers/crm/pause');
  const created = await sluice.request('POST', '/sync', change('create', '1', { name: 'Ada' }));
  await sluice.request('POST', '/sync', change('update', '1', { city: 'London' }));
  await sluice.request('POST', '/providers/crm/resume');
  await eventually(() => sluice.receiver.calls.length === 1);
  const late = await sluice.request('POST', '/sync', change('update', '1', { city: 'Paris' }));
  const [worker] = sluice.workers;
  worker?.term();
  cut({ drop: true });
  expect(await worker?.ended).toEqual({ code: 0, signal: null });
  await sluice.addWorker();
  expect(await finalStatus(late)).toMatchObject({ status: 'succeeded' });
  expect(await finalStatus(created)).toMatchObject({ status: 'coalesced' });
  const [first, second, third, ...more] = callsOf(sluice);
  expect(second).toEqual(first);
  expect(JSON.parse(first?.text as string)).toEqual({ id: '1', name: 'Ada', city: 'London' });
  expect(third).toMatchObject({ method: 'PATCH', text: '{"city":"Paris"}' });
  expect(more).toEqual([]);
});
