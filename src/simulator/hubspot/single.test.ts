import { expect, test } from 'vitest';
import { startCrm } from '../../../test/support/simulated-crm.ts';
import { createHubspotProvider } from './hubspot-provider.ts';

const start = () => startCrm(createHubspotProvider, { token: 'pat-1', contentType: 'application/json' });
const contacts = '/crm/v3/objects/contacts';
const create = (properties: object) => ['POST', contacts, { properties }] as const;

test('a contact is created, read, changed, listed and archived, under every version of the path', async () => {
  const { call } = start();
  const made = await call(...create({ email: 'A@X.test', firstname: 'A', phone: '1' }));
  expect(made).toMatchObject({ status: 201, body: { id: '501', archived: false, properties: { email: 'a@x.test', phone: '1' } } });
  expect(await call('PATCH', '/crm/objects/2026-09/contacts/501', { properties: { phone: '', jobtitle: 'Boss' } })).toMatchObject({
    status: 200,
    body: { properties: { email: 'a@x.test', jobtitle: 'Boss' } },
  });
  const read = await call('GET', `${contacts}/a%40x.test?idProperty=email&properties=phone,jobtitle`);
  expect(read.body.properties).toMatchObject({ phone: null, jobtitle: 'Boss', hs_object_id: '501' });
  expect(read.body.properties).not.toHaveProperty('firstname');
  expect((await call('GET', contacts)).body.results).toHaveLength(1);
  expect((await call('DELETE', `${contacts}/501`)).status).toBe(204);
  expect((await call('DELETE', `${contacts}/501`)).status).toBe(204);
  expect(await call('GET', `${contacts}/501`)).toMatchObject({ status: 404, body: { category: 'OBJECT_NOT_FOUND' } });
  expect((await call('GET', `${contacts}/501?archived=true`)).body).toMatchObject({ archived: true, archivedAt: expect.any(String) });
  expect((await call('GET', `${contacts}?archived=true`)).body.results).toHaveLength(1);
});

test('a list is paged by the last id', async () => {
  const { call } = start();
  for (const name of ['a', 'b', 'c']) await call(...create({ firstname: name }));
  const first = await call('GET', `${contacts}?limit=2`);
  expect(first.body.paging.next).toEqual({ after: '502', link: expect.stringContaining('after=502') });
  const second = await call('GET', `${contacts}?limit=2&after=502`);
  expect(second.body.results.map(({ id }: { id: string }) => id)).toEqual(['503']);
  expect(second.body.paging).toBeUndefined();
});

test('an address that another contact has is refused with its id, until that one is archived', async () => {
  const { call } = start();
  await call(...create({ email: 'a@x.test' }));
  const refusal = { status: 409, body: { category: 'CONFLICT', message: 'Contact already exists. Existing ID: 501' } };
  expect(await call(...create({ email: 'A@x.test' }))).toMatchObject(refusal);
  await call(...create({ email: 'b@x.test' }));
  expect(await call('PATCH', `${contacts}/502`, { properties: { email: 'a@x.test' } })).toMatchObject(refusal);
  await call('DELETE', `${contacts}/501`);
  expect((await call('PATCH', `${contacts}/502`, { properties: { email: 'a@x.test' } })).status).toBe(200);
});

test.each([
  [{ email: 'nobody' }, 'INVALID_EMAIL'],
  [{ firstname: 'A', shoe_size: '44' }, 'PROPERTY_DOESNT_EXIST'],
  [{ firstname: 'A', toString: '44' }, 'PROPERTY_DOESNT_EXIST'],
  [{ firstname: 'A', hs_object_id: '1' }, 'READ_ONLY_VALUE'],
  [{ firstname: 'A', annualrevenue: 'much' }, 'INVALID_INTEGER'],
  [{ firstname: 'A', lifecyclestage: 'gone' }, 'INVALID_OPTION'],
])('%j is refused as %s', async (properties, code) => {
  const { call } = start();
  const { status, body } = await call(...create(properties));
  const [name] = Object.keys(properties).slice(-1);
  expect({ status, category: body.category }).toEqual({ status: 400, category: 'VALIDATION_ERROR' });
  expect(body.errors).toMatchObject([{ code, context: { propertyName: [name] } }]);
  expect(JSON.parse(body.message.slice('Property values were not valid: '.length))).toMatchObject([{ error: code, name }]);
});

test('values that are no strings, and a contact without any name, are refused', async () => {
  const { call, set } = start();
  expect((await call(...create({ firstname: 5 }))).status).toBe(400);
  expect((await call(...create({ firstname: null }))).status).toBe(400);
  expect((await call(...create({ phone: '1' }))).status).toBe(400);
  set({ coerce_values: true });
  expect((await call(...create({ firstname: 5 }))).body.properties.firstname).toBe('5');
});

test('the stage of a contact moves forward only', async () => {
  const { call } = start();
  await call(...create({ firstname: 'A', lifecyclestage: 'customer' }));
  const update = (lifecyclestage: string) => call('PATCH', `${contacts}/501`, { properties: { lifecyclestage } });
  expect((await update('lead')).body.properties.lifecyclestage).toBe('customer');
  await update('');
  expect((await update('lead')).body.properties.lifecyclestage).toBe('lead');
});

test('a property that settings make unique tells contacts apart', async () => {
  const { call, set } = start();
  set({ properties: { contacts: { crm_key: { unique: true } } } });
  await call(...create({ firstname: 'A', crm_key: 'k1' }));
  expect((await call('GET', `${contacts}/k1?idProperty=crm_key`)).body.id).toBe('501');
  expect((await call('GET', `${contacts}/A?idProperty=firstname`)).status).toBe(400);
  expect((await call(...create({ firstname: 'B', crm_key: 'k1' }))).status).toBe(409);
  set({ unique_conflict: '400' });
  expect((await call(...create({ firstname: 'B', crm_key: 'k1' }))).body.errors[0].code).toBe('CONFLICTING_UNIQUE_VALUE');
});
