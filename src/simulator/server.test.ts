import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createHttpProvider } from './http/http-provider.ts';
import { createSimulatorServer } from './server.ts';
import { createSimulator } from './simulator.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A running simulator on a clock of the test's own. */
async function start() {
  const clock = { nowMs: 0, waits: [] as number[] };
  const wait = (ms: number) => {
    clock.waits.push(ms);
    return Promise.resolve();
  };
  const simulator = createSimulator({ provider: createHttpProvider(), now: () => clock.nowMs, random: () => 0.5, wait, keepCalls: 10 });
  const server = createSimulatorServer(new Map([['', simulator]]));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(url + path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text), retryAfter: answer.headers.get('retry-after') };
  };
  return { call, clock, url };
}

test('the five operations keep records as a plain REST service does', async () => {
  const { call } = await start();
  expect(await call('POST', '/contact', { id: '1', email: 'a@example.com', phone: '1' })).toMatchObject({ status: 201, body: { id: '1' } });
  expect((await call('POST', '/contact', { id: '1' })).status).toBe(409);
  expect((await call('PATCH', '/contact/1', { phone: null, city: 'Bonn' })).status).toBe(200);
  expect((await call('PUT', '/contact/a%2Fb', { city: 'Rom' })).status).toBe(201);
  expect((await call('GET', '/contact/1')).body).toEqual({ id: '1', email: 'a@example.com', city: 'Bonn' });
  expect((await call('PATCH', '/contact/none', { city: 'Bonn' })).status).toBe(404);
  expect((await call('DELETE', '/contact/1')).status).toBe(204);
  expect((await call('DELETE', '/contact/1')).status).toBe(404);
  expect((await call('GET', '/_control/records')).body).toEqual({ count: 1, records: { 'contact/a/b': { city: 'Rom' } } });
});

test('a repeated idempotency key gets the first answer and changes nothing, unless that is turned off', async () => {
  const { call } = await start();
  const key = { 'idempotency-key': 'k1' };
  expect((await call('POST', '/contact', { id: '1', n: 1 }, key)).status).toBe(201);
  expect((await call('POST', '/contact', { id: '1', n: 2 }, key)).status).toBe(201);
  expect((await call('GET', '/contact/1')).body.n).toBe(1);
  await call('PUT', '/_control/settings', { idempotency: false });
  expect((await call('POST', '/contact', { id: '1', n: 3 }, key)).status).toBe(409);
});

test('a batch is answered for each record in order, and one bad record fails alone or the whole batch', async () => {
  const { call } = await start();
  const item = (operation: string, id: string) => ({
    operation_id: `o${id}`,
    operation,
    entity: 'contact',
    record_id: id,
    data: { id },
    timestamp: 't',
  });
  const batch = { operations: [item('create', '1'), item('update', '2'), item('upsert', '3')] };
  expect((await call('POST', '/batch', batch)).body).toEqual({
    results: [
      { status: 201, id: '1' },
      { status: 404, error: 'no such record' },
      { status: 201, id: '3' },
    ],
  });
  await call('PUT', '/_control/faults', { error_rate: 1, status: 422, record_ids: ['3'] });
  const statuses = (await call('POST', '/batch', batch)).body.results.map((result: { status: number }) => result.status);
  expect(statuses).toEqual([201, 404, 422]);
  await call('PUT', '/_control/faults', { error_rate: 1, status: 422, record_ids: ['3'], whole_batch: true });
  expect((await call('POST', '/batch', batch)).status).toBe(422);
  expect((await call('POST', '/batch', { operations: [item('upsert', '1')] })).status).toBe(200);
  expect((await call('POST', '/batch', { operations: 1 })).status).toBe(400);
});

test('over the limit a call gets 429 with the seconds to wait, and is not carried out', async () => {
  const { call, clock } = await start();
  await call('PUT', '/_control/limits', { requests: 1, per_ms: 5_000 });
  expect((await call('PUT', '/contact/1', { n: 1 })).status).toBe(201);
  clock.nowMs = 1_500;
  expect(await call('PUT', '/contact/1', { n: 2 })).toMatchObject({ status: 429, retryAfter: '4' });
  clock.nowMs = 5_000;
  expect((await call('GET', '/contact/1')).body.n).toBe(1);
  await call('PUT', '/_control/limits', null);
  expect((await call('PUT', '/contact/1', { n: 3 })).status).toBe(200);
});

test('faults: latency, errors with Retry-After, and a call carried out whose answer is lost', async () => {
  const { call, clock } = await start();
  await call('PUT', '/_control/faults', { latency_ms: 250, error_rate: 0.6, status: 500, retry_after: 7 });
  expect(await call('PUT', '/contact/1', { n: 1 })).toMatchObject({ status: 500, retryAfter: '7' });
  expect(clock.waits).toEqual([250]);
  await call('PUT', '/_control/faults', { error_rate: 0.4 });
  expect((await call('PUT', '/contact/1', { n: 1 })).status).toBe(201);
  await call('PUT', '/_control/faults', { drop_rate: 1 });
  await expect(call('PUT', '/contact/1', { n: 2 })).rejects.toThrow();
  await call('PUT', '/_control/faults', {});
  expect((await call('GET', '/contact/1')).body.n).toBe(2);
  expect((await call('PUT', '/_control/faults', { latency: 1 })).status).toBe(422);
});

test('faults: a gateway gives up on a call that is carried out all the same, with or without a time to wait', async () => {
  const { call, url } = await start();
  await call('PUT', '/_control/faults', { applied_error_rate: 1, status: 504, operations: ['create'], times: 1 });
  const answer = await fetch(`${url}/contact`, { method: 'POST', body: JSON.stringify({ id: '1', n: 1 }) });
  expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('content-type')]).toEqual([504, null, 'text/html']);
  expect(await answer.text()).toContain('504');
  expect((await call('GET', '/contact/1')).body.n).toBe(1);
  await call('PUT', '/_control/faults', { applied_error_rate: 1, status: 502, retry_after: 3 });
  const paused = await fetch(`${url}/contact/1`, { method: 'PUT', body: JSON.stringify({ n: 2 }) });
  expect([paused.status, paused.headers.get('retry-after')]).toEqual([502, '3']);
  await call('PUT', '/_control/faults', {});
  expect((await call('GET', '/contact/1')).body.n).toBe(2);
});

test('faults strike certain operations only, and no more often than they are told to', async () => {
  const { call } = await start();
  await call('PUT', '/_control/faults', { error_rate: 1, status: 500, operations: ['create'], times: 2 });
  expect((await call('PUT', '/contact/1', { n: 1 })).status).toBe(201);
  expect((await call('POST', '/contact', { id: '2' })).status).toBe(500);
  expect((await call('POST', '/contact', { id: '2' })).status).toBe(500);
  expect((await call('POST', '/contact', { id: '2' })).status).toBe(201);
});

test('settings are replaced or changed in part; a kind without tokens has none to expire', async () => {
  const { call } = await start();
  await call('PUT', '/_control/settings', { idempotency: false });
  await call('PATCH', '/_control/settings', { create_existing: 'merge' });
  expect((await call('GET', '/_control/settings')).body).toMatchObject({ idempotency: false, create_existing: 'merge' });
  expect((await call('PATCH', '/_control/settings', { nonsense: 1 })).status).toBe(422);
  expect((await call('POST', '/_control/tokens/expire')).status).toBe(404);
  expect((await call('GET', '/_control/webhooks')).body).toEqual({ items: [] });
});

test('a control body that is not JSON is said to be none, and changes nothing', async () => {
  const { call, url } = await start();
  await call('PUT', '/_control/faults', { error_rate: 1 });
  for (const [method, path] of [
    ['PUT', 'faults'],
    ['PUT', 'limits'],
    ['PUT', 'calls'],
    ['PUT', 'settings'],
    ['PATCH', 'settings'],
  ]) {
    for (const body of ['{error_rate: 0}', '']) {
      const answer = await fetch(`${url}/_control/${path}`, { method: method as string, body });
      expect([answer.status, await answer.json()], `${method} ${path}`).toEqual([
        400,
        { error: expect.stringMatching(/^the body is not JSON: /) },
      ]);
    }
  }
  expect((await call('GET', '/_control/faults')).body.error_rate).toBe(1);
  expect((await call('PUT', '/_control/faults', { error_rate: 2 })).status).toBe(422);
});

test('a hanging call is logged as in flight and not carried out', async () => {
  const { call, url } = await start();
  await call('PUT', '/_control/faults', { hang: true });
  const giveUp = new AbortController();
  const hanging = fetch(`${url}/contact/1`, { method: 'PUT', body: '{}', signal: giveUp.signal }).catch(() => 'gave up');
  let items: unknown[] = [];
  while (items.length === 0) items = (await call('GET', '/_control/calls')).body.items;
  expect(items).toMatchObject([{ method: 'PUT', path: '/contact/1', status: null, ended_at_ms: null }]);
  giveUp.abort();
  expect(await hanging).toBe('gave up');
  expect((await call('GET', '/_control/records')).body.count).toBe(0);
});

test('the log keeps the latest calls in full and counts them all; a reset forgets everything', async () => {
  const { call } = await start();
  for (let n = 0; n < 25; n += 1) await call('PUT', `/contact/${n}`, { n }, { 'idempotency-key': `k${n}`, 'x-record-timestamp': 't' });
  const { body } = await call('GET', '/_control/calls?after=22');
  expect(body).toMatchObject({ calls: 25, kept: 10, by_status: { 201: 25 } });
  expect(body.items.map((item: { index: number }) => item.index)).toEqual([23, 24]);
  expect(body.items[0].items).toEqual([{ operation_id: 'k23', operation: 'upsert', entity: 'contact', record_id: '23', timestamp: 't' }]);
  expect((await call('DELETE', '/_control')).status).toBe(204);
  expect((await call('GET', '/_control')).body).toMatchObject({ kind: 'http', calls: 0, limits: null });
});
