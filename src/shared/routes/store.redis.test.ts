import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deaf } from '../../../test/support/deaf-subscriber.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createRecordHasher } from '../queue/record-key.ts';
import type { RedisClient } from '../redis/connection.ts';
import { createKeys } from '../redis/keys.ts';
import { createRouteDirectory, type RouteDirectory } from './follow.ts';
import { createRemembered } from './remembered.ts';
import { createRuleCompiler } from './rule.ts';
import { createRouteStore, type RouteStore } from './store.ts';

const keys = createKeys('routes-test:');
const options = { isProvider: () => true };
const lead = { name: 'leads', filter: 'data.contact_type == "lead"', providers: ['crm'] };

let redis: RedisClient;
let store: RouteStore;
let directory: RouteDirectory;

const { connect, hear } = useRedis((client) => {
  redis = client;
});
beforeEach(async () => {
  await redis.flushall();
  store = createRouteStore({ redis, keys, compileRule: createRuleCompiler(), now: () => 1_000 });
  directory = createRouteDirectory({ store, subscriber: connect(), keys });
});
afterEach(() => directory.stop());

describe('a store of routes', () => {
  it('counts every change and announces it', async () => {
    const heard = await hear(keys.routesChanged);
    expect(await store.create(lead, options)).toMatchObject({ status: 'created', route: { version: 1 } });
    expect(await store.put('leads', lead, options)).toMatchObject({ status: 'replaced', route: { version: 2 } });
    expect(await store.remove('leads')).toEqual({ status: 'removed' });
    expect(await store.countChanges()).toBe(3);
    expect(await heard()).toEqual(['leads', 'leads', 'leads']);
  });

  it('changes nothing where it refuses', async () => {
    expect(await store.put('leads', lead, { ...options, ifVersion: 7 })).toEqual({ status: 'conflict', version: 0 });
    await store.create(lead, options);
    expect(await store.create(lead, options)).toEqual({ status: 'conflict', version: 1 });
    expect(await store.remove('leads', { ifVersion: 2 })).toEqual({ status: 'conflict', version: 1 });
    expect(await store.remove('nobody')).toEqual({ status: 'not_found' });
    expect(await store.create({ ...lead, name: 'x', providers: ['y'] }, { isProvider: () => false })).toMatchObject({ status: 'invalid' });
    expect(await store.countChanges()).toBe(1);
    expect(await store.remove('leads', { ifVersion: 1 })).toEqual({ status: 'removed' });
    expect(await store.remove('leads', { ifVersion: 1 })).toEqual({ status: 'not_found' });
  });

  it('lets one of several writers at a time create, and all of them replace', async () => {
    const created = await Promise.all([1, 2, 3, 4].map(() => store.create(lead, options)));
    expect(created.filter(({ status }) => status === 'created')).toHaveLength(1);
    await Promise.all([1, 2, 3, 4].map(() => store.put('leads', lead, options)));
    expect(await store.get('leads')).toMatchObject({ version: 5 });
  });

  it('works after its scripts were flushed', async () => {
    await store.create(lead, options);
    await redis.script('FLUSH');
    expect(await store.put('leads', lead, options)).toMatchObject({ status: 'replaced' });
    await redis.script('FLUSH');
    expect(await store.remove('leads')).toEqual({ status: 'removed' });
  });
});

describe('a directory of routes', () => {
  const names = () => directory.all().map(({ name }) => name);

  it('has the routes in their order, and follows what is announced', async () => {
    await store.create({ ...lead, position: 2 }, options);
    expect(await directory.tick()).toBe('reloaded');
    await store.create({ ...lead, name: 'first', position: 1 }, options);
    await eventually(() => names().join() === 'first,leads');
    await store.remove('leads');
    await eventually(() => names().join() === 'first');
  });

  it('opens only what changed', async () => {
    const opened: string[] = [];
    const open: RouteStore['open'] = (name, text) => {
      opened.push(name);
      return store.open(name, text);
    };
    const other = createRouteDirectory({ store: { ...store, open }, subscriber: deaf, keys });
    await store.create(lead, options);
    await other.tick();
    const before = other.all();
    expect(await other.tick()).toBe('unchanged');
    expect(other.all()).toBe(before);
    await store.create({ ...lead, name: 'more' }, options);
    await other.tick();
    expect(other.all()).toHaveLength(2);
    expect(opened).toEqual(['leads', 'more']);
    await other.stop();
  });

  it('leaves out what it cannot read', async () => {
    await store.create(lead, options);
    await redis.hset(keys.routes, 'damaged', 'x', 'old', '{"version":1,"route":{"name":"old","providers":[]}}');
    await directory.tick();
    expect(names()).toEqual(['leads']);
  });
});

describe('what is remembered of records', () => {
  const record = (recordId: string, tenant = 'default') => ({ tenant, entity: 'contact', recordId });

  it('grows, in order, each provider once, for each tenant apart', async () => {
    const remembered = createRemembered({ redis, keys, shards: 4, hasher: await createRecordHasher() });
    await remembered.add([
      { record: record('a'), providers: ['crm', 'erp'] },
      { record: record('b'), providers: ['shop'] },
    ]);
    await redis.script('FLUSH');
    for (let twice = 0; twice < 2; twice += 1) await remembered.add([{ record: record('a'), providers: ['er', 'crm', 'shop'] }]);
    await remembered.add([{ record: record('a', 'acme'), providers: ['own'] }]);
    expect(await remembered.read([record('a'), record('c'), record('b'), record('a', 'acme'), record('a')])).toEqual([
      ['crm', 'erp', 'er', 'shop'],
      [],
      ['shop'],
      ['own'],
      ['crm', 'erp', 'er', 'shop'],
    ]);
  });
});
