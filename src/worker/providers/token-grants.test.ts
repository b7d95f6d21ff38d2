import { generateKeyPairSync } from 'node:crypto';
import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import { fingerprintOf, requestFor, type SalesforceJwt, secretsOf, type TokenRequest } from './token-grants.ts';

const nowMs = Date.parse('2026-05-01T12:00:00.700Z');
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

const refresh = {
  type: 'oauth2_refresh_token',
  tokenUrl: 'https://api.example.com/oauth/token',
  clientId: 'c',
  clientSecret: 's3cret&',
  refreshToken: 'r0',
} as const;
const jwt: SalesforceJwt = {
  type: 'salesforce_jwt',
  loginUrl: 'https://login.salesforce.com/',
  clientId: 'key',
  username: 'a@b.c',
  privateKey: pkcs8,
};

async function granted(...args: Parameters<typeof requestFor>): Promise<TokenRequest> {
  const result = await requestFor(...args);
  if (result.status === 'refused') throw new Error(result.message);
  return result.request;
}
const fieldsOf = ({ form }: TokenRequest) => Object.fromEntries(form);

describe('a request by refresh token', () => {
  it('has the configured one until another has taken its place', async () => {
    const common = { grant_type: 'refresh_token', client_id: 'c', client_secret: 's3cret&' };
    expect(fieldsOf(await granted(refresh, undefined, nowMs))).toEqual({ ...common, refresh_token: 'r0' });
    const next = await granted({ ...refresh, redirectUri: 'https://us.example.com/back' }, 'r1', nowMs);
    expect(next.url).toBe('https://api.example.com/oauth/token');
    expect(fieldsOf(next)).toEqual({ ...common, refresh_token: 'r1', redirect_uri: 'https://us.example.com/back' });
    expect(next.secrets).toEqual(['s3cret&', 'r1']);
  });
});

describe('a request by assertion', () => {
  it('is signed, and ends within three minutes', async () => {
    const request = await granted(jwt, undefined, nowMs);
    expect(request.url).toBe('https://login.salesforce.com/services/oauth2/token');
    const { grant_type, assertion = '' } = fieldsOf(request);
    expect(grant_type).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, { currentDate: new Date(nowMs) });
    expect(protectedHeader.alg).toBe('RS256');
    expect(payload).toEqual({ iss: 'key', sub: 'a@b.c', aud: 'https://login.salesforce.com', exp: Math.floor(nowMs / 1_000) + 150 });
    expect(request.secrets).toEqual([assertion]);
  });

  it.each<[string, Partial<SalesforceJwt>, string]>([
    ['a sandbox', { loginUrl: 'https://test.salesforce.com' }, 'https://test.salesforce.com'],
    ['My Domain', { loginUrl: 'https://acme.my.salesforce.com' }, 'https://login.salesforce.com'],
    ['a site of one’s own', { audience: 'https://site.example.com' }, 'https://site.example.com'],
  ])('is meant for the right audience: %s', async (_, part, audience) => {
    const { assertion = '' } = fieldsOf(await granted({ ...jwt, ...part }, undefined, nowMs));
    await expect(jwtVerify(assertion, publicKey, { currentDate: new Date(nowMs), audience })).resolves.toBeDefined();
  });

  it('takes a key in either form', async () => {
    const pkcs1 = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
    const { assertion = '' } = fieldsOf(await granted({ ...jwt, privateKey: pkcs1 }, undefined, nowMs));
    await expect(jwtVerify(assertion, publicKey, { currentDate: new Date(nowMs) })).resolves.toBeDefined();
  });

  it.each([
    ['no key at all', 'nonsense'],
    ['a small one', generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['one of another kind', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  ])('is refused, without a word of the key, for %s', async (_, key) => {
    const result = await requestFor({ ...jwt, privateKey: key }, undefined, nowMs);
    expect(result).toEqual({ status: 'refused', message: expect.stringContaining('RSA key of 2048 bits') });
  });
});

describe('what stands for credentials', () => {
  it('changes with everything that is configured, and not with the order of fields', () => {
    const { type, ...rest } = refresh;
    expect(fingerprintOf({ ...rest, type })).toBe(fingerprintOf(refresh));
    for (const changed of [{ tokenUrl: 'https://x' }, { clientSecret: 'x' }, { refreshToken: 'x' }, { redirectUri: 'x' }])
      expect(fingerprintOf({ ...refresh, ...changed })).not.toBe(fingerprintOf(refresh));
  });

  it('names a place by the refresh token, which may rotate, or else by the account', () => {
    const place = tokenPlaceOf('crm', refresh);
    expect(tokenPlaceOf('crm:acme', refresh)).toBe(place);
    expect(tokenPlaceOf('crm', { ...refresh, clientSecret: 'new' })).toBe(place);
    expect(tokenPlaceOf('crm', { ...refresh, refreshToken: 'new' })).not.toBe(place);
    expect(tokenPlaceOf('crm:acme', jwt)).toBe('crm:acme');
  });

  it('is never a secret', () => {
    expect(secretsOf(refresh)).toEqual(['s3cret&', 'r0']);
    expect(secretsOf(jwt)).toEqual([pkcs8]);
    expect(fingerprintOf(refresh) + tokenPlaceOf('crm', refresh)).not.toContain('s3cret');
  });
});
