/** The published client for Salesforce, unmodified, against the simulated Salesforce. */
import { createSign, generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { Connection } from '@jsforce/jsforce-node';
import { afterEach, expect, test } from 'vitest';
import { createSalesforceProvider } from '../../src/simulator/salesforce/salesforce-provider.ts';
import { createSimulatorServer } from '../../src/simulator/server.ts';
import { createSimulator } from '../../src/simulator/simulator.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A simulator below `mount`, on a clock that the test can move ahead. */
async function start(mount = '/salesforce') {
  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const deps = { now, random: Math.random, idsFrom: 0, wait, post: async () => undefined };
  const provider = createSalesforceProvider(deps);
  const simulator = createSimulator({ provider, now, random: Math.random, wait, keepCalls: 1_000 });
  const server = createSimulatorServer(new Map([[mount, simulator]]));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${mount}`;
  const set = (settings: Record<string, unknown>) => {
    expect(provider.change({ ...(provider.settings() as object), ...settings })).toEqual({ status: 'changed' });
  };
  const tokenCalls = () => simulator.log.list(-1, 1_000).filter((call) => call.items[0]?.operation === 'token').length;
  return { url, clock, set, provider, tokenCalls };
}

/** A client that has a token by client credentials and gets another by a refresh token. */
async function connect(url: string, version = '60.0'): Promise<Connection> {
  const oauth2 = { loginUrl: url, clientId: 'app', clientSecret: 'secret' };
  const connection = new Connection({ oauth2, version, callOptions: { client: 'contract-test' } });
  await connection.authorize({ grant_type: 'client_credentials' });
  connection.refreshToken = 'refresh';
  return connection;
}

const ids = (results: readonly unknown[]) => results.map((result) => (result as { id: string }).id);

test('a record is created, read, updated, upserted by external id and destroyed', async () => {
  const { url, provider } = await start();
  const connection = await connect(url);
  expect(connection.instanceUrl).toBe(url);
  const created = await connection.create('Contact', { LastName: 'Meer', Email: 'meer@example.com' });
  expect(created).toEqual({ id: expect.stringMatching(/^003\w{15}$/), success: true, errors: [] });
  const id = created.id as string;
  expect(await connection.retrieve('Contact', id)).toMatchObject({ Id: id, LastName: 'Meer', Email: 'meer@example.com', Phone: null });
  expect(await connection.update('Contact', { Id: id, Phone: '+49301', Email: null })).toMatchObject({ success: true });
  const sobject = connection.sobject('Contact');
  const upsert = () => sobject.upsert({ ExtId__c: 'a-1', LastName: 'Berg' }, 'ExtId__c');
  expect([(await upsert()) as object, (await upsert()) as object]).toMatchObject([{ created: true }, { created: false }]);
  expect(await connection.retrieve('Contact', id)).toMatchObject({ Phone: '+49301', Email: null });
  expect(Object.values(provider.records('Contact'))).toMatchObject([{ client: 'contract-test' }, { ExtId__c: 'a-1' }]);
  expect(await connection.destroy('Contact', id)).toMatchObject({ success: true });
  await expect(connection.destroy('Contact', id)).rejects.toMatchObject({ errorCode: 'ENTITY_IS_DELETED' });
  await expect(connection.create('Contact', { FirstName: 'No' })).rejects.toMatchObject({ errorCode: 'REQUIRED_FIELD_MISSING' });
  expect(connection.limitInfo.apiUsage?.limit).toBe(5_000_000);
});

test('collections answer for each record', async () => {
  const { url } = await start();
  const connection = await connect(url);
  const created = await connection.create('Lead', [
    { LastName: 'One', Company: 'A', ExtId__c: '1' },
    { LastName: 'Two' },
    { LastName: 'Three', Company: 'C', ExtId__c: '3' },
  ]);
  expect(created).toMatchObject([
    { success: true },
    { success: false, errors: [{ statusCode: 'REQUIRED_FIELD_MISSING', fields: ['Company'] }] },
    { success: true },
  ]);
  const [first, , third] = ids(created) as [string, string, string];
  const updated = await connection.update('Lead', [
    { Id: first, Title: 'Ms' },
    { Id: third, Title: 'Mr' },
  ]);
  expect(updated).toMatchObject([{ id: first, success: true }, { success: true }]);
  const upserts = [
    { ExtId__c: '3', LastName: 'Drei' },
    { ExtId__c: '4', LastName: 'Vier', Company: 'D' },
  ];
  expect(await connection.upsert('Lead', upserts, 'ExtId__c')).toMatchObject([{ id: third, created: false }, { created: true }]);
  const read = await connection.retrieve('Lead', [first, '00Q5g000000ZZZZEA4', third], { fields: ['LastName', 'Title'] });
  expect(read).toMatchObject([{ LastName: 'One', Title: 'Ms' }, null, { LastName: 'Drei', Title: 'Mr' }]);
  expect(await connection.destroy('Lead', [first, first, third])).toMatchObject([{ success: true }, { success: false }, { success: true }]);
  const allOrNone = await connection.create('Lead', [{ LastName: 'x' }, { LastName: 'y', Company: 'z' }], { allOrNone: true });
  expect(allOrNone[1]).toMatchObject({ success: false, errors: [{ statusCode: 'ALL_OR_NONE_OPERATION_ROLLED_BACK' }] });
  expect(await connection.sobject('Lead').count()).toBe(1);
});

test('queries are paged through, built or written by hand', async () => {
  const { url } = await start();
  const connection = await connect(url);
  const records = Array.from({ length: 500 }, (_, index) => ({
    LastName: `Name ${String(index).padStart(3, '0')}`,
    Title: `${index % 2}`,
  }));
  await connection.create('Contact', records, { allowRecursive: true });
  const headers = { 'Sforce-Query-Options': 'batchSize=200' };
  const page = await connection.query('SELECT Id, LastName FROM Contact ORDER BY LastName', { headers, autoFetch: true, maxFetch: 10_000 });
  expect(page).toMatchObject({ totalSize: 500, done: true });
  expect(page.records.map((record) => record['LastName'])).toEqual(records.map((record) => record.LastName));
  const built = await connection
    .sobject('Contact')
    .find({ Title: ['1', '7'], LastName: { $like: 'name 00%' } }, ['LastName'])
    .sort('-LastName')
    .limit(2);
  expect(built).toMatchObject([{ LastName: 'Name 009' }, { LastName: 'Name 007' }]);
  await expect(connection.query('SELECT Nothing FROM Contact')).rejects.toMatchObject({ errorCode: 'INVALID_FIELD' });
  await expect(connection.query('SELECT FROM')).rejects.toMatchObject({ errorCode: 'MALFORMED_QUERY' });
});

test('a bulk job takes its records in and says what became of each', async () => {
  // This client builds the addresses of jobs from the host alone, so the org has to be at the root.
  const { url, set, provider } = await start('');
  set({ bulk_job_polls: 1 });
  const connection = await connect(url);
  const input = [
    { ExtId__c: '1', LastName: 'with, comma', Description: 'two\nlines and a "quote"' },
    { ExtId__c: '2', LastName: '#N/A' },
    { ExtId__c: '3', LastName: 'Last' },
  ];
  const job = {
    object: 'Contact',
    operation: 'upsert',
    externalIdFieldName: 'ExtId__c',
    input,
    pollInterval: 5,
    pollTimeout: 5_000,
  } as const;
  const results = await connection.bulk2.loadAndWaitForResults(job);
  expect(results.successfulResults).toMatchObject([
    { sf__Id: expect.stringMatching(/^003/), sf__Created: 'true', ExtId__c: '1', Description: 'two\nlines and a "quote"' },
    { sf__Created: 'true', ExtId__c: '3' },
  ]);
  expect(results.failedResults).toMatchObject([{ sf__Error: expect.stringContaining('REQUIRED_FIELD_MISSING:'), ExtId__c: '2' }]);
  expect(results.unprocessedRecords).toEqual([]);
  expect(Object.values(provider.records('Contact'))).toMatchObject([{ LastName: 'with, comma' }, { LastName: 'Last' }]);
  const destroy = { object: 'Contact', operation: 'delete', pollInterval: 5, pollTimeout: 5_000 } as const;
  const gone = (results.successfulResults as { sf__Id: string }[]).map(({ sf__Id }) => ({ Id: sf__Id }));
  expect((await connection.bulk2.loadAndWaitForResults({ ...destroy, input: gone })).successfulResults).toHaveLength(2);
  expect(provider.records('Contact')).toEqual({});
  const wrong = connection.bulk2.loadAndWaitForResults({ ...job, operation: 'insert', input: [{ Nothing: 'x' }] });
  await expect(wrong).rejects.toThrow('Field name not found : Nothing');
});

test('an expired token is refreshed once for all calls that meet it', async () => {
  const { url, clock, tokenCalls } = await start();
  const connection = await connect(url);
  expect(tokenCalls()).toBe(1);
  clock.aheadMs = 7_200_001;
  const results = await Promise.all(Array.from({ length: 5 }, (_, n) => connection.create('Contact', { LastName: `N${n}` })));
  expect(results.every((result) => result.success)).toBe(true);
  expect(tokenCalls()).toBe(2);
});

test('tokens are given for a signed assertion, and not for one signed by somebody else', async () => {
  const { url, set } = await start();
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  set({ public_key: publicKey.export({ type: 'spki', format: 'pem' }), client_id: 'app', username: 'sync@example.com' });
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + 120;
  const content = `${encode({ alg: 'RS256' })}.${encode({ iss: 'app', sub: 'sync@example.com', aud: 'https://login.salesforce.com', exp })}`;
  const signature = createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url');
  const grant_type = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  const connection = new Connection({ loginUrl: url, version: '60.0' });
  await connection.authorize({ grant_type, assertion: `${content}.${signature}` });
  expect(await connection.identity()).toMatchObject({ username: 'sync@example.com' });
  const forged = `${content}.${signature.slice(0, -8)}AAAAAAAA`;
  await expect(connection.authorize({ grant_type, assertion: forged })).rejects.toThrow('invalid assertion');
});

test('logs in with a name and a password, and says what the org has', async () => {
  const { url, provider } = await start();
  const oauth2 = { loginUrl: url, clientId: 'app', clientSecret: 'secret' };
  const connection = new Connection({ oauth2, version: '60.0' });
  expect(await connection.login('sync@example.com', 'password')).toMatchObject({ organizationId: '00D5g000000SimUEAS' });
  expect((await connection.describeGlobal()).sobjects.map(({ name }) => name)).toEqual(['Contact', 'Lead', 'Account']);
  const email = (await connection.describe('Contact')).fields.find(({ name }) => name === 'Email');
  expect(email).toMatchObject({ type: 'email', length: 80, idLookup: true });
  expect((await connection.limits())['DailyApiRequests']).toMatchObject({ Max: 5_000_000 });
  const { id } = await connection.create('Account', { Name: 'Works' });
  const end = new Date(Date.now() + 60_000);
  const updated = await connection.sobject('Account').updated(new Date(Date.now() - 600_000), end);
  expect(updated.latestDateCovered).toMatch(/\+0000$/);
  await connection.destroy('Account', id as string);
  expect(provider.records(undefined)).toEqual({});
});
