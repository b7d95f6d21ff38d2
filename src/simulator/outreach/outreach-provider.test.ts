import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { startCrm } from '../../../test/support/simulated-crm.ts';
import { createOutreachProvider } from './outreach-provider.ts';

const contentType = 'application/vnd.api+json';
const start = (receive?: () => number | undefined) =>
  startCrm(createOutreachProvider, { token: 'static-1', contentType, ...(receive && { receive }) });
const prospects = '/api/v2/prospects';
const prospect = (attributes: object, more: object = {}) => ({ data: { type: 'prospect', attributes, ...more } });
const grant = (refresh_token: string) =>
  new URLSearchParams({ grant_type: 'refresh_token', client_id: 'c', client_secret: 's', redirect_uri: 'x', refresh_token }).toString();

test('a prospect is created, read, changed and deleted; ids are integers', async () => {
  const { call } = start();
  const owner = { owner: { data: { type: 'user', id: 1 } } };
  const made = await call('POST', prospects, prospect({ firstName: 'A', lastName: 'B', emails: ['A@x.test'] }, { relationships: owner }));
  expect(made).toMatchObject({
    status: 201,
    body: { data: { type: 'prospect', id: 1, attributes: { name: 'A B', externalSource: 'outreach-api', title: null, tags: [] } } },
  });
  expect(made.body.data.relationships).toMatchObject({ ...owner, account: { data: null } });
  expect(made.body.data.links.self).toMatch(/\/api\/v2\/prospects\/1$/);
  const patch = (id: unknown, attributes: object) => call('PATCH', `${prospects}/1`, { data: { type: 'prospect', id, attributes } });
  expect((await patch(1, { title: 'Boss', lastName: null })).body.data.attributes).toMatchObject({ title: 'Boss', name: 'A' });
  expect((await patch('1', { title: 'Boss' })).body.errors).toMatchObject([{ id: 'validationError', source: { pointer: '/data/id' } }]);
  expect((await patch(2, { title: 'Boss' })).status).toBe(422);
  expect(Object.keys((await call('GET', `${prospects}/1?fields[prospect]=title,emails`)).body.data.attributes)).toEqual([
    'title',
    'emails',
  ]);
  expect((await call('DELETE', `${prospects}/1`)).status).toBe(204);
  expect(await call('GET', `${prospects}/1`)).toMatchObject({
    status: 404,
    body: { errors: [{ id: 'resourceNotFound', detail: "Could not find 'prospect' with ID '1'." }] },
  });
});

test.each([
  [{ emails: ['nobody'] }, 'validationError'],
  [{ shoeSize: 44 }, 'validationError'],
  [{ firstName: 5 }, 'validationError'],
  [{ createdAt: '2026-01-01T00:00:00Z' }, 'validationError'],
  [{ title: 'x'.repeat(256) }, 'validationDataTooLongError'],
])('%j is refused by %s', async (attributes, id) => {
  const { call } = start();
  expect(await call('POST', prospects, prospect(attributes))).toMatchObject({ status: 422, body: { errors: [{ id }] } });
});

test('writes without the media type of JSON:API, or with include, are refused', async () => {
  const { call } = start();
  const refused = await call('POST', prospects, prospect({ firstName: 'A' }), { 'content-type': 'application/json' });
  expect(refused).toMatchObject({ status: 415, body: { errors: [{ id: 'unsupportedMediaType', details: expect.any(String) }] } });
  expect((await call('POST', `${prospects}?include=owner`, prospect({ firstName: 'A' }))).status).toBe(422);
  expect((await call('GET', '/api/v2/nonsense')).body.errors[0].id).toBe('routeNotFound');
});

test('an address that another prospect has is refused in either form, and freed when that one is deleted', async () => {
  const { call, set } = start();
  await call('POST', prospects, prospect({ emails: ['a@x.test', 'b@x.test'] }));
  const again = () => call('POST', prospects, prospect({ emails: ['B@x.test'] }));
  expect(await again()).toMatchObject({
    status: 422,
    body: { errors: [{ id: 'validationError', detail: 'Contacts email hash has already been taken.' }] },
  });
  set({ duplicate_email: 'duplicate_value_error' });
  expect((await again()).body.errors[0]).toMatchObject({ id: 'validationDuplicateValueError' });
  await call('DELETE', `${prospects}/1`);
  expect((await again()).status).toBe(201);
});

test('prospects are found by address, id, and the time of their change', async () => {
  const { call, clock, set } = start();
  for (const name of ['a', 'b', 'c']) {
    await call('POST', prospects, prospect({ firstName: name, emails: [`${name}@x.test`], externalId: `crm-${name}` }));
    clock.nowMs += 60_000;
  }
  const find = async (query: string) => {
    const { body } = await call('GET', `${prospects}?${query}`);
    return body.data.map(({ id }: { id: number }) => id).join();
  };
  expect(await find('filter[emails]=B@x.test')).toBe('2');
  expect(await find('filter[emails]=none@x.test')).toBe('');
  expect(await find('filter[id]=3,1')).toBe('1,3');
  expect(await find('filter[updatedAt]=2026-05-20T12:01:00Z..inf&sort=-updatedAt')).toBe('3,2');
  expect(await find('filter[updatedAt]=neginf..2026-05-20T12:01:00Z')).toBe('1,2');
  expect(await find('newFilterSyntax=true&filter[updatedAt][gt]=2026-05-20T12:01:00Z')).toBe('3');
  expect((await call('GET', `${prospects}?filter[externalId]=crm-b`)).status).toBe(422);
  set({ unknown_filters: 'ignored' });
  expect(await find('filter[externalId]=crm-b')).toBe('1,2,3');
  set({ external_id_filter: true });
  expect(await find('filter[externalId]=crm-b')).toBe('2');
});

test('lists are paged by a cursor that records changed meanwhile do not shift', async () => {
  const { call } = start();
  for (const name of ['a', 'b', 'c', 'd']) await call('POST', prospects, prospect({ firstName: name }));
  const first = await call('GET', `${prospects}?page[size]=2&sort=firstName&count=true`);
  expect(first.body).toMatchObject({ data: [{ id: 1 }, { id: 2 }], meta: { count: 4 } });
  await call('DELETE', `${prospects}/1`);
  const next = new URL(first.body.links.next);
  const second = await call('GET', `${prospects}${next.search}`);
  expect(second.body.data.map(({ id }: { id: number }) => id)).toEqual([3, 4]);
  expect(second.body.links.next).toBeUndefined();
  expect((await call('GET', prospects)).body.meta).toBeUndefined();
  expect((await call('GET', `${prospects}?page[size]=1001`)).status).toBe(422);
  expect((await call('GET', `${prospects}?page[after]=nonsense`)).status).toBe(422);
  expect((await call('GET', `${prospects}?sort=title&page[size]=1`)).status).toBe(200);
});

test('each refresh uses its token up and gives another; a minute lies between two', async () => {
  const { call, clock } = start();
  const first = await call('POST', '/oauth/token', grant('seed'));
  expect(first.body).toMatchObject({
    token_type: 'Bearer',
    expires_in: 7_200,
    refresh_token: expect.any(String),
    created_at: expect.any(Number),
  });
  const tooSoon = await call('POST', '/oauth/token', grant(first.body.refresh_token));
  expect(tooSoon).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
  clock.nowMs += 60_000;
  expect(await call('POST', '/oauth/token', grant('seed'))).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  clock.nowMs += 60_000;
  expect((await call('POST', '/oauth/token', grant(first.body.refresh_token))).status).toBe(200);
});

test('a refresh token that was used up is taken within the grace that settings give', async () => {
  const { call, set, clock } = start();
  set({ token_interval_ms: 0, rotation_grace_ms: 5_000 });
  await call('POST', '/oauth/token', grant('seed'));
  expect((await call('POST', '/oauth/token', grant('seed'))).status).toBe(200);
  clock.nowMs += 5_000;
  expect((await call('POST', '/oauth/token', grant('seed'))).status).toBe(400);
});

test('an access token lives two hours, or until it is told to expire', async () => {
  const { call, clock, provider } = start();
  const token = async (refresh: string) => (await call('POST', '/oauth/token', grant(refresh))).body.access_token;
  const get = async (access: string) => call('GET', prospects, undefined, { authorization: `Bearer ${access}` });
  const first = await token('seed-1');
  expect((await get(first)).status).toBe(200);
  clock.nowMs += 7_200_000;
  expect(await get(first)).toMatchObject({ status: 401, body: { errors: [{ id: 'expiredAccessToken' }] } });
  const second = await token('seed-2');
  provider.expireTokens?.();
  expect((await get(second)).status).toBe(401);
});

test('the limit is that of a fixed hour, told by headers in whatever form settings choose', async () => {
  const { call, set, clock } = start();
  const resetAt = Date.parse('2026-05-20T13:00:00Z');
  clock.nowMs = resetAt - 1_500;
  set({ requests: 2 });
  expect((await call('GET', prospects)).headers).toEqual({
    'x-ratelimit-limit': '2',
    'x-ratelimit-remaining': '1',
    'x-ratelimit-reset': String(resetAt / 1_000),
  });
  set({ requests: 2, doubled_remaining: true, reset_unit: 'milliseconds' });
  expect((await call('GET', prospects)).headers).toMatchObject({ 'x-ratelimit-remaining': '0, 2', 'x-ratelimit-reset': String(resetAt) });
  const refused = await call('GET', prospects);
  expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
  expect(refused.body.errors[0].detail).toBe('You have exceeded your permitted rate limit of 2; please try again at 2026-05-20T13:00:00.');
  set({ requests: 2, retry_after: 'http_date' });
  expect((await call('GET', prospects)).headers['retry-after']).toBe('Wed, 20 May 2026 13:00:00 GMT');
  set({ requests: 2, retry_after: 'iso' });
  expect((await call('GET', prospects)).headers['retry-after']).toBe('2026-05-20T13:00:00Z');
  clock.nowMs = resetAt;
  expect((await call('GET', prospects)).status).toBe(200);
});

test('told failures are worded as the provider’s own', async () => {
  const { call, fault } = start();
  fault({ error_rate: 1, status: 403, code: 'unauthorizedOauthScope', message: 'no scope' });
  expect(await call('GET', prospects)).toMatchObject({
    status: 403,
    body: { errors: [{ id: 'unauthorizedOauthScope', detail: 'no scope' }] },
  });
  fault({ error_rate: 1, status: 503, retry_after: '2026-05-20T13:00:00Z' });
  expect(await call('GET', prospects)).toMatchObject({
    status: 503,
    body: { errors: [{ id: 'scheduledServerMaintenance' }] },
    headers: { 'retry-after': '2026-05-20T13:00:00Z' },
  });
});

const webhook = (attributes: object) => ({ data: { type: 'webhook', attributes: { url: 'https://www.example.com/', ...attributes } } });

test('a webhook gets the changes it asked for, signed, and shows its secret to nobody', async () => {
  const { call, sent } = start();
  const made = await call(
    'POST',
    '/api/v2/webhooks',
    webhook({ resource: 'prospect', action: 'updated', secret: 'sh', payloadVersion: 2 }),
  );
  expect(made.body.data.attributes).toMatchObject({ active: true, cleanupToken: expect.any(String) });
  expect(JSON.stringify(made.body)).not.toContain('"sh"');
  await call('POST', prospects, prospect({ firstName: 'A', title: 'Boss' }));
  await call('PATCH', `${prospects}/2`, { data: { type: 'prospect', id: 2, attributes: { firstName: 'A', title: 'Queen' } } });
  await call('DELETE', `${prospects}/2`);
  await eventually(() => expect(sent).toHaveLength(1));
  const [message] = sent;
  const text = message?.text ?? '';
  expect(JSON.parse(text)).toMatchObject({
    data: { type: 'prospect', id: 2, attributes: { title: 'Queen' }, beforeUpdate: { title: 'Boss' }, relationships: {} },
    meta: { eventName: 'prospect.updated', jobId: expect.any(String), deliveredAt: expect.any(String) },
  });
  expect(message?.headers).toMatchObject({
    'outreach-webhook-signature': createHmac('sha256', 'sh').update(text).digest('hex'),
    'outreach-webhook-cleanup-token': made.body.data.attributes.cleanupToken,
  });
});

test('any answer to a webhook counts as delivered; where there is none it is sent four times', async () => {
  const answers: (number | undefined)[] = [500];
  const { call, provider, sent } = start(() => answers.shift());
  await call('POST', '/api/v2/webhooks', webhook({ resource: '*' }));
  await call('POST', prospects, prospect({ firstName: 'A' }));
  await call('POST', prospects, prospect({ firstName: 'B' }));
  await eventually(() => expect(provider.webhooks?.()).toMatchObject([{ state: 'delivered' }, { state: 'given_up' }]));
  expect(sent).toHaveLength(5);
});
