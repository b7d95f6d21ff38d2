import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import { createFleetToken } from './fleet-token.ts';

const keys = createKeys('token:');
const sealer = createSealer(randomBytes(32));
const token = { value: 'the-access-token', version: 'v1', lifeMs: 60_000, marginMs: 6_000 };
const any = { refusedVersion: '', isAhead: false };

let server: RedisServer;
let redis: RedisClient;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'fleet-token-test' });
});
afterAll(async () => {
  await disconnectRedis(redis);
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
});

function open(owner: string, more: { provider?: string; fingerprint?: string; lockMs?: number; key?: typeof sealer } = {}) {
  const { provider = 'crm', fingerprint = 'f', lockMs = 60_000, key = sealer } = more;
  return createFleetToken(provider, fingerprint, { redis, keys, sealer: key, owner, lockMs });
}

describe('acquiring', () => {
  it('makes one process fetch and lets the others wait', async () => {
    const [a, b] = [open('a'), open('b')];
    expect(await a.acquire(any)).toEqual({ status: 'fetch' });
    expect(await a.acquire(any)).toEqual({ status: 'fetch' });
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
    expect(await open('b').acquire({ ...any, refusedVersion: 'v1' })).toEqual({ status: 'fetch' });
    await redis.del(keys.tokenLock('crm'));
    expect(await open('c', { fingerprint: 'other' }).acquire(any)).toEqual({ status: 'fetch' });
  });

  it('ahead of time takes a token near its end for none', async () => {
    const a = open('a');
    await a.acquire(any);
    await a.publish({ ...token, marginMs: 60_000 });
    expect(await a.acquire(any)).toMatchObject({ status: 'token' });
    expect(await a.acquire({ ...any, isAhead: true })).toEqual({ status: 'fetch' });
  });

  it('replaces a token that was sealed with another key', async () => {
    const foreign = open('a', { key: createSealer(randomBytes(32)) });
    await foreign.acquire(any);
    await foreign.publish(token);
    expect(await open('b').acquire(any)).toEqual({ status: 'fetch' });
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
    expect(await a.acquire(any)).toEqual({ status: 'fetch' });
  });

  it('touches no other provider', async () => {
    const [crm, erp] = [open('a'), open('a', { provider: 'erp' })];
    await crm.acquire(any);
    expect(await erp.acquire(any)).toEqual({ status: 'fetch' });
    await crm.publish(token);
    expect(await redis.exists(keys.token('erp'))).toBe(0);
    expect(await redis.exists(keys.tokenLock('erp'))).toBe(1);
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
    expect(await b.acquire(any)).toEqual({ status: 'fetch' });
  });
});

it('works after the scripts were flushed', async () => {
  const a = open('a');
  await redis.script('FLUSH');
  expect(await a.acquire(any)).toEqual({ status: 'fetch' });
  await redis.script('FLUSH');
  await a.publish(token);
  expect(await a.acquire(any)).toMatchObject({ status: 'token', token: { value: 'the-access-token' } });
  await redis.script('FLUSH');
  await a.release();
});
