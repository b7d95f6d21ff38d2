/** The contract on operations, their status and dead letters, walked through as a client would. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { requestApi, type Service, startService } from '../support/service.ts';

let sluice: Service;
beforeAll(async () => {
  sluice = await startService({ redis: { appendonly: true } });
  await sluice.register({ name: 'crm', retry: { max_attempts: 2, base_ms: 1, max_ms: 5 } });
});
afterAll(() => sluice.stop());
beforeEach(() => {
  sluice.receiver.clear();
  sluice.receiver.answerWith(() => undefined);
});

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
let records = 0;
const freshRecord = () => `record-${++records}`;

type Fields = Readonly<Record<string, unknown>>;
const post = (body: unknown, headers?: Readonly<Record<string, string>>) => sluice.request('POST', '/sync', body, headers);
const update = (fields: Fields = {}) => ({ operation: 'update', provider: 'crm', record_id: freshRecord(), data: { a: 1 }, ...fields });
const finalOf = async (operationId: string) => (await sluice.request('GET', `/sync/status/${operationId}?wait=25`)).json;
const callsTo = (record: string) =>
  sluice.receiver.calls.filter(({ path, text }) => path.endsWith(`/${record}`) || text.includes(`"${record}"`));

async function accept(fields: Fields = {}): Promise<string> {
  const reply = await post(update(fields));
  expect(reply, JSON.stringify(reply.json)).toMatchObject({ status: 202 });
  return reply.json.operation_id;
}

async function paused(act: () => Promise<void>): Promise<void> {
  await sluice.request('POST', '/providers/crm/pause');
  try {
    await act();
  } finally {
    await sluice.request('POST', '/providers/crm/resume');
  }
}

test('the answer to one operation says where to follow it, and the status says all there is', async () => {
  sluice.receiver.answerWith(() => ({ body: { id: 'crm-77' } }));
  const record = freshRecord();
  const timestamp = '2026-01-02T03:04:05.678+02:00';
  const whole = {
    operation: 'CREATE',
    provider: 'crm',
    record_id: record,
    entity: 'lead',
    data: { name: 'Ada', fax: null },
    timestamp,
    source: 'erp',
  };
  const { status, headers, json } = await post(whole);
  expect({ status, json }).toEqual({
    status: 202,
    json: { operation_id: json.operation_id, record_id: record, status: 'queued', status_url: `/sync/status/${json.operation_id}` },
  });
  expect(headers.get('location')).toBe(json.status_url);
  const final = await finalOf(json.operation_id);
  expect(final).toEqual({
    operation_id: json.operation_id,
    status: 'succeeded',
    operation: 'create',
    provider: 'crm',
    tenant: 'default',
    entity: 'lead',
    record_id: record,
    attempts: 1,
    accepted_at: expect.stringMatching(rfc3339),
    completed_at: expect.stringMatching(rfc3339),
    provider_record_id: 'crm-77',
  });
  const [call] = callsTo(record);
  expect(call).toMatchObject({ method: 'POST', path: '/lead', json: { id: record, name: 'Ada', fax: null } });
  expect(call?.headers).toMatchObject({ 'idempotency-key': json.operation_id, 'x-record-timestamp': '2026-01-02T01:04:05.678Z' });
  expect(await sluice.request('GET', `/v1${json.status_url}`)).toMatchObject({ status: 200, json: { status: 'succeeded' } });
});

test.each([
  ['create', 'POST', '/contact'],
  ['update', 'PATCH', '/contact/:id'],
  ['upsert', 'PUT', '/contact/:id'],
  ['delete', 'DELETE', '/contact/:id'],
  ['read', 'GET', '/contact/:id'],
])('%s calls %s %s', async (operation, method, path) => {
  const record = freshRecord();
  const hasData = operation !== 'delete' && operation !== 'read';
  sluice.receiver.answerWith(() => ({ body: { id: record, city: 'Oslo' } }));
  const id = await accept({ operation, record_id: record, ...(hasData ? {} : { data: undefined }) });
  const final = await finalOf(id);
  expect(final).toMatchObject({ status: 'succeeded', operation });
  if (operation === 'read') expect(final.result).toEqual({ id: record, city: 'Oslo' });
  expect(sluice.receiver.calls).toMatchObject([{ method, path: path.replace(':id', record) }]);
});

test('a create without a record id gets a UUIDv7, and a record id may be any text', async () => {
  const { json } = await post({ operation: 'create', provider: 'crm', data: { a: 1 } });
  expect(json.record_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const odd = 'Ünï/cö de?#%20 ☃';
  const id = await accept({ record_id: odd });
  expect(await finalOf(id)).toMatchObject({ status: 'succeeded', record_id: odd });
  const path = sluice.receiver.calls.map((call) => call.path).find((each) => each !== '/contact') as string;
  expect(decodeURIComponent(path.slice('/contact/'.length))).toBe(odd);
});

test('every status is shown: queued, processing, retrying, succeeded, coalesced, stale, dead_lettered', async () => {
  const record = freshRecord();
  let ids: string[] = [];
  await paused(async () => {
    ids = [
      await accept({ record_id: record, timestamp: 2_000, data: { a: 1 } }),
      await accept({ record_id: record, timestamp: 3_000, data: { b: 2 } }),
    ];
    expect((await sluice.request('GET', `/sync/status/${ids[0]}`)).json.status).toMatch(/^(queued|processing)$/);
  });
  const [first, second] = await Promise.all(ids.map(finalOf));
  expect(first).toMatchObject({ status: 'coalesced', carried_by: ids[1], completed_at: expect.stringMatching(rfc3339) });
  expect(second).toMatchObject({ status: 'succeeded' });
  expect(callsTo(record)).toMatchObject([{ json: { a: 1, b: 2 } }]);
  const stale = await finalOf(await accept({ record_id: record, timestamp: 1_000 }));
  expect(stale).toMatchObject({ status: 'stale' });
  expect(callsTo(record)).toHaveLength(1);

  let answer: (status: number) => void = () => {};
  sluice.receiver.answerWith(() => new Promise((resolve) => (answer = (status) => resolve({ status }))));
  const id = await accept();
  await eventually(() => sluice.inFlight() === 1);
  expect((await sluice.request('GET', `/sync/status/${id}`)).json.status).toBe('processing');
  sluice.receiver.answerWith(() => ({ status: 422, body: { message: 'no such city' } }));
  answer(503);
  expect(await finalOf(id)).toMatchObject({
    status: 'dead_lettered',
    attempts: 2,
    error: { code: 'rejected', message: expect.any(String), retryable: false, provider_status: 422 },
  });
});

test('waiting ends as soon as the status is final, or when the time is over', async () => {
  let answer: () => void = () => {};
  sluice.receiver.answerWith(() => new Promise((resolve) => (answer = () => resolve(undefined))));
  const id = await accept();
  const short = await sluice.request('GET', `/sync/status/${id}?wait=0.2`);
  expect(short.json.status).toBe('processing');
  const long = sluice.request('GET', `/sync/status/${id}?wait=30`);
  await eventually(() => sluice.inFlight() === 1);
  const startedAt = performance.now();
  answer();
  expect((await long).json.status).toBe('succeeded');
  expect(performance.now() - startedAt, 'it did not wait for the end of the 30 s').toBeLessThan(15_000);
  expect((await sluice.request('GET', `/sync/status/${id}?wait=31`)).status).toBe(422);
  expect((await sluice.request('GET', `/sync/status/${id}?wait=x`)).status).toBe(422);
});

test('an array has a result for each item in its order, and good ones are not lost to bad ones', async () => {
  const records_ = [freshRecord(), freshRecord()];
  const { status, json } = await post([
    update({ record_id: records_[0] }),
    { operation: 'fly' },
    update({ provider: 'nobody' }),
    update({ record_id: records_[1] }),
    update({ timestamp: Date.now() + 3_600_000 }),
    'text',
  ]);
  expect({ status, accepted: json.accepted, rejected: json.rejected }).toEqual({ status: 202, accepted: 2, rejected: 4 });
  const outcomes = json.results.map((each: { record_id?: string; error?: { code: string } }) => each.record_id ?? each.error?.code);
  expect(outcomes).toEqual([records_[0], 'invalid', 'unknown_provider', records_[1], 'timestamp_in_future', 'invalid']);
  expect(await finalOf(json.results[3].operation_id)).toMatchObject({ status: 'succeeded', record_id: records_[1] });

  expect(await post([{ operation: 'fly' }])).toMatchObject({
    status: 422,
    json: { accepted: 0, rejected: 1, results: [{ error: { code: 'invalid' } }] },
  });
  expect((await post([])).status).toBe(422);
  expect((await post(Array.from({ length: 1_001 }, () => update()))).status).toBe(422);
});

test('an idempotency key gives the first answer again for the same operation, and 422 for another', async () => {
  const operation = update({ idempotency_key: 'key-1' });
  const first = await post(operation);
  const again = await post(operation);
  expect([again.status, again.json]).toEqual([202, first.json]);
  await finalOf(first.json.operation_id);
  expect((await post(operation)).json).toEqual(first.json);
  expect(await post({ ...operation, data: { a: 2 } })).toMatchObject({ status: 422, json: { code: 'idempotency_mismatch' } });
  expect(callsTo(operation.record_id)).toHaveLength(1);

  const unnamed = { operation: 'create', provider: 'crm', data: { a: 1 } };
  const byHeader = await post(unnamed, { 'idempotency-key': 'key-2' });
  expect((await post(unnamed, { 'idempotency-key': 'key-2' })).json).toEqual(byHeader.json);
  expect((await post({ ...unnamed, idempotency_key: 'key-3' }, { 'idempotency-key': 'key-4' })).status).toBe(422);
});

test('tenants are kept apart: the same record id is another record', async () => {
  const record = freshRecord();
  const one = await accept({ record_id: record, tenant: 'one', timestamp: 5_000 });
  const two = await accept({ record_id: record, tenant: 'two', timestamp: 4_000 });
  expect(await finalOf(one)).toMatchObject({ status: 'succeeded', tenant: 'one' });
  expect(await finalOf(two)).toMatchObject({ status: 'succeeded', tenant: 'two' });
});

test('dead letters are listed, found, put back, dropped, one by one and by filter', async () => {
  sluice.receiver.answerWith(() => ({ status: 400, body: { message: 'refused here' } }));
  const timestamp = Date.now() - 60_000;
  const ids: string[] = [];
  for (const tenant of ['red', 'red', 'red', 'blue']) ids.push(await accept({ tenant, timestamp, source: 'erp', data: { a: 1 } }));
  for (const id of ids) expect(await finalOf(id)).toMatchObject({ status: 'dead_lettered' });

  const list = (query: string) => sluice.request('GET', `/dlq?${query}`).then(({ json }) => json);
  const idsOf = ({ items }: { items: { operation_id: string }[] }) => items.map(({ operation_id: id }) => id).sort();
  expect(idsOf(await list('tenant=red'))).toEqual(ids.slice(0, 3).sort());
  expect(idsOf(await list('provider=crm&tenant=blue&code=rejected'))).toEqual([ids[3]]);
  expect(idsOf(await list('tenant=red&code=other'))).toEqual([]);
  const pageOne = await list('tenant=red&limit=2');
  const pageTwo = await list(`tenant=red&limit=2&cursor=${pageOne.next_cursor}`);
  expect([...idsOf(pageOne), ...idsOf(pageTwo)].sort()).toEqual(ids.slice(0, 3).sort());
  expect(pageTwo.next_cursor).toBeNull();

  const { json: letter } = await sluice.request('GET', `/dlq/${ids[0]}`);
  const submitted = { operation: 'update', provider: 'crm', tenant: 'red', entity: 'contact', data: { a: 1 }, source: 'erp', attempts: 1 };
  expect(letter).toMatchObject({ operation_id: ids[0], ...submitted, timestamp: new Date(timestamp).toISOString() });
  expect(letter).toMatchObject({
    error: { code: 'rejected', provider_status: 400 },
    provider_answer: expect.stringContaining('refused here'),
  });
  expect(idsOf(await list(`record_id=${letter.record_id}`))).toEqual([ids[0]]);

  sluice.receiver.answerWith(() => undefined);
  const retried = await sluice.request('POST', `/dlq/${ids[0]}/retry`);
  expect(retried).toMatchObject({ status: 202, json: { status: 'queued' } });
  expect(retried.json.operation_id).not.toBe(ids[0]);
  expect(await finalOf(retried.json.operation_id)).toMatchObject({ status: 'succeeded' });
  expect((await sluice.request('GET', `/sync/status/${ids[0]}`)).json).toMatchObject({
    status: 'dead_lettered',
    retried_as: retried.json.operation_id,
  });
  expect((await sluice.request('POST', `/dlq/${ids[0]}/retry`)).status).toBe(404);

  // Something newer was applied meanwhile: the retried one keeps its timestamp, and loses.
  const { json: second } = await sluice.request('GET', `/dlq/${ids[1]}`);
  await finalOf(await accept({ tenant: 'red', record_id: second.record_id, timestamp: timestamp + 1 }));
  const late = await sluice.request('POST', `/dlq/${ids[1]}/retry`);
  expect(await finalOf(late.json.operation_id)).toMatchObject({ status: 'stale' });

  expect((await sluice.request('DELETE', `/dlq/${ids[2]}`)).status).toBe(204);
  expect((await sluice.request('GET', `/dlq/${ids[2]}`)).status).toBe(404);
  expect(await sluice.request('POST', '/dlq/retry', { tenant: 'blue' })).toMatchObject({ status: 202, json: { requeued: 1 } });
  expect((await sluice.request('DELETE', '/dlq', { tenant: 'red' })).status).toBe(200);
  expect((await sluice.request('POST', '/dlq/retry', { colour: 'red' })).status).toBe(422);
  expect((await list('tenant=red')).items).toEqual([]);
});

test('each kind of error has its status and code, as problem+json', async () => {
  const big = 'x'.repeat(70_000);
  const cases: [unknown, number, string, Readonly<Record<string, string>>?][] = [
    ['{"operation":', 400, 'malformed_json'],
    [update({ data: { big } }), 422, 'invalid'],
    [JSON.stringify(update({ data: { big: 'x'.repeat(1_100_000) } })), 413, 'too_large'],
    [`[${`${JSON.stringify(update({ data: { big: 'x'.repeat(60_000) } }))},`.repeat(150)}{}]`, 413, 'too_large'],
    ['a=1', 415, 'unsupported_media_type', { 'content-type': 'application/x-www-form-urlencoded' }],
    [update({ provider: 'nobody' }), 422, 'unknown_provider'],
    [update({ timestamp: Date.now() + 600_000 }), 422, 'timestamp_in_future'],
    [update({ timestamp: '2026-01-02' }), 422, 'invalid'],
    [update({ operation: 'delete' }), 422, 'invalid'],
    [update({ data: undefined }), 422, 'invalid'],
    [update({ data: [1] }), 422, 'invalid'],
    [update({ record_id: undefined }), 422, 'invalid'],
    [update({ record_id: 'x'.repeat(256) }), 422, 'invalid'],
    [update({ surprise: 1 }), 422, 'invalid'],
    [update({ provider: 'CRM' }), 422, 'invalid'],
    [[1, 2, 3], 422, 'invalid'],
    [null, 422, 'invalid'],
  ];
  for (const [body, status, code, headers] of cases) {
    const reply = await sluice.request('POST', '/sync', typeof body === 'string' ? body : JSON.stringify(body), headers);
    const name = JSON.stringify(body).slice(0, 100);
    expect({ status: reply.status, code: reply.json.code, type: reply.headers.get('content-type') }, name).toEqual({
      status,
      code,
      type: expect.stringContaining('application/problem+json'),
    });
  }
  const { json } = await post({ operation: 'update', provider: 'crm', data: 1, tenant: '' });
  expect(json.errors.map(({ path }: { path: string }) => path).sort()).toEqual(['data', 'record_id', 'tenant']);
  for (const path of ['/sync/status/nothing', '/sync/status/0.1.1.crm', '/dlq/nothing', '/nowhere', '/providers/nobody']) {
    expect((await sluice.request('GET', path)).status, path).toBe(404);
  }
});

/** Data of any shape, and what callers get wrong: any JSON, operations with any value in any field, and no JSON at all. */
const wrongBodies = fc.oneof(
  fc.object().map((data) => JSON.stringify({ operation: 'upsert', provider: 'crm', record_id: 'fuzzed', data })),
  fc.json(),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }),
  fc
    .record(
      {
        operation: fc.oneof(fc.constantFrom('create', 'Update', 'DELETE', 'read'), fc.jsonValue()),
        provider: fc.oneof(fc.constantFrom('crm', '__proto__', 'a:b', 'x'.repeat(65)), fc.jsonValue()),
        record_id: fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.jsonValue()),
        entity: fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.constant('../..')),
        data: fc.oneof(fc.object(), fc.jsonValue()),
        timestamp: fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constantFrom('0000-01-01T00:00:00Z', '2026-02-30T00:00:00Z')),
        tenant: fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.constant('a:b')),
        source: fc.string({ unit: 'binary', maxLength: 70 }),
        idempotency_key: fc.string({ unit: 'binary', maxLength: 300 }),
        ['__proto__']: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .chain((operation) => fc.constantFrom(operation, [operation], [operation, operation]))
    .map((body) => JSON.stringify(body)),
);

test('no body of any kind gets a 5xx, and what was accepted of it is dealt with', { timeout: 120_000 }, async () => {
  const accepted: string[] = [];
  await fc.assert(
    fc.asyncProperty(wrongBodies, async (body) => {
      const { status, json } = await sluice.request('POST', '/sync', body);
      expect(status).toBeGreaterThanOrEqual(200);
      expect(status).toBeLessThan(500);
      if (status >= 400) expect(json.code).toEqual(expect.any(String));
      for (const each of json.results ?? [json]) if (each.operation_id) accepted.push(each.operation_id);
    }),
    { numRuns: 200 },
  );
  expect(accepted.length).toBeGreaterThan(0);
  for (const id of accepted) {
    const status = await requestApi(sluice.api.url, 'GET', `/sync/status/${id}?wait=20`);
    expect(['succeeded', 'coalesced', 'stale', 'dead_lettered']).toContain(status.json.status);
  }
  expect(sluice.api.hasEnded()).toBe(false);
});
