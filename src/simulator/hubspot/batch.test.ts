import { expect, test } from 'vitest';
import { startCrm } from '../../../test/support/simulated-crm.ts';
import { createHubspotProvider } from './hubspot-provider.ts';

const start = () => startCrm(createHubspotProvider, { token: 'pat-1', contentType: 'application/json' });
const path = (action: string) => `/crm/v3/objects/contacts/batch/${action}`;
const person = (n: number, traced = true) => ({
  properties: { email: `p${n}@x.test` },
  ...(traced && { objectWriteTraceId: `t${n}` }),
});
const ids = (body: { results: { id: string }[] }) => body.results.map(({ id }) => id).sort();

async function withPeople(count: number) {
  const crm = start();
  const inputs = Array.from({ length: count }, (_, n) => person(n + 1));
  expect((await crm.call('POST', path('create'), { inputs })).status).toBe(201);
  return crm;
}

test('one bad record among traced ones fails alone, and its error carries the trace', async () => {
  const { call, provider } = await withPeople(1);
  const bad = { properties: { email: 'nobody' }, objectWriteTraceId: 'bad' };
  const { status, body } = await call('POST', path('create'), { inputs: [person(2), bad, person(1), person(3)] });
  expect(status).toBe(207);
  expect(body).toMatchObject({ status: 'COMPLETE', numErrors: 2 });
  expect(ids(body)).toEqual(['502', '503']);
  expect(body.errors).toMatchObject([
    { category: 'VALIDATION_ERROR', context: { objectWriteTraceId: ['bad'] } },
    { category: 'VALIDATION_ERROR', message: expect.stringContaining('501'), context: { objectWriteTraceId: ['t1'], existingId: ['501'] } },
  ]);
  expect(Object.keys(provider.records('contact'))).toHaveLength(3);
});

test('without traces one bad record refuses the whole call, and nothing is done', async () => {
  const { call, provider } = await withPeople(1);
  const invalid = { inputs: [person(2, false), { properties: { email: 'nobody' } }] };
  expect(await call('POST', path('create'), invalid)).toMatchObject({ status: 400, body: { category: 'VALIDATION_ERROR' } });
  const duplicate = { inputs: [person(2, false), person(1, false)] };
  expect(await call('POST', path('create'), duplicate)).toMatchObject({ status: 409, body: { message: 'Contact already exists' } });
  const twice = { inputs: [person(2, false), person(2, false)] };
  expect((await call('POST', path('create'), twice)).status).toBe(409);
  expect(Object.keys(provider.records('contact'))).toHaveLength(1);
});

test('records that are missing stand beside the results, traces or not', async () => {
  const { call } = await withPeople(1);
  const properties = { firstname: 'N' };
  const missing = { category: 'OBJECT_NOT_FOUND', context: { ids: ['999'] } };
  const update = await call('POST', path('update'), {
    inputs: [
      { id: '501', properties },
      { id: '999', properties },
    ],
  });
  expect(update).toMatchObject({ status: 207, body: { numErrors: 1, errors: [missing] } });
  expect(ids(update.body)).toEqual(['501']);
  const read = await call('POST', path('read'), { inputs: [{ id: '501' }, { id: '999' }], properties: ['firstname'] });
  expect(read).toMatchObject({ status: 207, body: { results: [{ properties: { firstname: 'N' } }], errors: [missing] } });
});

test('an id that comes twice refuses the call', async () => {
  const { call } = await withPeople(1);
  const inputs = [
    { id: '501', properties: {} },
    { id: '501', properties: {} },
  ];
  expect(await call('POST', path('update'), { inputs })).toMatchObject({
    status: 400,
    body: { message: 'Duplicate IDs found in batch input: [501]. IDs must be unique', context: { ids: ['501'] } },
  });
});

test('an upsert says which records are new; by e-mail it gives no partial results', async () => {
  const { call, set } = await withPeople(1);
  const upsert = (n: number, properties = {}) => ({ id: `p${n}@x.test`, idProperty: 'email', properties, objectWriteTraceId: `u${n}` });
  const both = await call('POST', path('upsert'), { inputs: [upsert(1), upsert(2)] });
  expect(both.status).toBe(200);
  const news = both.body.results.map((result: Record<string, unknown>) => [result['objectWriteTraceId'], result['new']]).sort();
  expect(news).toEqual([
    ['u1', false],
    ['u2', true],
  ]);
  const withBad = { inputs: [upsert(1), upsert(3, { annualrevenue: 'much' })] };
  expect((await call('POST', path('upsert'), withBad)).status).toBe(400);
  set({ partial_upsert_by_email: true });
  expect(await call('POST', path('upsert'), withBad)).toMatchObject({ status: 207, body: { numErrors: 1 } });
  set({ partial_update_upsert: false });
  expect((await call('POST', path('upsert'), withBad)).status).toBe(400);
});

test('by a unique property of the account an upsert gives partial results, and sets it', async () => {
  const { call } = start();
  const upsert = (key: string, properties = {}) => ({ id: key, idProperty: 'sluice_record_id', properties, objectWriteTraceId: key });
  const { status, body } = await call('POST', path('upsert'), { inputs: [upsert('r1'), upsert('r2', { email: 'nobody' })] });
  expect(status).toBe(207);
  expect(body.results).toMatchObject([{ new: true, properties: { sluice_record_id: 'r1' } }]);
  expect(body.errors).toMatchObject([{ context: { objectWriteTraceId: ['r2'], ids: ['r2'] } }]);
});

test('archiving takes ids that are gone, and 101 inputs are too many', async () => {
  const { call, provider } = await withPeople(2);
  expect((await call('POST', path('archive'), { inputs: [{ id: '501' }, { id: '999' }] })).status).toBe(204);
  expect(provider.records('contact')).toMatchObject({ 'contacts/501': { archived: true }, 'contacts/502': { archived: false } });
  const inputs = Array.from({ length: 101 }, (_, n) => person(n));
  expect((await call('POST', path('create'), { inputs })).status).toBe(400);
});

test('a fault that means one record fails it alone where results are partial, else the call', async () => {
  const { call, fault } = start();
  fault({ error_rate: 1, status: 400, record_ids: ['p2@x.test'] });
  const traced = await call('POST', path('create'), { inputs: [person(1), person(2)] });
  expect(traced).toMatchObject({ status: 207, body: { errors: [{ context: { objectWriteTraceId: ['t2'] } }] } });
  expect((await call('POST', path('create'), { inputs: [person(3, false), person(2, false)] })).status).toBe(400);
});

test('results come in an order of their own', async () => {
  const { call, set } = await withPeople(20);
  const inputs = Array.from({ length: 20 }, (_, n) => ({ id: String(501 + n), properties: {} }));
  const order = async () => (await call('POST', path('update'), { inputs })).body.results.map(({ id }: { id: string }) => id);
  expect(await order()).not.toEqual(inputs.map(({ id }) => id));
  set({ shuffle_results: false });
  expect(await order()).toEqual(inputs.map(({ id }) => id));
});
