import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { storedAt, useProviderStore } from '../../../test/support/use-provider-store.ts';
import type { RedisClient } from '../redis/connection.ts';
import { createKeys } from '../redis/keys.ts';
import { createSealer } from './seal.ts';
import type { ProviderStore, StoredProvider, Written } from './store.ts';
import { tokenPlaceOf } from './token-place.ts';

const crm = { name: 'crm', base_url: 'https://api.example.com', auth_config: { type: 'bearer', token: 'open-sesame' } };

const client = {
  base_url: 'https://api.example.com',
  auth_config: { token_url: 'https://api.example.com/token', client_id: 'c', client_secret: 's3cret' },
};
const rotating = {
  ...client,
  name: 'rotating',
  auth_config: { ...client.auth_config, type: 'oauth2_refresh_token', refresh_token: 'r0' },
};

let redis: RedisClient;
let store: ProviderStore;

const { keys, open, hear } = useProviderStore('store:', (opened, client) => {
  store = opened;
  redis = client;
});

function placeOf({ name, auth_config: auth }: typeof rotating): string {
  const { token_url: tokenUrl, client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = auth;
  return tokenPlaceOf(name, { type: 'oauth2_refresh_token', tokenUrl, clientId, clientSecret, refreshToken });
}

/** As workers leave them. */
async function putTokens(place: string): Promise<void> {
  await redis.hset(keys.token(place), 'token', 'sealed access token', 'version', 'v1');
  await redis.set(keys.refreshToken(place), 'sealed refresh token');
}

/** The keys of tokens that hold a text with this word. */
async function keysWith(word: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys(keys.token('*').replace(/[{}]/g, '?'))) {
    const held = (await redis.type(key)) === 'hash' ? JSON.stringify(await redis.hgetall(key)) : await redis.get(key);
    if (held?.includes(word)) found.push(key);
  }
  return found;
}

function ready(stored: StoredProvider | undefined) {
  if (stored?.status !== 'ready') throw new Error(`not ready: ${JSON.stringify(stored)}`);
  return stored;
}

function written(result: Written) {
  if (result.status !== 'created' && result.status !== 'replaced') throw new Error(JSON.stringify(result));
  return ready(result.provider);
}

describe('create', () => {
  it('stores the configuration, its secrets sealed', async () => {
    const created = written(await store.create(crm));
    expect(created.config).toMatchObject({
      name: 'crm',
      version: 1,
      createdAt: storedAt,
      isPaused: false,
      auth: { type: 'bearer', token: 'open-sesame' },
    });
    expect(created.view).toMatchObject({
      version: 1,
      paused: false,
      created_at: storedAt,
      auth_config: { token: '***' },
    });
    const text = String(await redis.hget(keys.providers, 'crm'));
    expect(text).not.toContain('open-sesame');
    expect(text).toMatch(/^\{"version":1,/);
    expect(ready(await open().get('crm')).config).toEqual(created.config);
  });

  it('refuses a name that is taken, and changes nothing', async () => {
    await store.create(crm);
    expect(await store.create({ ...crm, base_url: 'https://other.example.com' })).toEqual({ status: 'conflict', version: 1 });
    expect(ready(await store.get('crm')).config.baseUrl).toBe('https://api.example.com');
    expect(await store.countChanges()).toBe(1);
  });

  it('gives a name to one of many who want it at once', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, () => store.create(crm)));
    expect(results.filter((result) => result.status === 'created')).toHaveLength(1);
    expect(results.filter((result) => result.status === 'conflict')).toHaveLength(19);
  });

  it('refuses what is not valid', async () => {
    expect(await store.create({ ...crm, timeout_ms: 0 })).toMatchObject({ status: 'invalid', errors: [{ path: 'timeout_ms' }] });
    expect(await store.create({ ...crm, name: ':version' })).toMatchObject({ status: 'invalid', errors: [{ path: 'name' }] });
    expect(await store.create('text')).toMatchObject({ status: 'invalid' });
    expect(await redis.exists(keys.providers)).toBe(0);
  });

  it('refuses credentials without a key, but not a provider without credentials', async () => {
    const keyless = open({ sealer: createSealer(undefined) });
    expect(await keyless.create(crm)).toEqual({ status: 'no_key' });
    expect(written(await keyless.create({ ...crm, auth_config: { type: 'none' } })).config.auth).toEqual({ type: 'none' });
  });

  it('announces the change', async () => {
    const heard = await hear(keys.providersChanged);
    await store.create(crm);
    await store.setPaused('crm', true);
    await store.remove('crm');
    expect(await heard()).toEqual(['crm', 'crm', 'crm']);
  });
});

describe('put and patch', () => {
  it('put creates, then replaces, the version going up by one', async () => {
    expect(await store.put('crm', { base_url: 'https://a.example.com', name: 'ignored' })).toMatchObject({ status: 'created' });
    const replaced = await store.put('crm', { base_url: 'https://b.example.com' });
    expect(replaced.status).toBe('replaced');
    expect(written(replaced).config).toMatchObject({ name: 'crm', version: 2, baseUrl: 'https://b.example.com' });
  });

  it('what get shows can be put back unchanged: secrets and settings stay', async () => {
    const before = written(await store.create({ ...crm, rate_limit: 60, batch: { path: '/b' }, retry: { max_attempts: 3 } }));
    const after = written(await store.put('crm', before.view));
    expect(after.config).toEqual({ ...before.config, version: 2 });
  });

  it('patch changes the fields that are given and keeps the others, secrets too', async () => {
    await store.create({ ...crm, timeout_ms: 5_000, rate_limit: 60 });
    const after = written(await store.patch('crm', { max_concurrency: 7, timeout_ms: null }));
    expect(after.config).toMatchObject({
      maxConcurrency: 7,
      timeoutMs: 10_000,
      auth: { token: 'open-sesame' },
      limits: [{ requests: 60 }],
    });
  });

  it('patch with one form of limits takes the other back', async () => {
    await store.create({ ...crm, rate_limit: 60 });
    const full = written(await store.patch('crm', { limits: [{ requests: 5, per: '1s' }] }));
    expect(full.config.limits).toEqual([{ requests: 5, perMs: 1_000, burst: 1 }]);
    expect(full.view.rate_limit).toBeUndefined();
    expect(written(await store.patch('crm', { rate_limit: 120 })).config.limits).toEqual([{ requests: 120, perMs: 60_000, burst: 1 }]);
  });

  it('patch cannot rename, pause or set a version', async () => {
    await store.create(crm);
    const after = written(await store.patch('crm', { name: 'other', paused: true, version: 9 }));
    expect(after.config).toMatchObject({ name: 'crm', isPaused: false, version: 2, createdAt: storedAt });
  });

  it('patch of what is not there is told', async () => {
    expect(await store.patch('crm', {})).toEqual({ status: 'not_found' });
    expect(await store.setPaused('crm', true)).toEqual({ status: 'not_found' });
  });

  it('no change is lost among many writers', async () => {
    await store.create(crm);
    const changes = Array.from({ length: 8 }, (_, index) => ({ mapping: undefined, timeout_ms: index + 1 }));
    await Promise.all([...changes.map((change) => store.patch('crm', change)), store.patch('crm', { coalesce: false })]);
    const { config } = ready(await store.get('crm'));
    expect(config.coalesce).toBe(false);
    expect(config.version).toBe(10);
    expect(await store.countChanges()).toBe(10);
  });

  it('a version that was asked for must be the stored one', async () => {
    await store.create(crm);
    expect(await store.patch('crm', { coalesce: false }, { ifVersion: 2 })).toEqual({ status: 'conflict', version: 1 });
    expect((await store.patch('crm', { coalesce: false }, { ifVersion: 1 })).status).toBe('replaced');
  });

  it('a paused provider stays paused through changes', async () => {
    await store.create(crm);
    expect(written(await store.setPaused('crm', true)).config.isPaused).toBe(true);
    expect(written(await store.patch('crm', { coalesce: false })).config.isPaused).toBe(true);
    expect(written(await store.setPaused('crm', false)).config).toMatchObject({ isPaused: false, auth: { token: 'open-sesame' } });
  });
});

describe('remove', () => {
  it('removes once', async () => {
    await store.create(crm);
    expect(await store.remove('crm')).toEqual({ status: 'removed' });
    expect(await store.remove('crm')).toEqual({ status: 'not_found' });
    expect(await store.get('crm')).toBeUndefined();
    expect(await store.countChanges()).toBe(2);
  });

  it('forgets the tokens that the fleet got with the credentials', async () => {
    const jwt = { ...client, name: 'direct', auth_config: { ...client.auth_config, type: 'oauth2_client_credentials' } };
    await store.create(rotating);
    await store.create(jwt);
    const places = [placeOf(rotating), 'direct'];
    for (const place of places) await putTokens(place);
    for (const name of ['rotating', 'direct']) expect(await store.remove(name)).toEqual({ status: 'removed' });
    for (const place of places) {
      expect(await redis.exists(keys.token(place))).toBe(0);
      for (const key of [keys.tokenLock(place), keys.refreshToken(place)]) {
        expect(await redis.get(key), 'a mark').toBe('removed');
        expect(await redis.pttl(key), 'that goes by itself').toBeGreaterThan(0);
      }
    }
    expect(await keysWith('sealed')).toEqual([]);
  });

  it('keeps the tokens that another provider gets with the same refresh token, until that is removed too', async () => {
    await store.create(rotating);
    await store.create({ ...rotating, name: 'twin' });
    await putTokens(placeOf(rotating));
    await store.remove('rotating');
    expect(await redis.get(keys.refreshToken(placeOf(rotating)))).toBe('sealed refresh token');
    await store.remove('twin');
    expect(await keysWith('sealed')).toEqual([]);
  });

  it('writes nothing for credentials that need no token', async () => {
    await store.create(crm);
    await store.remove('crm');
    expect(await redis.keys('*')).toEqual([keys.providers]);
  });

  it('cannot be pointed at the count of changes', async () => {
    await store.create(crm);
    expect(await store.get(':version')).toBeUndefined();
    expect(await store.remove(':version')).toEqual({ status: 'not_found' });
    expect(await store.countChanges()).toBe(1);
  });
});

describe('what cannot be read', () => {
  it('is listed with the reason, and costs the others nothing', async () => {
    await open({ sealer: createSealer(randomBytes(32)) }).create({ ...crm, name: 'foreign' });
    await redis.hset(keys.providers, 'damaged', '{"version":3,"provider":');
    await store.create(crm);
    expect(await store.list()).toMatchObject([
      { name: 'crm', status: 'ready' },
      { name: 'damaged', status: 'unreadable', reason: expect.stringContaining('damaged') },
      { name: 'foreign', status: 'unreadable', reason: expect.stringContaining('another SLUICE_ENCRYPTION_KEY') },
    ]);
  });

  it('with credentials of a type that another version knows is changed with new ones only', async () => {
    await store.create({ ...crm, auth_config: { type: 'none' } });
    const text = (await redis.hget(keys.providers, 'crm')) as string;
    await redis.hset(keys.providers, 'crm', text.replace('"type":"none"', '"type":"mtls","key":"sealed"'));
    expect(await store.patch('crm', { timeout_ms: 5 })).toEqual({
      status: 'invalid',
      errors: [{ path: 'auth_config.type', message: expect.stringContaining('bearer') }],
    });
    expect((await store.setPaused('crm', true)).status).toBe('replaced');
    expect((await store.patch('crm', { auth_config: crm.auth_config })).status).toBe('replaced');
  });

  it('can be replaced, paused where it is only sealed with another key, and removed', async () => {
    await open({ sealer: createSealer(randomBytes(32)) }).create(crm);
    expect((await store.setPaused('crm', true)).status).toBe('replaced');
    expect(await store.patch('crm', { timeout_ms: 5 })).toMatchObject({ status: 'invalid', errors: [{ path: 'auth_config.token' }] });
    expect(written(await store.patch('crm', { auth_config: { type: 'bearer', token: 'new' } })).config).toMatchObject({
      isPaused: true,
      version: 3,
    });
    await redis.hset(keys.providers, 'damaged', '{"version":3,"provider":');
    expect(await store.setPaused('damaged', true)).toMatchObject({ status: 'invalid' });
    expect(written(await store.put('damaged', { ...crm, name: 'damaged' })).config.version).toBe(4);
    expect(await store.remove('damaged')).toEqual({ status: 'removed' });
  });

  it('is a sealed text that was copied to another provider', async () => {
    await store.create(crm);
    const text = String(await redis.hget(keys.providers, 'crm'));
    await redis.hset(keys.providers, 'thief', text.replace('"crm"', '"thief"'));
    expect(await store.get('thief')).toMatchObject({ status: 'unreadable', reason: expect.stringContaining('another provider') });
  });
});

it('works after the scripts were flushed', async () => {
  await store.create(crm);
  await redis.script('FLUSH');
  expect((await store.patch('crm', { coalesce: false })).status).toBe('replaced');
  await redis.script('FLUSH');
  expect((await store.remove('crm')).status).toBe('removed');
});

it('touches no other deployment’s providers', async () => {
  const neighbour = open({ keys: createKeys('neighbour:') });
  await neighbour.create(crm);
  await store.create(crm);
  await store.remove('crm');
  expect(await neighbour.get('crm')).toBeDefined();
});
