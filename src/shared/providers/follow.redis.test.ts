import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deaf } from '../../../test/support/deaf-subscriber.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { useProviderStore } from '../../../test/support/use-provider-store.ts';
import type { RedisClient } from '../redis/connection.ts';
import { createProviderDirectory, type ProviderChange, type ProviderDirectory } from './follow.ts';
import { createSealer } from './seal.ts';
import type { ProviderStore } from './store.ts';

const crm = { name: 'crm', base_url: 'https://api.example.com', auth_config: { type: 'bearer', token: 'open-sesame' } };

let redis: RedisClient;
let store: ProviderStore;
let directory: ProviderDirectory;
let changes: ProviderChange[];
let lines: object[];
const log = { error: (fields: object) => void lines.push(fields) };

const { keys, open, connect } = useProviderStore('follow:', (opened, client) => {
  store = opened;
  redis = client;
});
beforeEach(() => {
  lines = [];
  directory = createProviderDirectory({ store, subscriber: connect(), keys, log });
  changes = [];
  directory.onChange((change) => changes.push(change));
});
afterEach(() => directory.stop());

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

  it('sees a provider that was removed and made again with the same version', async () => {
    const other = createProviderDirectory({ store, subscriber: deaf, keys, log });
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
    const other = createProviderDirectory({ store, subscriber: deaf, keys, log });
    await other.start();
    await store.create(crm);
    await other.refresh('crm');
    expect(other.get('crm')?.version).toBe(1);
  });

  it('reads together what is asked for while a reading is under way, so that nobody waits for one reading after the other', async () => {
    const asked: string[] = [];
    const answer: (() => void)[] = [];
    const readText = async (field: string) => {
      asked.push(field);
      await new Promise<void>((resolve) => answer.push(resolve));
      return store.readText(field);
    };
    const other = createProviderDirectory({ store: { ...store, readText }, subscriber: deaf, keys, log });
    await store.create(crm);
    const all = [other.refresh('first')];
    await eventually(() => asked.length === 1, { intervalMs: 1 });
    all.push(...['crm', 'unknown-1', 'unknown-2', 'crm'].map((name) => other.refresh(name)));
    for (const release of answer.splice(0)) release();
    await eventually(() => asked.length === 4, { intervalMs: 1 });
    expect(asked).toEqual(['first', 'crm', 'unknown-1', 'unknown-2']);
    for (const release of answer.splice(0)) release();
    await Promise.all(all);
    expect(other.has('crm')).toBe(true);
  });

  it('knows a provider that cannot be read by its name and its problem', async () => {
    await store.create({ ...crm, name: 'fine' });
    await open({ sealer: createSealer(randomBytes(32)) }).create(crm);
    await directory.start();
    expect(directory.has('crm')).toBe(true);
    expect(directory.get('crm')).toBeUndefined();
    expect(directory.get('fine')).toBeDefined();
    expect(directory.problems()).toEqual(new Map([['crm', expect.stringContaining('another SLUICE_ENCRYPTION_KEY')]]));
    await store.put('crm', crm);
    await eventually(() => directory.get('crm') !== undefined);
    expect(directory.problems().size).toBe(0);
    expect(lines).toEqual([{ provider: 'crm', tenant: undefined, reason: expect.stringContaining('another SLUICE_ENCRYPTION_KEY') }]);
  });

  it('tells what it cannot read once, and again when that has changed', async () => {
    await store.create(crm);
    const other = createProviderDirectory({ store: open({ sealer: createSealer(undefined) }), subscriber: deaf, keys, log });
    await other.start();
    await store.create({ ...crm, name: 'erp' });
    for (let round = 0; round < 3; round++) await other.tick();
    await store.patch('crm', { timeout_ms: 77 });
    await other.tick();
    expect(lines).toEqual(['crm', 'erp', 'crm'].map((provider) => expect.objectContaining({ provider })));
    expect(lines[0]).toMatchObject({ reason: expect.stringContaining('SLUICE_ENCRYPTION_KEY is not set') });
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
    const other = createProviderDirectory({ store, subscriber: deaf, keys, log });
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
    await store.create(crm);
    await store.putTenant('crm', 'acme', own);
    await redis.hset(keys.providers, 'crm/rival', String(await redis.hget(keys.providers, 'crm/acme')));
    await directory.start();
    expect(lines).toEqual([]);
    for (let round = 0; round < 3; round++) expect(directory.forTenant('crm', 'rival')).toBeUndefined();
    expect(lines).toEqual([{ provider: 'crm', tenant: 'rival', reason: expect.stringContaining('another provider') }]);
    expect(directory.accountOf('crm', 'rival')).toBe('crm:rival');
    expect(directory.get('crm')).toBeDefined();
    expect(directory.problems()).toEqual(new Map([['crm/rival', expect.stringContaining('another provider')]]));
  });
});
