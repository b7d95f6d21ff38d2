import { createSign, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { openOrg, startOrg } from '../../../test/support/simulated-org.ts';

const refresh = (token: string) => ({ grant_type: 'refresh_token', client_id: 'a', refresh_token: token });

test('a token says where the API is and when it was made, but not how long it lives', async () => {
  const { logIn, set, api } = startOrg();
  expect(await api('/limits')).toMatchObject({ status: 401 });
  const { status, body } = await logIn();
  expect(status).toBe(200);
  expect(body).toMatchObject({ instance_url: 'http://127.0.0.1:1/salesforce', token_type: 'Bearer', issued_at: '1779278400250' });
  expect(body['id']).toMatch(/\/id\/00D\w{15}\/005\w{15}$/);
  expect(body).not.toHaveProperty('expires_in');
  expect(await api('/limits')).toMatchObject({ status: 200 });
  set({ instance_url: 'https://org.example.com' });
  expect((await logIn()).body['instance_url']).toBe('https://org.example.com');
});

test('a token lives on by being used, and its end is told as an array', async () => {
  const { clock, api, raw, logIn, provider } = await openOrg();
  const expired = { status: 401, body: [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }] };
  for (let hour = 0; hour < 4; hour += 1) {
    clock.nowMs += 3_600_000;
    expect(await api('/limits')).toMatchObject({ status: 200 });
  }
  clock.nowMs += 7_200_000;
  expect(await api('/limits')).toEqual(expired);
  await logIn();
  expect(await api('/limits', { headers: { authorization: 'Bearer other' } })).toEqual(expired);
  expect(await api('/limits', { headers: { authorization: 'Basic eA==' } })).toMatchObject({
    body: [{ errorCode: 'INVALID_AUTH_HEADER' }],
  });
  provider.expireTokens?.();
  expect(await api('/limits')).toEqual(expired);
  expect(await raw('/services/data')).toMatchObject({
    status: 200,
    body: expect.arrayContaining([expect.objectContaining({ version: '60.0' })]),
  });
  expect(await raw('/services/data/v99.0/limits')).toMatchObject({ status: 401 });
  await logIn();
  expect(await raw('/services/data/v99.0/limits')).toMatchObject({ status: 404 });
});

test('clients and refresh tokens are checked as far as they are set', async () => {
  const { logIn, set } = startOrg();
  const client = { grant_type: 'client_credentials', client_id: 'a', client_secret: 'b' };
  set({ client_id: 'a', client_secret: 'b', refresh_tokens: ['r'], username: 'u', password: 'p' });
  expect(await logIn(client)).toMatchObject({ status: 200 });
  expect(await logIn({ ...client, client_id: 'x' })).toMatchObject({ status: 400, body: { error: 'invalid_client_id' } });
  expect(await logIn({ ...client, client_secret: 'x' })).toMatchObject({ status: 400, body: { error: 'invalid_client' } });
  expect(await logIn(refresh('r'))).toMatchObject({ status: 200 });
  expect(await logIn(refresh('x'))).toMatchObject({ body: { error: 'invalid_grant', error_description: 'expired access/refresh token' } });
  expect(await logIn({ ...client, grant_type: 'password', username: 'u', password: 'x' })).toMatchObject({
    body: { error: 'invalid_grant' },
  });
  expect(await logIn({ grant_type: 'device' })).toMatchObject({ body: { error: 'unsupported_grant_type' } });
});

test('refresh tokens rotate when they are told to: the old one ends', async () => {
  const { logIn, set } = startOrg();
  set({ rotate_refresh_tokens: true, refresh_tokens: ['r'] });
  const { body } = await logIn(refresh('r'));
  expect(await logIn(refresh('r'))).toMatchObject({ status: 400 });
  expect(await logIn(refresh(body['refresh_token'] as string))).toMatchObject({ status: 200 });
});

test('an assertion is looked at claim by claim', async () => {
  const { logIn, set, clock } = startOrg();
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const nowS = Math.floor(clock.nowMs / 1_000);
  const good = { iss: 'app', sub: 'u', aud: 'https://login.salesforce.com', exp: nowS + 180 };
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const send = (claims: object, alg = 'RS256') => {
    const content = `${encode({ alg })}.${encode({ ...good, ...claims })}`;
    const assertion = `${content}.${createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url')}`;
    return logIn({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
  };
  const refused = (error: string, error_description: string) => ({ status: 400, body: { error, error_description } });
  set({ public_key: publicKey.export({ type: 'spki', format: 'pem' }), client_id: 'app', username: 'u' });
  expect(await send({})).toMatchObject({ status: 200 });
  expect(await send({ aud: 'http://127.0.0.1:1/salesforce' })).toMatchObject({ status: 200 });
  expect(await send({ aud: 'https://else.example.com' })).toEqual(refused('invalid_grant', 'audience is invalid'));
  expect(await send({ sub: 'x' })).toEqual(refused('invalid_grant', "user hasn't approved this consumer"));
  expect(await send({ iss: 'x' })).toEqual(refused('invalid_client_id', 'client identifier invalid'));
  expect(await send({ exp: nowS - 60 })).toEqual(refused('invalid_grant', 'expired authorization code'));
  expect(await send({ exp: nowS + 300 })).toEqual(refused('invalid_grant', 'invalid assertion'));
  expect(await send({}, 'HS256')).toEqual(refused('invalid_grant', 'invalid assertion'));
  const { publicKey: other } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  set({ public_key: other.export({ type: 'spki', format: 'pem' }) });
  expect(await send({})).toEqual(refused('invalid_grant', 'invalid assertion'));
});

test('calls for tokens are in the log, cost nothing, and are struck only when that is asked for', async () => {
  const { logIn, fault, set, simulator, api } = startOrg();
  set({ daily_max: 1 });
  fault({ error_rate: 1, status: 500 });
  expect(await logIn()).toMatchObject({ status: 200 });
  fault({ error_rate: 1, status: 500, token_calls: true });
  expect(await logIn(refresh('r'))).toMatchObject({ status: 500, body: { error: 'UNKNOWN_EXCEPTION' } });
  const grants = simulator.log.list(-1, 10).map((call) => call.items.map((item) => [item.operation, item.recordId]));
  expect(grants).toEqual([[['token', 'client_credentials']], [['token', 'refresh_token']]]);
  fault({});
  expect(await api('/limits')).toMatchObject({ status: 200, headers: { 'sforce-limit-info': 'api-usage=1/1' } });
});
