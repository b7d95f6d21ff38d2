import { expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { startCrm } from '../../../test/support/simulated-crm.ts';
import { createHubspotProvider } from './hubspot-provider.ts';
import { signV1, signV3 } from './webhooks.ts';

const start = (receive?: () => number | undefined) =>
  startCrm(createHubspotProvider, { token: 'pat-1', contentType: 'application/json', ...(receive && { receive }) });
const contacts = '/crm/v3/objects/contacts';
const grant = (more: Record<string, string> = {}) =>
  new URLSearchParams({ grant_type: 'refresh_token', client_id: 'c', client_secret: 's', refresh_token: 'r', ...more }).toString();

test('a refresh token gives access for half an hour; then the refusal says since when', async () => {
  const { call, clock } = start();
  const { body } = await call('POST', '/oauth/v1/token', grant());
  expect(body).toEqual({ token_type: 'bearer', refresh_token: 'r', access_token: expect.any(String), expires_in: 1_800 });
  const bearer = { authorization: `Bearer ${body.access_token}` };
  expect((await call('GET', contacts, undefined, bearer)).status).toBe(200);
  clock.nowMs += 1_875_000;
  expect(await call('GET', contacts, undefined, bearer)).toMatchObject({
    status: 401,
    body: {
      category: 'EXPIRED_AUTHENTICATION',
      message: expect.stringContaining('expired 75 second(s) ago'),
      context: { 'expire time': [expect.any(String)] },
    },
  });
  expect(await call('GET', contacts, undefined, { authorization: 'Bearer what' })).toMatchObject({
    status: 401,
    body: { category: 'INVALID_AUTHENTICATION' },
  });
});

test('tokens expire when told to, and grants that settings do not know are refused', async () => {
  const { call, provider, set } = start();
  const { body } = await call('POST', '/oauth/v3/token', grant());
  expect(body).toMatchObject({ hub_id: 62_515, scopes: expect.any(Array) });
  provider.expireTokens?.();
  expect((await call('GET', contacts, undefined, { authorization: `Bearer ${body.access_token}` })).body.category).toBe(
    'EXPIRED_AUTHENTICATION',
  );
  set({ refresh_tokens: ['known'], client_secret: 's' });
  expect(await call('POST', '/oauth/v1/token', grant())).toMatchObject({
    status: 400,
    body: { status: 'BAD_REFRESH_TOKEN', error: 'invalid_grant' },
  });
  expect((await call('POST', '/oauth/v1/token', grant({ client_secret: 'x' }))).body.status).toBe('BAD_CLIENT_SECRET');
  expect((await call('POST', '/oauth/v1/token', grant({ refresh_token: 'known' }))).status).toBe(200);
});

test('the burst is a rolling window of each token, and every answer says what is left', async () => {
  const { call, clock, set } = start();
  set({ burst_requests: 2 });
  const first = await call('GET', contacts);
  expect(first.headers).toMatchObject({
    'x-hubspot-ratelimit-max': '2',
    'x-hubspot-ratelimit-remaining': '1',
    'x-hubspot-ratelimit-interval-milliseconds': '10000',
    'x-hubspot-ratelimit-daily': '250000',
    'x-hubspot-ratelimit-daily-remaining': '249999',
  });
  clock.nowMs += 6_000;
  await call('GET', contacts);
  const refused = await call('GET', contacts);
  expect(refused).toMatchObject({ status: 429, body: { policyName: 'TEN_SECONDLY_ROLLING', errorType: 'RATE_LIMIT' } });
  expect(refused.headers).not.toHaveProperty('retry-after');
  expect((await call('GET', contacts, undefined, { authorization: 'Bearer pat-2' })).status).toBe(200);
  clock.nowMs += 4_000;
  expect((await call('GET', contacts)).status).toBe(200);
  set({ burst_requests: 2, retry_after_on_429: true });
  expect((await call('GET', contacts)).headers['retry-after']).toBe('6');
});

test('the day ends at the account’s midnight, and searches have five a second of their own', async () => {
  const { call, clock, set } = start();
  set({ daily_requests: 6, utc_offset_minutes: 60 });
  const search = () => call('POST', `${contacts}/search`, {});
  for (let n = 0; n < 5; n += 1) expect((await search()).status).toBe(200);
  const secondly = await search();
  expect(secondly).toMatchObject({ status: 429, body: { policyName: 'SECONDLY', message: 'You have reached your secondly limit.' } });
  expect(Object.keys(secondly.headers)).toEqual([]);
  expect((await call('GET', contacts)).headers['x-hubspot-ratelimit-daily-remaining']).toBe('0');
  expect((await call('GET', contacts)).body.policyName).toBe('DAILY');
  clock.nowMs = Date.parse('2026-05-20T23:00:00Z');
  expect((await call('GET', contacts)).status).toBe(200);
});

test('an OAuth app has no daily limit, and a token call counts to none', async () => {
  const { call, set } = start();
  set({ daily_requests: 1, oauth_burst_requests: 1 });
  const { body } = await call('POST', '/oauth/v1/token', grant());
  const bearer = { authorization: `Bearer ${body.access_token}` };
  expect((await call('GET', contacts, undefined, bearer)).headers).not.toHaveProperty('x-hubspot-ratelimit-daily');
  expect((await call('GET', contacts, undefined, bearer)).body.policyName).toBe('TEN_SECONDLY_ROLLING');
});

test('told failures are worded as the provider’s own', async () => {
  const { call, fault } = start();
  fault({ error_rate: 1, status: 423 });
  expect(await call('GET', contacts)).toMatchObject({ status: 423, body: { status: 'error', correlationId: expect.any(String) } });
  fault({ error_rate: 1, status: 429, code: 'DAILY', retry_after: 3 });
  expect(await call('GET', contacts)).toMatchObject({ status: 429, body: { policyName: 'DAILY' }, headers: { 'retry-after': '3' } });
  fault({ error_rate: 1, status: 477, retry_after: 60 });
  expect(await call('GET', contacts)).toMatchObject({ status: 477, headers: { 'retry-after': '60' } });
  fault({ error_rate: 1, status: 502 });
  expect((await call('GET', contacts)).text).toContain('<html>');
  fault({ error_rate: 1, status: 400, token_calls: true });
  expect((await call('POST', '/oauth/v1/token', grant())).body.error).toBe('invalid_grant');
});

test('search filters, sorts and pages, and keeps to its bounds', async () => {
  const { call, clock, set } = start();
  set({ search_per_second: 1_000, search_max_results: 4 });
  for (const [firstname, annualrevenue] of [
    ['Ann', '9'],
    ['Bob', '10'],
    ['Cy', '100'],
    ['Di', ''],
  ]) {
    clock.nowMs += 1_000;
    await call('POST', contacts, { properties: { firstname, annualrevenue } });
  }
  const search = async (body: object) => call('POST', `${contacts}/search`, body);
  const names = async (...filters: object[]) => {
    const sorts = [{ propertyName: 'annualrevenue', direction: 'DESCENDING' }];
    const { body } = await search({ filterGroups: [{ filters }], sorts, properties: ['firstname'], limit: 4 });
    return body.results.map((result: { properties: { firstname: string } }) => result.properties.firstname).join();
  };
  expect(await names({ propertyName: 'annualrevenue', operator: 'GTE', value: '10' })).toBe('Cy,Bob');
  expect(await names({ propertyName: 'annualrevenue', operator: 'BETWEEN', value: '9', highValue: '10' })).toBe('Bob,Ann');
  expect(await names({ propertyName: 'firstname', operator: 'IN', values: ['ann', 'di'] })).toContain('Ann');
  expect(await names({ propertyName: 'annualrevenue', operator: 'NOT_HAS_PROPERTY' })).toBe('Di');
  expect(await names({ propertyName: 'firstname', operator: 'CONTAINS_TOKEN', value: 'b*' })).toBe('Bob');
  expect(await names({ propertyName: 'lastmodifieddate', operator: 'GT', value: String(clock.nowMs - 1_000) })).toBe('Di');
  expect((await search({ limit: 2 })).body).toMatchObject({ total: 4, paging: { next: { after: '2' } } });
  expect((await search({ limit: 2, after: '2' })).body.paging).toBeUndefined();
  expect((await search({ limit: 2, after: '3' })).status).toBe(400);
  expect((await search({ limit: 201 })).status).toBe(400);
  expect((await search({ query: 'x'.repeat(3_000) })).status).toBe(400);
  const filter = { propertyName: 'firstname', operator: 'EQ', value: 'Ann' };
  expect((await search({ filterGroups: Array(4).fill({ filters: Array(5).fill(filter) }) })).status).toBe(400);
  expect((await search({ filterGroups: [{ filters: [{ ...filter, propertyName: 'nonsense' }] }] })).status).toBe(400);
});

test('the search index lags behind writes by the time that settings say', async () => {
  const { call, clock, set } = start();
  set({ search_lag_ms: 2_000 });
  await call('POST', contacts, { properties: { firstname: 'A' } });
  expect((await call('POST', `${contacts}/search`, {})).body.total).toBe(0);
  clock.nowMs += 2_000;
  expect((await call('POST', `${contacts}/search`, {})).body.total).toBe(1);
});

test('webhooks tell of every changed property, gathered and signed twice over', async () => {
  const { call, set, sent } = start();
  const url = 'https://www.example.com/hook?a=b%40c';
  set({ webhooks: { url, secret: 'sh' } });
  await call('POST', contacts, { properties: { email: 'a@x.test', firstname: 'A' } });
  await call('PATCH', `${contacts}/501`, { properties: { firstname: 'A', phone: '1' } }, { authorization: 'Bearer user-1' });
  await call('DELETE', `${contacts}/501`);
  await eventually(() => expect(sent.flatMap(({ text }) => JSON.parse(text))).toHaveLength(5));
  const events = sent.flatMap(({ text }) => JSON.parse(text));
  expect(events.map((event) => [event.subscriptionType, event.propertyName, event.changeSource, event.changeFlag])).toEqual([
    ['contact.creation', undefined, 'INTEGRATION', 'CREATED'],
    ['contact.propertyChange', 'email', 'INTEGRATION', undefined],
    ['contact.propertyChange', 'firstname', 'INTEGRATION', undefined],
    ['contact.propertyChange', 'phone', 'CRM_UI', undefined],
    ['contact.deletion', undefined, 'INTEGRATION', 'DELETED'],
  ]);
  const [message] = sent;
  const nowMs = Number(message?.headers['x-hubspot-request-timestamp']);
  expect(message?.headers['x-hubspot-signature']).toBe(signV1('sh', message?.text ?? ''));
  expect(message?.headers['x-hubspot-signature-v3']).toBe(signV3('sh', { method: 'POST', url, body: message?.text ?? '', nowMs }));
});

test('a webhook that is not answered well is sent again with the number of the attempt', async () => {
  const answers = [500, undefined, 204];
  const { call, set, sent, provider, clock } = start(() => answers.shift());
  set({ webhooks: { url: 'https://www.example.com/', subscriptions: ['contact.creation'] } });
  await call('POST', contacts, { properties: { firstname: 'A' } });
  await eventually(() =>
    expect(provider.webhooks?.()).toMatchObject([{ state: 'delivered', attempts: [{ status: 500 }, { status: null }, { status: 204 }] }]),
  );
  expect(sent.map(({ text }) => JSON.parse(text)[0].attemptNumber)).toEqual([0, 1, 2]);
  expect(clock.waits.slice(1).every((ms) => ms >= 60_000)).toBe(true);
});

test('signatures are those of the documentation’s example', () => {
  const secret = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy';
  const example = {
    method: 'POST',
    url: 'https://www.example.com/webhook_uri',
    body: "{'example_field':'example_value'}",
    nowMs: 1_693_657_560_000,
  };
  expect(signV3(secret, example)).toBe('K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=');
  const body =
    '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation",' +
    '"attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]';
  expect(signV1(secret, body)).toBe('232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de');
});
