import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createProviderKinds } from './kinds.ts';
import { maskSecrets, type ParseOptions, parseProvider } from './schema.ts';

const options: ParseOptions = { kinds: createProviderKinds(), network: { allowPrivateNetworks: false } };
const salesforce = { name: 'salesforce', base_url: 'https://acme.my.salesforce.com' };

function pemOf(bits: number, format: 'pkcs1' | 'pkcs8' = 'pkcs8'): string {
  return generateKeyPairSync('rsa', {
    modulusLength: bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: format, format: 'pem' },
  }).privateKey;
}
const pem = pemOf(2_048);
const jwt = {
  type: 'salesforce_jwt' as const,
  login_url: 'https://login.salesforce.com/',
  client_id: 'consumer',
  username: 'ada@example.com',
  private_key: pem,
};
const refresh = {
  type: 'oauth2_refresh_token' as const,
  token_url: 'https://api.example.com/oauth/token?x=1',
  client_id: 'id',
  client_secret: 'secret-1',
  refresh_token: 'refresh-1',
};

function parse(auth: object, more: Partial<ParseOptions> = {}) {
  return parseProvider({ ...salesforce, auth_config: auth }, { ...options, ...more });
}

function valid(auth: object, more: Partial<ParseOptions> = {}) {
  const parsed = parse(auth, more);
  if (parsed.status === 'invalid') throw new Error(JSON.stringify(parsed.errors));
  return parsed;
}

function pathsOf(auth: object): string[] {
  const parsed = parse(auth);
  return parsed.status === 'invalid' ? parsed.errors.map(({ path }) => path) : [];
}

describe('salesforce_jwt', () => {
  it('is read with its login URL without a slash at its end', () => {
    expect(valid({ ...jwt, audience: 'https://test.salesforce.com' }).config.auth).toEqual({
      type: 'salesforce_jwt',
      loginUrl: 'https://login.salesforce.com',
      clientId: 'consumer',
      username: 'ada@example.com',
      privateKey: pem,
      audience: 'https://test.salesforce.com',
    });
    expect(valid(jwt).config.auth).not.toHaveProperty('audience');
  });

  it('takes an RSA key as PKCS#1 too', () => {
    expect(pathsOf({ ...jwt, private_key: pemOf(2_048, 'pkcs1') })).toEqual([]);
  });

  it('refuses what cannot sign RS256', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const encrypted = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'p',
    });
    for (const private_key of [
      'text',
      pem.slice(0, 400),
      other.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      other.publicKey.export({ type: 'spki', format: 'pem' }),
      encrypted,
      pemOf(1_024),
    ]) {
      expect(pathsOf({ ...jwt, private_key })).toEqual(['auth_config.private_key']);
    }
  });

  it('has its login URL checked like base_url', () => {
    for (const login_url of ['http://127.0.0.1', 'ftp://x.example.com', 'https://login.salesforce.com/?a=b', 'nowhere'])
      expect(pathsOf({ ...jwt, login_url })).toEqual(['auth_config.login_url']);
  });

  it('is not for the kind http', () => {
    const parsed = parseProvider({ name: 'crm', base_url: 'https://a.example.com', auth_config: jwt }, options);
    expect(parsed).toMatchObject({ status: 'invalid', errors: [{ path: 'auth_config.type' }] });
  });
});

it('oauth2_refresh_token is read, for the kind http too', () => {
  const { type, token_url: tokenUrl, client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = refresh;
  const read = { type, tokenUrl, clientId, clientSecret, refreshToken };
  expect(valid(refresh).config.auth).toEqual(read);
  expect(valid({ ...refresh, redirect_uri: 'https://a.example.com/back' }).config.auth).toEqual({
    ...read,
    redirectUri: 'https://a.example.com/back',
  });
  expect(parseProvider({ name: 'crm', base_url: 'https://a.example.com', auth_config: refresh }, options).status).toBe('valid');
});

describe('their secrets', () => {
  it('are masked for people', () => {
    expect(maskSecrets(valid(jwt).wire).auth_config).toEqual({ ...jwt, private_key: '***' });
    expect(maskSecrets(valid(refresh).wire).auth_config).toEqual({ ...refresh, client_secret: '***', refresh_token: '***' });
  });

  it('are kept, each by itself, when they come back masked', () => {
    expect(valid({ ...jwt, private_key: '***', username: 'b' }, { keptAuth: jwt }).config.auth).toMatchObject({
      privateKey: pem,
      username: 'b',
    });
    expect(valid({ ...refresh, client_secret: '***', refresh_token: 'refresh-2' }, { keptAuth: refresh }).config.auth).toMatchObject({
      clientSecret: 'secret-1',
      refreshToken: 'refresh-2',
    });
  });

  it('are in no error', () => {
    const text = JSON.stringify([parse({ ...jwt, login_url: 'x', private_key: `${pem}x` }), parse({ ...refresh, client_id: 5 })]);
    expect(text).toContain('client_id');
    for (const secret of [pem.slice(40, 80), 'secret-1', 'refresh-1']) expect(text).not.toContain(secret);
  });
});
