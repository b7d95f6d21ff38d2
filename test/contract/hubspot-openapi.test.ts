/** What the simulated HubSpot takes and answers, beside HubSpot's published description of contacts. */
import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { beforeEach, expect, test } from 'vitest';
import { createHubspotProvider } from '../../src/simulator/hubspot/hubspot-provider.ts';
import { startCrm } from '../support/simulated-crm.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document whose shape is somebody else's.
type Json = any;

const description: Json = JSON.parse(readFileSync(new URL('fixtures/hubspot-contacts.json', import.meta.url), 'utf8'));
const contacts = '/crm/v3/objects/contacts';

let crm: ReturnType<typeof startCrm>;
beforeEach(() => {
  crm = startCrm(createHubspotProvider, { token: 'pat-1', contentType: 'application/json' });
  // The description knows strings only, though values that are not set come as null.
  crm.set({ unset_properties: 'omitted' });
});

/** Names that the description does not know are faults. */
function strictly(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strictly);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (typeof schema.$ref === 'string') return strictly(description.components.schemas[schema.$ref.split('/').at(-1) as string]);
  const { properties, ...facts } = schema;
  const rest = Object.fromEntries(Object.entries(facts).map(([name, each]) => [name, strictly(each)]));
  if (properties === undefined || Object.keys(properties).length === 0) return rest;
  const described = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, strictly(each)]));
  return { additionalProperties: false, ...rest, properties: described };
}

function compile(schema: Json): ValidateFunction {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(strictly(schema));
}

/** Makes a call that the description knows, and checks what is sent and what comes back. */
async function call(method: string, path: string, template: string, body?: unknown) {
  const operation = description.paths[template][method.toLowerCase()];
  if (body !== undefined) check(compile(operation.requestBody.content['application/json'].schema), body);
  const answer = await crm.call(method, path, body);
  const described = operation.responses[answer.status];
  const error = { ...description.components.schemas.Error };
  // Errors have a member `status` that their description leaves out.
  error.properties = { ...error.properties, status: { type: 'string' } };
  const schema = described === undefined ? error : described.content?.['application/json']?.schema;
  if (schema === undefined) expect(answer.body).toBeUndefined();
  else check(compile(schema), answer.body);
  return answer;
}

function check(validate: ValidateFunction, value: unknown): void {
  expect(validate(value), `${JSON.stringify(validate.errors)} of ${JSON.stringify(value)}`).toBe(true);
}

const person = (n: number) => ({ email: `p${n}@x.test`, firstname: `F${n}` });

test('single calls and the list are as described', async () => {
  for (const n of [1, 2]) expect((await call('POST', contacts, contacts, { properties: person(n), associations: [] })).status).toBe(201);
  const one = `${contacts}/{contactId}`;
  expect((await call('GET', `${contacts}/501?properties=email`, one)).status).toBe(200);
  expect((await call('PATCH', `${contacts}/501`, one, { properties: { phone: '1' } })).status).toBe(200);
  expect((await call('GET', `${contacts}?limit=1`, contacts)).body.paging.next.after).toBe('501');
  expect((await call('DELETE', `${contacts}/501`, one)).status).toBe(204);
  expect((await call('GET', `${contacts}/501?archived=true`, one)).body.archived).toBe(true);
});

test('refusals are as described', async () => {
  const one = `${contacts}/{contactId}`;
  await crm.call('POST', contacts, { properties: person(1) });
  const create = (properties: object) => call('POST', contacts, contacts, { properties, associations: [] });
  const statuses = [await create(person(1)), await create({ nonsense: '1' }), await call('GET', `${contacts}/999`, one)].map(
    ({ status }) => status,
  );
  expect(statuses).toEqual([409, 400, 404]);
  expect((await crm.call('GET', contacts, undefined, { authorization: 'Bearer what' })).status).toBe(401);
});

test('batch calls are as described, with all results and with some', async () => {
  const batch = (action: string, body: unknown) => call('POST', `${contacts}/batch/${action}`, `${contacts}/batch/${action}`, body);
  const inputs = [1, 2].map((n) => ({ properties: person(n), associations: [], objectWriteTraceId: `t${n}` }));
  expect((await batch('create', { inputs })).status).toBe(201);
  expect((await batch('create', { inputs })).status).toBe(207);
  const known = { id: '501', properties: { phone: '1' } };
  const missing = { id: '999', properties: {} };
  expect((await batch('update', { inputs: [known] })).status).toBe(200);
  expect((await batch('update', { inputs: [known, missing] })).status).toBe(207);
  const upsert = { id: 'p3@x.test', idProperty: 'email', properties: {} };
  expect((await batch('upsert', { inputs: [upsert] })).body.results).toMatchObject([{ new: true }]);
  const read = { properties: ['email'], propertiesWithHistory: [] };
  expect((await batch('read', { inputs: [{ id: '501' }], ...read })).status).toBe(200);
  expect((await batch('read', { inputs: [{ id: '999' }], ...read })).status).toBe(207);
  expect((await batch('archive', { inputs: [{ id: '501' }] })).status).toBe(204);
});

test('a search is as described', async () => {
  for (const n of [1, 2]) await crm.call('POST', contacts, { properties: person(n) });
  const filters = [{ propertyName: 'firstname', operator: 'HAS_PROPERTY' }];
  const body = { filterGroups: [{ filters }], sorts: ['email'], properties: ['email'], limit: 1, after: '0' };
  expect((await call('POST', `${contacts}/search`, `${contacts}/search`, body)).body).toMatchObject({
    total: 2,
    paging: { next: { after: '1' } },
  });
});
