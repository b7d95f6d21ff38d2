import { describe, expect, it } from 'vitest';
import { useProviderStore } from '../../../test/support/use-provider-store.ts';
import type { RedisClient } from '../redis/connection.ts';
import { tenantField } from './provider-field.ts';
import { createProviderRecords } from './provider-records.ts';
import { createSealer } from './seal.ts';
import type { ProviderStore } from './store.ts';
import type { StoredTenant, TenantWritten } from './tenant-store.ts';
import { tokenPlaceOf } from './token-place.ts';

const crm = {
  name: 'crm',
  kind: 'hubspot',
  base_url: 'https://api.hubapi.com',
  auth_config: { type: 'bearer', token: 'shared-token' },
  batch: { max_records: 50, max_wait_ms: 5 },
  options: { lookup_property: 'mail', default_country: 'DE' },
  timeout_ms: 5_000,
};
const own = { auth_config: { type: 'bearer', token: 'acme-token' }, rate_limit: 60, options: { default_country: 'FR' } };

let redis: RedisClient;
let store: ProviderStore;

const { keys, open, hear } = useProviderStore('tenants:', async (opened, client) => {
  store = opened;
  redis = client;
  await store.create(crm);
});

function ready(stored: StoredTenant | undefined) {
  if (stored?.status !== 'ready') throw new Error(`not ready: ${JSON.stringify(stored)}`);
  return stored;
}

function written(result: TenantWritten) {
  if (result.status !== 'created' && result.status !== 'replaced') throw new Error(JSON.stringify(result));
  return ready(result.tenant);
}

describe('what a tenant has', () => {
  it('lies over what the provider has, as an account of its own', async () => {
    const { config, view } = written(await store.putTenant('crm', 'acme', own));
    expect(config).toMatchObject({
      name: 'crm',
      account: 'crm:acme',
      baseUrl: 'https://api.hubapi.com',
      auth: { token: 'acme-token' },
      limits: [{ requests: 60, perMs: 60_000 }],
      batch: { maxRecords: 50, maxWaitMs: 5 },
      options: { lookup_property: 'mail', default_country: 'FR' },
      timeoutMs: 5_000,
    });
    expect(config.limits).toHaveLength(1);
    expect(view).toMatchObject({ ...own, provider: 'crm', tenant: 'acme', version: 1, auth_config: { type: 'bearer', token: '***' } });
    expect(view).not.toHaveProperty('timeout_ms');
    expect(ready(await open().getTenant('crm', 'acme')).config).toEqual(config);
  });

  it('has members of its own of a batch, and the provider’s others', async () => {
    expect(written(await store.putTenant('crm', 'acme', { batch: { max_records: 7 } })).config.batch).toEqual({
      maxRecords: 7,
      maxWaitMs: 5,
    });
  });

  it('may be nothing but an account', async () => {
    expect(written(await store.putTenant('crm', 'acme', {})).config).toMatchObject({
      account: 'crm:acme',
      auth: { token: 'shared-token' },
    });
  });

  it('changes with the provider', async () => {
    await store.putTenant('crm', 'acme', own);
    const before = ready(await store.getTenant('crm', 'acme')).config;
    await store.patch('crm', { timeout_ms: 99, options: { lookup_property: 'other' }, auth_config: { type: 'bearer', token: 'rotated' } });
    await store.setPaused('crm', true);
    const after = ready(await store.getTenant('crm', 'acme')).config;
    expect(after).toMatchObject({
      timeoutMs: 99,
      isPaused: true,
      auth: { token: 'acme-token' },
      options: { lookup_property: 'other', default_country: 'FR' },
    });
    expect(after.version).toBeGreaterThan(before.version);
  });

  it('is sealed, bound to provider and tenant', async () => {
    await store.putTenant('crm', 'acme', own);
    const text = String(await redis.hget(keys.providers, 'crm/acme'));
    expect(text).not.toContain('acme-token');
    await store.create({ ...crm, name: 'erp' });
    for (const field of ['crm/thief', 'erp/acme']) await redis.hset(keys.providers, field, text);
    for (const [name, tenant] of [
      ['crm', 'thief'],
      ['erp', 'acme'],
    ] as const)
      expect(await store.getTenant(name, tenant)).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('another') });
    expect((await store.getTenant('crm', 'acme'))?.status).toBe('ready');
  });

  it('is found under any name that a tenant may have, and is no provider', async () => {
    for (const tenant of ['a/b', '{x}', 'Ümläut & Co', ':version', '%41']) await store.putTenant('crm', tenant, { rate_limit: 5 });
    expect((await store.listTenants('crm')).map((stored) => stored.tenant)).toEqual(
      ['a/b', '{x}', 'Ümläut & Co', ':version', '%41'].sort((a, b) => (a < b ? -1 : 1)),
    );
    expect((await store.list()).map(({ name }) => name)).toEqual(['crm']);
    expect(ready(await store.getTenant('crm', 'a/b')).config.account).toBe('crm:a/b');
    expect(await store.get('crm/a%2Fb')).toBeUndefined();
    expect(await store.remove('crm/a%2Fb')).toEqual({ status: 'not_found' });
    expect(await store.put('crm/acme', crm)).toMatchObject({ status: 'invalid' });
  });
});

describe('writing', () => {
  it('put creates, then replaces; patch changes, and null gives back', async () => {
    expect((await store.putTenant('crm', 'acme', own)).status).toBe('created');
    expect((await store.putTenant('crm', 'acme', { rate_limit: 5 })).status).toBe('replaced');
    expect(ready(await store.getTenant('crm', 'acme')).config.auth).toMatchObject({ token: 'shared-token' });
    await store.patchTenant('crm', 'acme', { auth_config: own.auth_config, max_concurrency: 3 });
    const patched = written(await store.patchTenant('crm', 'acme', { limits: [{ requests: 1, per: '1s' }], max_concurrency: null }));
    expect(patched.config).toMatchObject({
      limits: [{ requests: 1, perMs: 1_000 }],
      maxConcurrency: 50,
      auth: { token: 'acme-token' },
    });
    expect(patched.view.rate_limit).toBeUndefined();
  });

  it('what is shown can be put back unchanged, and "***" keeps the tenant’s secret only', async () => {
    const before = written(await store.putTenant('crm', 'acme', own));
    expect(written(await store.putTenant('crm', 'acme', before.view)).config.auth).toEqual(before.config.auth);
    expect(await store.putTenant('crm', 'rival', { auth_config: { type: 'bearer', token: '***' } })).toMatchObject({
      status: 'invalid',
      errors: [{ path: 'auth_config.token' }],
    });
  });

  it.each([
    ['mapping', { mapping: { a: 'b' } }],
    ['kind', { kind: 'http' }],
    ['timeout_ms', { timeout_ms: 5 }],
    ['base_url', { base_url: 'http://127.0.0.1' }],
    ['auth_config.type', { auth_config: { type: 'basic', username: 'u', password: 'p' } }],
    ['burst_limit', { burst_limit: 5 }],
    ['limits', { limits: [], rate_limit: 5 }],
    ['batch.max_records', { batch: { max_records: 101 } }],
    ['batch.path', { batch: { path: '/b' } }],
    ['options.colour', { options: { colour: 'red' } }],
    ['max_concurrency', { max_concurrency: 0 }],
    ['', []],
  ])('refuses what is not valid alone or with the provider: %s', async (path, input) => {
    expect(await store.putTenant('crm', 'acme', input)).toMatchObject({ status: 'invalid', errors: [{ path }] });
    expect(await redis.hexists(keys.providers, 'crm/acme')).toBe(0);
  });

  it('says at once what is wrong alone, with the provider, and of what is to be kept; nothing that a fault only suggests', async () => {
    const input = {
      colour: 'red',
      base_url: 'http://127.0.0.1',
      max_concurrency: 0,
      auth_config: { type: 'bearer', token: '***' },
      batch: { max_records: 101 },
    };
    const refused = await store.putTenant('crm', 'acme', input);
    const paths = refused.status === 'invalid' ? refused.errors.map(({ path }) => path).sort() : refused;
    expect(paths).toEqual(['auth_config.token', 'base_url', 'batch.max_records', 'colour', 'max_concurrency']);
    expect(await store.putTenant('crm', 'acme', { limits: 'none', burst_limit: 5, rate_limit: 0 })).toMatchObject({
      errors: [{ path: 'rate_limit' }, { path: 'limits' }],
    });
  });

  it('refuses the tenant that has what the provider has, and names no tenant can have', async () => {
    for (const tenant of ['default', '', 'x'.repeat(65), '\ud800'])
      expect(await store.putTenant('crm', tenant, own)).toMatchObject({ status: 'invalid', errors: [{ path: 'tenant' }] });
  });

  it('refuses a tenant of a provider that is not there, or gone since', async () => {
    expect(await store.putTenant('nothing', 'acme', own)).toEqual({ status: 'unknown_provider' });
    expect(await store.patchTenant('nothing', 'acme', {})).toEqual({ status: 'unknown_provider' });
    expect(await store.patchTenant('crm', 'acme', {})).toEqual({ status: 'not_found' });
    const [, late] = await Promise.all([store.remove('crm'), store.putTenant('crm', 'acme', own)]);
    expect(late.status).toBe('unknown_provider');
    expect(await redis.hkeys(keys.providers)).toEqual([':version']);
  });

  it('never outlives the provider, whenever that was removed', async () => {
    const records = createProviderRecords({ redis, keys, now: Date.now });
    const field = tenantField('crm', 'acme');
    expect((await records.write(field, undefined, { paused: false, provider: {} })).status).toBe('written');
    expect((await records.write(field, undefined, { paused: false, provider: {} })).status).toBe('conflict');
    await store.remove('crm');
    expect(await records.write(field, undefined, { paused: false, provider: {} })).toEqual({ status: 'orphan' });
    expect(await redis.hexists(keys.providers, field)).toBe(0);
  });

  it('refuses credentials without a key to seal them', async () => {
    await store.put('crm', { ...crm, auth_config: { type: 'none' }, kind: 'http', options: undefined });
    const keyless = open({ sealer: createSealer(undefined) });
    expect(await keyless.putTenant('crm', 'acme', { auth_config: own.auth_config })).toEqual({ status: 'no_key' });
    expect((await keyless.putTenant('crm', 'acme', { rate_limit: 5 })).status).toBe('created');
  });

  it('loses no change among many writers', async () => {
    await store.putTenant('crm', 'acme', own);
    await Promise.all([
      ...Array.from({ length: 8 }, (_, i) => store.patchTenant('crm', 'acme', { max_concurrency: i + 1 })),
      store.patchTenant('crm', 'acme', { base_url: 'https://eu.hubapi.com' }),
    ]);
    const { config, view } = ready(await store.getTenant('crm', 'acme'));
    expect(config.baseUrl).toBe('https://eu.hubapi.com');
    expect(view.version).toBe(10);
    expect(await store.patchTenant('crm', 'acme', {}, { ifVersion: 9 })).toEqual({ status: 'conflict', version: 10 });
  });
});

describe('a change of the provider', () => {
  it('is refused where it would leave a tenant with what is not valid', async () => {
    await store.putTenant('crm', 'acme', { batch: { max_records: 100 }, options: { lookup_property: 'x' } });
    expect(await store.put('crm', { ...crm, kind: 'outreach', batch: undefined, options: {} })).toMatchObject({
      status: 'invalid',
      errors: expect.arrayContaining([expect.objectContaining({ path: 'tenants.acme.batch' })]),
    });
    await store.removeTenant('crm', 'acme');
    expect((await store.put('crm', { ...crm, kind: 'outreach', batch: undefined, options: {} })).status).toBe('replaced');
  });

  it('with credentials of a type that another version knows is changed with new ones only', async () => {
    await store.putTenant('crm', 'acme', own);
    const text = (await redis.hget(keys.providers, 'crm/acme')) as string;
    await redis.hset(keys.providers, 'crm/acme', text.replace('"type":"bearer"', '"type":"mtls"'));
    expect(await store.patchTenant('crm', 'acme', { max_concurrency: 5 })).toEqual({
      status: 'invalid',
      errors: [{ path: 'auth_config.type', message: expect.stringContaining('bearer') }],
    });
    expect((await store.patchTenant('crm', 'acme', { auth_config: own.auth_config })).status).toBe('replaced');
  });

  it('is not held up by what cannot be read of a tenant', async () => {
    await redis.hset(keys.providers, 'crm/acme', 'damaged');
    expect((await store.patch('crm', { timeout_ms: 5 })).status).toBe('replaced');
    expect(await store.getTenant('crm', 'acme')).toMatchObject({ status: 'unreadable' });
    expect(await store.patchTenant('crm', 'acme', { rate_limit: 5 })).toMatchObject({ status: 'invalid' });
    expect((await store.putTenant('crm', 'acme', { rate_limit: 5 })).status).toBe('replaced');
  });
});

describe('removing', () => {
  it('a tenant leaves the provider and other tenants', async () => {
    for (const tenant of ['acme', 'acme2']) await store.putTenant('crm', tenant, own);
    expect(await store.removeTenant('crm', 'acme')).toEqual({ status: 'removed' });
    expect(await store.removeTenant('crm', 'acme')).toEqual({ status: 'not_found' });
    expect(await redis.hkeys(keys.providers)).toEqual(expect.arrayContaining(['crm', 'crm/acme2']));
  });

  it('a tenant forgets the tokens of its own account, and none that others use', async () => {
    const shared = {
      type: 'oauth2_refresh_token',
      token_url: 'https://api.hubapi.com/oauth/v1/token',
      client_id: 'c',
      client_secret: 's3cret',
      refresh_token: 'shared',
    } as const;
    const { type, client_id: clientId, client_secret: clientSecret, token_url: tokenUrl } = shared;
    const placeOf = (refreshToken: string) => tokenPlaceOf('', { type, tokenUrl, clientId, clientSecret, refreshToken });
    await store.put('crm', { ...crm, auth_config: shared });
    await store.putTenant('crm', 'acme', { auth_config: { ...shared, refresh_token: 'own' } });
    await store.putTenant('crm', 'limited', { rate_limit: 60 });
    for (const place of ['own', 'shared'].map(placeOf)) {
      await redis.hset(keys.token(place), 'token', 'sealed');
      await redis.set(keys.refreshToken(place), 'sealed');
    }
    const held = () => Promise.all(['own', 'shared'].map((token) => redis.get(keys.refreshToken(placeOf(token)))));
    expect(await store.removeTenant('crm', 'limited')).toEqual({ status: 'removed' });
    expect(await held(), 'the provider goes on with what the tenant had of it').toEqual(['sealed', 'sealed']);
    expect(await store.removeTenant('crm', 'acme')).toEqual({ status: 'removed' });
    expect(await held()).toEqual(['removed', 'sealed']);
    expect(await redis.exists(keys.token(placeOf('own')))).toBe(0);
  });

  it('a provider forgets the tokens of its tenants’ accounts too', async () => {
    await store.create({ ...crm, name: 'other', kind: 'http', batch: undefined, options: undefined });
    const own = { type: 'oauth2_client_credentials', token_url: 'https://api.example.com/token', client_id: 'c', client_secret: 's3cret' };
    expect((await store.putTenant('other', 'acme', { auth_config: own })).status).toBe('created');
    await redis.hset(keys.token('other:acme'), 'token', 'sealed');
    await store.remove('other');
    expect(await redis.exists(keys.token('other:acme'))).toBe(0);
  });

  it('a provider takes its tenants along, and no other’s, and tells of each', async () => {
    await store.create({ ...crm, name: 'crm2' });
    for (const [name, tenant] of [
      ['crm', 'acme'],
      ['crm', 'b/c'],
      ['crm2', 'acme'],
    ] as const)
      await store.putTenant(name, tenant, own);
    const heard = await hear(keys.providersChanged);
    await redis.script('FLUSH');
    await store.remove('crm');
    expect([...(await heard())].sort()).toEqual(['crm', 'crm/acme', 'crm/b%2Fc']);
    expect((await redis.hkeys(keys.providers)).sort()).toEqual([':version', 'crm2', 'crm2/acme']);
  });
});
