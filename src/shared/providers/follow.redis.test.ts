import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { Subscriber } from '../redis/change-watch.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connection.ts';
import { createKeys } from '../redis/keys.ts';
import { createProviderDirectory, type ProviderChange, type ProviderDirectory } from './follow.ts';
import { createProviderKinds } from './kinds.ts';
import { createSealer } from './seal.ts';
import { createProviderStore, type ProviderStore } from './store.ts';

const keys = createKeys('follow:');
const key = randomBytes(32);
const crm = { name: 'crm', base_url: 'https://api.example.com', auth_config: { type: 'bearer', token: 'open-sesame' } };

let server: RedisServer;
let redis: RedisClient;
let subscriber: RedisClient;
let store: ProviderStore;
let directory: ProviderDirectory;
let changes: ProviderChange[];

function openStore(sealingKey: Uint8Array = key): ProviderStore {
  const sealer = createSealer(sealingKey);
  return createProviderStore({
    redis,
    keys,
    sealer,
    kinds: createProviderKinds(),
    network: { allowPrivateNetworks: false },
    now: Date.now,
  });
}

useRedis(
  (client, at) => {
    redis = client;
    server = at;
  },
  { commandTimeoutMs: 500 },
);
beforeEach(async () => {
  await redis.flushall();
  subscriber = connectRedis(server.url, { name: 'follow-test-subscriber' });
  store = openStore();
  directory = createProviderDirectory({ store, subscriber, keys });
  changes = [];
  directory.onChange((change) => changes.push(change));
});
afterEach(async () => {
  await directory.stop();
  await disconnectRedis(subscriber);
});

/** A subscriber that hears nothing: every announcement is lost. */
const deaf: Subscriber = { subscribe: async () => 1, unsubscribe: async () => 1, on() {}, off() {} };

describe('a directory', () => {
  it('has everything once it has started', async () => {
    await store.create(crm);
    await store.create({ ...crm, name: 'erp' });
    await directory.start();
    expect(directory.get('crm')).toMatchObject({ baseUrl: 'https://api.example.com', auth: { token: 'open-sesame' } });
    expect(
      directory
        .all()
        .map((config) => config.name)
        .sort(),
    ).toEqual(['crm', 'erp']);
    expect(directory.has('crm')).toBe(true);
    expect(directory.has('nothing')).toBe(false);
    expect(directory.get('nothing')).toBeUndefined();
  });

  it('follows new, changed and removed providers by their announcements alone', async () => {
    await directory.start();
    await store.create(crm);
    await eventually(() => directory.get('crm') !== undefined);
    await store.patch('crm', { timeout_ms: 77 });
    await eventually(() => directory.get('crm')?.timeoutMs === 77);
    await store.remove('crm');
    await eventually(() => !directory.has('crm'));
    expect(changes.map(({ before, after }) => [before?.version, after?.version])).toEqual([
      [undefined, 1],
      [1, 2],
      [2, undefined],
    ]);
  });

  it('finds with its next tick what was never announced to it', async () => {
    const other = createProviderDirectory({ store, subscriber: deaf, keys });
    await other.start();
    expect(await other.tick()).toBe('unchanged');
    await store.create(crm);
    expect(other.get('crm')).toBeUndefined();
    expect(await other.tick()).toBe('reloaded');
    expect(other.get('crm')?.version).toBe(1);
    expect(await other.tick()).toBe('unchanged');
  });

  it('sees a provider that was removed and made again with the same version', async () => {
    const other = createProviderDirectory({ store, subscriber: deaf, keys });
    await store.create(crm);
    await other.start();
    await store.remove('crm');
    await store.create({ ...crm, base_url: 'https://new.example.com' });
    await other.tick();
    expect(other.get('crm')?.baseUrl).toBe('https://new.example.com');
  });

  it('tells no change of a provider that has none', async () => {
    await store.create(crm);
    await store.create({ ...crm, name: 'erp' });
    await directory.start();
    changes.length = 0;
    await store.patch('erp', { timeout_ms: 5 });
    await directory.tick();
    await eventually(() => directory.get('erp')?.timeoutMs === 5);
    await directory.tick();
    expect(changes.map((change) => change.name)).toEqual(['erp']);
  });

  it('knows at once what the process has changed itself', async () => {
    const other = createProviderDirectory({ store, subscriber: deaf, keys });
    await other.start();
    await store.create(crm);
    await other.refresh('crm');
    expect(other.get('crm')?.version).toBe(1);
  });

  it('knows a provider that cannot be read by its name and its problem', async () => {
    await store.create({ ...crm, name: 'fine' });
    await openStore(randomBytes(32)).create(crm);
    await directory.start();
    expect(directory.has('crm')).toBe(true);
    expect(directory.get('crm')).toBeUndefined();
    expect(directory.get('fine')).toBeDefined();
    expect(directory.problems()).toEqual(new Map([['crm', expect.stringContaining('another SLUICE_ENCRYPTION_KEY')]]));
    await store.put('crm', crm);
    await eventually(() => directory.get('crm') !== undefined);
    expect(directory.problems().size).toBe(0);
  });

  it('stops telling a listener that has left', async () => {
    const heard: string[] = [];
    const leave = directory.onChange(({ name }) => heard.push(name));
    await directory.start();
    leave();
    await store.create(crm);
    await directory.refresh('crm');
    expect(heard).toEqual([]);
    expect(changes).toHaveLength(1);
  });

  it('hears nothing after it has stopped', async () => {
    await directory.start();
    await directory.stop();
    await store.create(crm);
    await subscriber.ping();
    expect(directory.has('crm')).toBe(false);
  });
});

describe('a tenant with something of its own', () => {
  const own = { auth_config: { type: 'bearer', token: 'acme-token' } };

  it('has its configuration and account, others have the provider’s', async () => {
    await store.create(crm);
    await store.putTenant('crm', 'acme', own);
    await directory.start();
    expect(directory.forTenant('crm', 'acme')).toMatchObject({ account: 'crm:acme', auth: { token: 'acme-token' } });
    expect(directory.forTenant('crm', 'acme')).toBe(directory.forTenant('crm', 'acme'));
    expect(directory.forTenant('crm', 'rival')).toBe(directory.get('crm'));
    expect(directory.forTenant('nothing', 'acme')).toBeUndefined();
    expect([directory.accountOf('crm', 'acme'), directory.accountOf('crm', 'rival')]).toEqual(['crm:acme', 'crm']);
    expect(directory.all().map(({ name }) => name)).toEqual(['crm']);
  });

  it('is there when listeners first hear of its provider', async () => {
    await store.create(crm);
    await store.putTenant('crm', 'acme', own);
    const accounts: (string | undefined)[] = [];
    directory.onChange(({ name }) => accounts.push(directory.forTenant(name, 'acme')?.account));
    await directory.start();
    expect(accounts).toEqual(['crm:acme']);
  });

  it('is followed by announcements, told as a change of its provider', async () => {
    await store.create(crm);
    await directory.start();
    changes.length = 0;
    await store.putTenant('crm', 'acme', own);
    await eventually(() => directory.forTenant('crm', 'acme')?.account === 'crm:acme');
    const config = directory.get('crm');
    expect(changes).toEqual([{ name: 'crm', before: config, after: config }]);
    await store.patch('crm', { timeout_ms: 77 });
    await eventually(() => directory.forTenant('crm', 'acme')?.timeoutMs === 77);
    expect(directory.forTenant('crm', 'acme')?.auth).toMatchObject({ token: 'acme-token' });
    await store.removeTenant('crm', 'acme');
    await eventually(() => directory.forTenant('crm', 'acme')?.account === 'crm');
    expect(changes.map(({ name }) => name)).toEqual(['crm', 'crm', 'crm']);
  });

  it('is found with the next tick where it was not announced, and is gone with its provider', async () => {
    const other = createProviderDirectory({ store, subscriber: deaf, keys });
    await store.create(crm);
    await other.start();
    await store.putTenant('crm', 'acme', own);
    await other.tick();
    expect(other.accountOf('crm', 'acme')).toBe('crm:acme');
    await store.remove('crm');
    await store.create(crm);
    await other.tick();
    expect(other.forTenant('crm', 'acme')).toBe(other.get('crm'));
    await store.remove('crm');
    await other.tick();
    expect(other.forTenant('crm', 'acme')).toBeUndefined();
    expect(other.has('crm')).toBe(false);
  });

  it('that cannot be read has no configuration, never the provider’s', async () => {
    await openStore(key).create(crm);
    await store.putTenant('crm', 'acme', own);
    await redis.hset(keys.providers, 'crm/rival', String(await redis.hget(keys.providers, 'crm/acme')));
    await directory.start();
    expect(directory.forTenant('crm', 'rival')).toBeUndefined();
    expect(directory.accountOf('crm', 'rival')).toBe('crm:rival');
    expect(directory.get('crm')).toBeDefined();
    expect(directory.problems()).toEqual(new Map([['crm/rival', expect.stringContaining('another provider')]]));
  });
});

it('keeps its copy while Redis is away, and follows again afterwards', async () => {
  const own = await startRedis({ appendonly: true });
  const ownRedis = connectRedis(own.url, { name: 'outage', commandTimeoutMs: 300 });
  const ownSubscriber = connectRedis(own.url, { name: 'outage-subscriber' });
  const sealer = createSealer(key);
  const ownStore = createProviderStore({
    redis: ownRedis,
    keys,
    sealer,
    kinds: createProviderKinds(),
    network: { allowPrivateNetworks: false },
    now: Date.now,
  });
  const follower = createProviderDirectory({ store: ownStore, subscriber: ownSubscriber, keys });
  try {
    await ownStore.create(crm);
    await follower.start();
    await own.terminate();
    expect(await follower.tick()).toBe('unreachable');
    expect(follower.get('crm')?.version).toBe(1);
    await own.restart();
    await eventually(async () => (await follower.tick()) !== 'unreachable');
    // Not until the subscriber is back are changes announced to it, so this one is made again and again.
    let timeoutMs = 100;
    await eventually(async () => {
      timeoutMs += 1;
      await ownStore.patch('crm', { timeout_ms: timeoutMs });
      return (follower.get('crm')?.timeoutMs ?? 0) > 100;
    });
  } finally {
    await follower.stop();
    await Promise.all([disconnectRedis(ownRedis), disconnectRedis(ownSubscriber)]);
    await own.stop();
  }
});
