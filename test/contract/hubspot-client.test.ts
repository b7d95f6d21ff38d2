/** HubSpot's own client, unmodified, against the simulator: what it can do there, an adapter may rely on. */
import { Client } from '@hubspot/api-client';
import { AssociationSpecAssociationCategoryEnum } from '@hubspot/api-client/lib/codegen/crm/contacts/models/AssociationSpec.js';
import { FilterOperatorEnum } from '@hubspot/api-client/lib/codegen/crm/contacts/models/Filter.js';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SimulatorMount, type Simulators, startSimulators } from '../support/simulators.ts';

let simulators: Simulators;
let simulator: SimulatorMount;
let client: Client;

beforeAll(async () => {
  simulators = await startSimulators();
  simulator = simulators.at('/hubspot');
});
afterAll(() => simulators.stop());
beforeEach(async () => {
  await simulator.control('DELETE', '/');
  await simulator.control('PUT', '/settings', {});
  client = open('pat-test');
});

function open(accessToken: string): Client {
  return new Client({ accessToken, basePath: simulator.url, limiterOptions: { minTime: 0, maxConcurrent: 10 } });
}

const contacts = () => client.crm.contacts.basicApi;
const person = (n: number) => ({ email: `person${n}@example.com`, firstname: `First${n}`, lastname: `Last${n}` });
const create = (n: number) => contacts().create({ properties: person(n), associations: [] });

async function codeOf(call: Promise<unknown>): Promise<number | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return (error as { code?: number }).code;
  }
}

test('creates, reads, updates and archives a contact', async () => {
  const created = await create(1);
  expect(created.properties['email']).toBe('person1@example.com');
  const updated = await contacts().update(created.id, { properties: { jobtitle: 'Boss' } });
  expect(updated.id).toBe(created.id);
  const read = await contacts().getById(created.id, ['jobtitle', 'email']);
  expect(read.properties).toMatchObject({ jobtitle: 'Boss', email: 'person1@example.com' });
  expect(read.createdAt).toBeInstanceOf(Date);
  const byEmail = await contacts().getById('person1@example.com', ['firstname'], undefined, undefined, false, 'email');
  expect(byEmail.id).toBe(created.id);
  await contacts().archive(created.id);
  expect(await codeOf(contacts().getById(created.id))).toBe(404);
});

test('a contact whose e-mail another has is a conflict that names the other', async () => {
  const { id } = await create(1);
  const error = (await create(1).catch((refused: unknown) => refused)) as { code: number; body: { message: string } };
  expect(error.code).toBe(409);
  expect(error.body.message).toContain(`Existing ID: ${id}`);
});

test('batches create, update, upsert, read and archive; one bad input fails alone where it is traced', async () => {
  const { batchApi } = client.crm.contacts;
  const inputs = [1, 2, 3].map((n) => ({ properties: person(n), associations: [], objectWriteTraceId: `row-${n}` }));
  const made = await batchApi.create({ inputs });
  expect(made.results.map(({ properties }) => properties['email']).sort()).toEqual([1, 2, 3].map((n) => person(n).email));
  const mixed = await batchApi.create({
    inputs: [
      { properties: person(4), associations: [], objectWriteTraceId: 'good' },
      { properties: { email: 'no e-mail' }, associations: [], objectWriteTraceId: 'bad' },
    ],
  });
  expect(mixed.results).toHaveLength(1);
  expect(JSON.stringify((mixed as { errors?: unknown }).errors)).toContain('bad');
  const ids = made.results.map(({ id }) => id);
  await batchApi.update({ inputs: ids.map((id) => ({ id, properties: { jobtitle: `T${id}` } })) });
  const read = await batchApi.read({ inputs: ids.map((id) => ({ id })), properties: ['jobtitle'], propertiesWithHistory: [] });
  expect(new Set(read.results.map(({ id, properties }) => properties['jobtitle'] === `T${id}`))).toEqual(new Set([true]));
  const upserted = await batchApi.upsert({
    inputs: [3, 5].map((n) => ({ id: person(n).email, idProperty: 'email', properties: { lastname: 'New' } })),
  });
  expect(upserted.results.map((result) => result._new).sort()).toEqual([false, true]);
  await batchApi.archive({ inputs: ids.map((id) => ({ id })) });
  expect(await codeOf(contacts().getById(ids[0] as string))).toBe(404);
});

test('searches by a property, in order and by pages', async () => {
  for (const n of [1, 2, 3]) await create(n);
  const page = (after?: string) =>
    client.crm.contacts.searchApi.doSearch({
      filterGroups: [{ filters: [{ propertyName: 'lastname', operator: FilterOperatorEnum.ContainsToken, value: 'Last*' }] }],
      sorts: ['email'],
      properties: ['email'],
      limit: 2,
      ...(after === undefined ? {} : { after }),
    });
  const first = await page();
  expect(first.total).toBe(3);
  const second = await page(first.paging?.next?.after);
  const emails = [...first.results, ...second.results].map(({ properties }) => properties['email']);
  expect(emails).toEqual([1, 2, 3].map((n) => person(n).email));
});

test('a token is had by refresh, and refused once it has expired', async () => {
  const token = await client.oauth.tokensApi.create('refresh_token', undefined, undefined, 'client', 'secret', 'refresh-me');
  expect(token.expiresIn).toBe(1_800);
  client = open(token.accessToken);
  await create(1);
  await simulator.control('POST', '/tokens/expire');
  expect(await codeOf(create(2))).toBe(401);
});

test('an association may be sent along', async () => {
  const types = [{ associationCategory: AssociationSpecAssociationCategoryEnum.HubspotDefined, associationTypeId: 279 }];
  const created = await contacts().create({ properties: person(1), associations: [{ to: { id: '1' }, types }] });
  expect(created.id).toMatch(/^\d+$/);
});
