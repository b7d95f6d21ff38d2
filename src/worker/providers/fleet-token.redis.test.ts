import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import { createFleetToken } from './fleet-token.ts';

const keys = createKeys('token:');
const sealer = createSealer(randomBytes(32));
const token = { value: 'the-access-token', version: 'v1', lifeMs: 60_000, marginMs: 6_000, instanceUrl: undefined };
const any = { refusedVersion: '', isAhead: false };

let redis: RedisClient;

useRedis((client) => {
  redis = client;
});
beforeEach(async () => {
  await redis.flushall();
});

interface Whose {
  place?: string;
  fingerprint?: string;
  minIntervalMs?: number;
  lockMs?: number;
  key?: typeof sealer;
}

function open(owner: string, more: Whose = {}) {
  const { place = 'crm', fingerprint = 'f', minIntervalMs = 0, lockMs = 60_000, key = sealer } = more;
  return createFleetToken({ place, fingerprint, minIntervalMs }, { redis, keys, sealer: key, owner, lockMs });
}

const nothingStored = { value: undefined, mark: '' };
const fetchIt = { status: 'fetch', refreshToken: nothingStored };

describe('acquiring', () => {
  it('makes one process fetch and lets the others wait', async () => {
    const [a, b] = [open('a'), open('b')];
    expect(await a.acquire(any)).toEqual(fetchIt);
    expect(await a.acquire(any)).toEqual(fetchIt);
    expect(await b.acquire(any)).toEqual({ status: 'wait', atMostMs: expect.closeTo(60_000, -4) });
  });

  it('gives everybody what one has published', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.acquire(any);
    await a.publish(token);
    expect(await b.acquire(any)).toEqual({ status: 'token', token: { ...token, lifeMs: expect.closeTo(60_000, -4) } });
    expect(JSON.stringify(await redis.hgetall(keys.token('crm')))).not.toContain('the-access-token');
    expect(await redis.exists(keys.tokenLock('crm'))).toBe(0);
  });

  it('never gives a token that was refused, nor one of other credentials', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish(token);
    expect(await open('b').acquire({ ...any, refusedVersion: 'v1' })).toEqual(fetchIt);
    await redis.del(keys.tokenLock('crm'));
    expect(await open('c', { fingerprint: 'other' }).acquire(any)).toEqual(fetchIt);
  });

  it('ahead of time takes a token near its end for none', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish({ ...token, marginMs: 60_000 });
    expect(await a.acquire(any)).toMatchObject({ status: 'token' });
    expect(await a.acquire({ ...any, isAhead: true })).toEqual(fetchIt);
  });

  it('replaces a token that was sealed with another key', async () => {
    const foreign = open('a', { key: createSealer(randomBytes(32)) });
    await foreign.acquire(any);
    await foreign.publish(token);
    expect(await open('b').acquire(any)).toEqual(fetchIt);
  });

  it('outlives the process that fetches', async () => {
    await open('a', { lockMs: 1 }).acquire(any);
    const b = open('b');
    await eventually(async () => (await b.acquire(any)).status === 'fetch');
  });
});

describe('publishing', () => {
  it('is too late once another process fetches', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.acquire(any);
    await redis.del(keys.tokenLock('crm'));
    await b.acquire(any);
    await a.publish(token);
    expect(await redis.exists(keys.token('crm'))).toBe(0);
    await b.publish({ ...token, version: 'v2' });
    await b.publish({ ...token, version: 'v3' });
    expect(await redis.hget(keys.token('crm'), 'version')).toBe('v2');
  });

  it('lasts as long as the token', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish({ ...token, lifeMs: 20 });
    await eventually(async () => (await redis.exists(keys.token('crm'))) === 0);
    expect(await a.acquire(any)).toEqual(fetchIt);
  });

  it('touches no other place', async () => {
    const [crm, erp] = [open('a'), open('a', { place: 'erp' })];
    await crm.acquire(any);
    expect(await erp.acquire(any)).toEqual(fetchIt);
    await crm.publish(token);
    expect(await redis.exists(keys.token('erp'))).toBe(0);
    expect(await redis.exists(keys.tokenLock('erp'))).toBe(1);
  });
});

describe('refresh tokens', () => {
  const version = async () => (await redis.hget(keys.token('crm'), 'version')) ?? '';
  const stored = async (owner: string, more: Whose = {}) => {
    const acquired = await open(owner, more).acquire({ refusedVersion: await version(), isAhead: false });
    if (acquired.status !== 'fetch') throw new Error(acquired.status);
    await open(owner, more).release();
    return acquired.refreshToken;
  };
  /** One process fetches and is given a new refresh token. */
  const rotate = async (value: string, more: Whose = {}) => {
    const a = open('a', more);
    const acquired = await a.acquire({ refusedVersion: await version(), isAhead: false });
    if (acquired.status !== 'fetch') throw new Error(acquired.status);
    await a.publish({ ...token, version: value }, { value, before: acquired.refreshToken.mark });
  };

  it('are stored with the access token, sealed and without an end, and given to the next one who fetches', async () => {
    await rotate('r1');
    expect((await stored('b')).value).toBe('r1');
    expect(await redis.pttl(keys.refreshToken('crm'))).toBe(-1);
    expect(await redis.get(keys.refreshToken('crm'))).toMatch(/^sealed:1:/);
    await rotate('r2');
    expect((await stored('b')).value).toBe('r2');
  });

  it('stay where the next access token comes without one', async () => {
    await rotate('r1');
    const a = open('a');
    await a.acquire({ refusedVersion: 'r1', isAhead: false });
    await a.publish(token);
    expect((await stored('b')).value).toBe('r1');
  });

  it('are given with other credentials of the same place', async () => {
    await rotate('r1');
    expect((await stored('b', { fingerprint: 'another client secret' })).value).toBe('r1');
  });

  it('are each place’s own', async () => {
    await rotate('r1');
    expect(await open('b', { place: 'crm:acme' }).acquire(any)).toEqual(fetchIt);
  });

  it('that come late are stored all the same while nothing has taken their place, and the other one keeps the right', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.acquire(any);
    await redis.del(keys.tokenLock('crm'));
    await b.acquire(any);
    await a.publish(token, { value: 'r1', before: '' });
    expect(await redis.get(keys.tokenLock('crm'))).toBe('b');
    expect(await b.acquire(any)).toMatchObject({ status: 'token', token: { version: 'v1' } });
    await b.release();
    expect((await stored('c')).value).toBe('r1');
  });

  it('that come late do not take the place of a later one', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.acquire(any);
    await redis.del(keys.tokenLock('crm'));
    await b.acquire(any);
    await b.publish({ ...token, version: 'v2' }, { value: 'r2', before: '' });
    await a.publish(token, { value: 'r1', before: '' });
    expect(await redis.hget(keys.token('crm'), 'version')).toBe('v2');
    expect((await stored('c')).value).toBe('r2');
  });

  it('are stored once, however often they are published', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish(token, { value: 'r1', before: '' });
    const before = await redis.get(keys.refreshToken('crm'));
    await a.publish(token, { value: 'r1', before: '' });
    expect(await redis.get(keys.refreshToken('crm'))).toEqual(before);
  });

  it('sealed with another key give way to the configured one, and can be replaced', async () => {
    await rotate('r1', { key: createSealer(randomBytes(32)) });
    const found = await stored('b');
    expect(found).toEqual({ value: undefined, mark: expect.stringMatching(/^sealed:/) });
    await rotate('r2');
    expect((await stored('b')).value).toBe('r2');
  });
});

describe('the address of the API', () => {
  it('comes with the token it belongs to', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish({ ...token, instanceUrl: 'https://x.my.salesforce.com' });
    expect(await open('b').acquire(any)).toMatchObject({ token: { instanceUrl: 'https://x.my.salesforce.com' } });
  });
});

describe('a least time between requests', () => {
  const paced = { minIntervalMs: 60_000, lockMs: 15_000 };

  it('lets nobody fetch before, once the one who did is done, with or without success', async () => {
    const [a, b] = [open('a', paced), open('b', paced)];
    expect(await a.acquire(any)).toEqual(fetchIt);
    expect(await b.acquire(any)).toMatchObject({ status: 'wait' });
    await a.release();
    expect(await b.acquire(any)).toEqual({ status: 'later', inMs: expect.closeTo(60_000, -4) });
    expect(await a.acquire(any)).toMatchObject({ status: 'later' });
    await redis.del(keys.tokenPace('crm'));
    await b.acquire(any);
    await b.publish(token);
    expect(await a.acquire({ ...any, refusedVersion: 'v1' })).toEqual({ status: 'later', inMs: expect.closeTo(60_000, -4) });
    expect(await redis.pttl(keys.tokenPace('crm'))).toBeLessThanOrEqual(60_000);
    expect(await a.acquire(any)).toMatchObject({ status: 'token' });
  });

  it('counts from the latest moment at which one who died may have asked', async () => {
    await open('a', paced).acquire(any);
    await redis.del(keys.tokenLock('crm'));
    expect(await open('b', paced).acquire(any)).toEqual({ status: 'later', inMs: expect.closeTo(75_000, -4) });
  });

  it('is each place’s own', async () => {
    await open('a', paced).acquire(any);
    expect(await open('a', { ...paced, place: 'crm:acme' }).acquire(any)).toEqual(fetchIt);
  });
});

describe('releasing', () => {
  it('gives only the own right back, and twice does no harm', async () => {
    const [a, b] = [open('a'), open('b')];
    await a.acquire(any);
    await b.release();
    expect(await b.acquire(any)).toMatchObject({ status: 'wait' });
    await a.release();
    await a.release();
    expect(await b.acquire(any)).toEqual(fetchIt);
  });
});

it('works after the scripts were flushed', async () => {
  const a = open('a');
  await redis.script('FLUSH');
  expect(await a.acquire(any)).toEqual(fetchIt);
  await redis.script('FLUSH');
  await a.publish(token);
  expect(await a.acquire(any)).toMatchObject({ status: 'token', token: { value: 'the-access-token' } });
  await redis.script('FLUSH');
  await a.release();
});
