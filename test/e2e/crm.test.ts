/** The CRMs through the whole service: routes, links between ids, tenants' own accounts and dead letters, as the simulators see them. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { type Simulators, startSimulators } from '../support/simulators.ts';

let sluice: Service;
let simulators: Simulators;
beforeAll(async () => {
  simulators = await startSimulators();
  sluice = await startService({ workers: 2, env: { SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') } });
  for (const { name, ...crm } of crms()) await done('PUT', `/providers/${name}`, crm);
  const filter = 'data.contact_type == "customer"';
  await done('PUT', '/routes/customers', { entity: 'contact', filter, providers: ['hubspot', 'salesforce'] });
  await done('PUT', '/routes/leads', { entity: 'contact', filter: 'data.contact_type == "lead"', providers: ['outreach'] });
});
afterAll(async () => {
  await sluice?.stop();
  await simulators?.stop();
});

function crms() {
  const at = (mount: string) => simulators.at(mount).url;
  const client = { client_id: 'client', client_secret: 'secret-of-the-client' };
  const salesforceToken = `${at('/salesforce')}/services/oauth2/token`;
  const outreachToken = `${at('/outreach')}/oauth/token`;
  return [
    {
      name: 'salesforce',
      base_url: at('/salesforce'),
      auth_config: { type: 'oauth2_client_credentials', token_url: salesforceToken, ...client },
    },
    { name: 'hubspot', base_url: at('/hubspot'), auth_config: { type: 'bearer', token: 'pat-of-everybody' } },
    {
      name: 'outreach',
      base_url: at('/outreach'),
      auth_config: { type: 'oauth2_refresh_token', token_url: outreachToken, refresh_token: 'first', ...client },
    },
  ];
}

async function done(method: string, path: string, body?: unknown) {
  const { status, json } = await sluice.request(method, path, body);
  expect(status, JSON.stringify(json)).toBeLessThan(300);
  return json;
}

type Body = Readonly<Record<string, unknown>>;

/** Submits it, and gives its status once that is final. */
async function sync(operation: Body) {
  const { operation_id: operationId } = await done('POST', '/sync', operation);
  return await done('GET', `/sync/status/${operationId}?wait=25`);
}

/** A contact that nobody has. */
function someone(part: Body = {}) {
  const recordId = `r-${randomUUID()}`;
  const data = { first_name: 'Ada', last_name: 'Lovelace', email: `${recordId}@example.com`, ...part };
  return { recordId, data };
}

/** What a CRM holds and has not removed, as text: each kind spells its records its own way. */
async function heldBy(mount: string): Promise<string> {
  const { records } = await simulators.at(mount).control('GET', '/records');
  return JSON.stringify(Object.values(records as Record<string, { archived?: boolean }>).filter(({ archived }) => archived !== true));
}

const both = ['/hubspot', '/salesforce'];

test('a contact addressed to auto lives in two CRMs: made, changed and removed in both', async () => {
  const { recordId, data } = someone({ contact_type: 'customer' });
  const created = await sync({ operation: 'create', provider: 'auto', record_id: recordId, data });
  expect(created, JSON.stringify(created)).toMatchObject({
    status: 'succeeded',
    provider: 'auto',
    record_id: recordId,
    operations: [
      { provider: 'hubspot', status: 'succeeded', provider_record_id: expect.any(String) },
      { provider: 'salesforce', status: 'succeeded', provider_record_id: expect.any(String) },
    ],
  });
  for (const mount of both) expect(await heldBy(mount)).toContain(data.email);

  // It says nothing that a filter asks for: the record's providers are remembered.
  const updated = await sync({ operation: 'update', provider: 'auto', record_id: recordId, data: { title: `Countess of ${recordId}` } });
  expect(updated).toMatchObject({ status: 'succeeded', operations: [{ provider: 'hubspot' }, { provider: 'salesforce' }] });
  for (const mount of both) expect(await heldBy(mount)).toContain(`Countess of ${recordId}`);
  const idsOf = ({ operations }: { operations: Body[] }) => operations.map((each) => each['provider_record_id']);
  expect(idsOf(updated), 'the records it made, not others').toEqual(idsOf(created));

  const removed = await sync({ operation: 'delete', provider: 'auto', record_id: recordId });
  expect(removed).toMatchObject({ status: 'succeeded', operations: [{ status: 'succeeded' }, { status: 'succeeded' }] });
  for (const mount of both) expect(await heldBy(mount)).not.toContain(data.email);
  expect(await heldBy('/outreach')).not.toContain(data.email);
});

test('a status sums up its parts: one CRM’s refusal is a dead letter that names the field, the other CRM has the contact', async () => {
  const { recordId, data } = someone({ contact_type: 'customer', last_name: 'x'.repeat(100) });
  const status = await sync({ operation: 'create', provider: 'auto', record_id: recordId, data });
  expect(status, JSON.stringify(status)).toMatchObject({
    status: 'dead_lettered',
    operations: [
      { provider: 'hubspot', status: 'succeeded' },
      { provider: 'salesforce', status: 'dead_lettered', error: { message: expect.stringContaining('LastName'), retryable: false } },
    ],
  });
  expect(await heldBy('/hubspot')).toContain(data.email);
  expect(await heldBy('/salesforce')).not.toContain(data.email);

  const letters = await done('GET', `/dlq?record_id=${recordId}`);
  expect(letters.items).toMatchObject([
    { operation_id: status.operations[1].operation_id, provider: 'salesforce', error: { message: expect.stringContaining('LastName') } },
  ]);

  const mended = await sync({ operation: 'upsert', provider: 'auto', record_id: recordId, data: { ...data, last_name: 'Lovelace' } });
  expect(mended, 'sent anew, it is in both').toMatchObject({ status: 'succeeded', operations: [{}, { status: 'succeeded' }] });
  expect(await heldBy('/salesforce')).toContain(data.email);
});

test.each(['salesforce', 'hubspot', 'outreach'])(
  'a bad e-mail address for %s ends as a dead letter that names it, before any call',
  async (provider) => {
    const { recordId, data } = someone({ email: 'nobody at all' });
    const before = (await simulators.at(`/${provider}`).control('GET', '/calls')).calls;
    expect(await sync({ operation: 'create', provider, record_id: recordId, data })).toMatchObject({ status: 'dead_lettered' });
    const { items } = await done('GET', `/dlq?record_id=${recordId}`);
    expect(items).toMatchObject([{ provider, error: { code: 'invalid_payload', message: expect.stringContaining('email') } }]);
    expect((await simulators.at(`/${provider}`).control('GET', '/calls')).calls).toBe(before);
  },
);

test.each(['salesforce', 'hubspot', 'outreach'])('%s takes each kind of operation, and its id for the record is kept', async (provider) => {
  const { recordId, data } = someone();
  const created = await sync({ operation: 'create', provider, record_id: recordId, data });
  expect(created, JSON.stringify(created)).toMatchObject({ status: 'succeeded', provider_record_id: expect.stringMatching(/^\w+$/) });
  const id = created.provider_record_id;
  for (const operation of ['update', 'upsert']) {
    const changed = await sync({ operation, provider, record_id: recordId, data: { ...data, title: operation } });
    expect(changed, JSON.stringify(changed)).toMatchObject({ status: 'succeeded', provider_record_id: id });
  }
  const read = await sync({ operation: 'read', provider, record_id: recordId });
  expect(read, JSON.stringify(read)).toMatchObject({ status: 'succeeded', result: expect.anything() });
  expect(JSON.stringify(read.result)).toContain(data.email);
  expect(await sync({ operation: 'delete', provider, record_id: recordId })).toMatchObject({ status: 'succeeded' });

  const made = someone();
  const upserted = await sync({ operation: 'upsert', provider, record_id: made.recordId, data: made.data });
  expect(upserted, JSON.stringify(upserted)).toMatchObject({ status: 'succeeded', provider_record_id: expect.stringMatching(/^\w+$/) });
  expect(await heldBy(`/${provider}`)).toContain(made.data.email);
});

test.each(['salesforce', 'hubspot', 'outreach'])(
  'a create that %s carried out and its lost answer made a dead letter of is put back, and makes no second contact',
  async (kind) => {
    const { name: _, ...crm } = crms().find(({ name }) => name === kind) as Body;
    const provider = `${kind}-once`;
    await done('PUT', `/providers/${provider}`, { ...crm, kind, retry: { max_attempts: 1 } });
    const { recordId, data } = someone();
    const count = async () => (await heldBy(`/${kind}`)).split(`"${data.email}"`).length - 1;
    await simulators.at(`/${kind}`).faults({ drop_rate: 1, operations: ['create'], times: 1 });
    const lost = await sync({ operation: 'create', provider, record_id: recordId, data });
    expect(lost, JSON.stringify(lost)).toMatchObject({ status: 'dead_lettered', error: { code: 'connection_lost' } });
    const made = await count();
    expect(made).toBeGreaterThan(0);

    const { operation_id: again } = await done('POST', `/dlq/${lost.operation_id}/retry`);
    const retried = await done('GET', `/sync/status/${again}?wait=25`);
    expect(retried, JSON.stringify(retried)).toMatchObject({ status: 'succeeded', provider_record_id: expect.stringMatching(/^\w+$/) });
    expect(await count()).toBe(made);
  },
);

test('a tenant’s own account is called with its own token, all others with the provider’s', async () => {
  await done('PUT', '/providers/hubspot/tenants/acme', { auth_config: { type: 'bearer', token: 'pat-of-acme' } });
  const callers = new Map<string, string>();
  for (const tenant of ['acme', 'other']) {
    const { recordId, data } = someone();
    const status = await sync({ operation: 'create', provider: 'hubspot', tenant, record_id: recordId, data });
    expect(status, JSON.stringify(status)).toMatchObject({ status: 'succeeded', tenant });
    const { items } = await simulators.at('/hubspot').control('GET', '/calls');
    const call = items.find(({ body }: { body: unknown }) => JSON.stringify(body).includes(data.email));
    callers.set(tenant, call?.headers.authorization);
  }
  expect(Object.fromEntries(callers)).toEqual({ acme: 'Bearer pat-of-acme', other: 'Bearer pat-of-everybody' });

  const shown = await done('GET', '/providers/hubspot/tenants/acme');
  expect(JSON.stringify(shown)).not.toContain('pat-of-acme');
});

test('a backlog past the threshold goes to Salesforce in bulk jobs, though each worker has but a part of it', {
  timeout: 60_000,
}, async () => {
  const [salesforce] = crms();
  const options = { external_id_field: 'Sluice_Id__c', bulk_threshold: 600, bulk_poll_ms: 50 };
  await done('PUT', '/providers/bulky', { ...salesforce, name: 'bulky', kind: 'salesforce', options });
  await done('POST', '/providers/bulky/pause');
  const accepted = await sluice.accept(
    Array.from({ length: 800 }, () => {
      const { recordId, data } = someone();
      return { operation: 'upsert', provider: 'bulky', record_id: recordId, timestamp: Date.now(), data };
    }),
    400,
  );
  const ids = accepted.map(({ operationId }) => operationId);
  await eventually(async () => [...(await sluice.statusesOf(ids)).values()].every(({ status }) => status === 'processing'));
  await done('POST', '/providers/bulky/resume');
  await sluice.drained('bulky');
  const { items } = (await simulators.at('/salesforce').control('GET', '/calls')) as { items: { method: string; path: string }[] };
  const uploads = items.filter(({ method, path }) => method === 'PUT' && path.endsWith('/batches'));
  expect(uploads.length).toBeGreaterThan(0);
  expect((await done('GET', '/dlq?provider=bulky')).items).toEqual([]);
});
