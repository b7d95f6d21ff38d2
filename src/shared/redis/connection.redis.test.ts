import type { Redis } from 'ioredis';
import { afterAll, expect, test, vi } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { startCluster, startRedis } from '../../../test/support/redis.ts';
import { connectRedis, disconnectRedis, type RedisClient } from './connection.ts';
import { createKeys } from './keys.ts';
import { defineScript } from './script.ts';
import { checkShards, ShardCountMismatch } from './shard-count.ts';

const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

/** Far longer than a command may take here, far shorter than a test's limit: a command that only ends by it has hung. */
const hangMs = 15_000;

async function startServer(options: Parameters<typeof startRedis>[0] = {}) {
  const server = await startRedis(options);
  closing.push(server.stop);
  return server;
}

function connect(url: string, commandTimeoutMs: number = hangMs): RedisClient {
  const client = connectRedis(url, { name: 'test', commandTimeoutMs });
  closing.push(() => disconnectRedis(client));
  return client;
}

let filled: Awaited<ReturnType<typeof startCluster>> | undefined;

/** One cluster for all, with keys on all its nodes. */
async function startFilledCluster() {
  if (!filled) {
    filled = await startCluster(3);
    closing.push(filled.stop);
  }
  const keys = Array.from({ length: 12 }, (_, i) => `{${i}}:x`);
  const setAll = (client: RedisClient) => Promise.all(keys.map((key) => client.set(key, 'y')));
  await setAll(connect(filled.url));
  return { cluster: filled, setAll };
}

const succeed = defineScript('succeed', "return {'hello', ARGV[1]}");

test('what is no address of a Redis is refused', () => {
  expect(() => connectRedis('http://a:1', { name: 'test' })).toThrow('expected redis://');
});

test('a command that finds no Redis names the address without its password, and the cause', async () => {
  // Nothing listens there, and no test can get it: only root may.
  const port = 1;
  const failure = await connect(`redis://me:s3cret@127.0.0.1:${port}`)
    .ping()
    .catch((error: Error) => error);
  expect(failure).toMatchObject({
    name: 'MaxRetriesPerRequestError',
    message: `Redis at redis://***@127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
    cause: { code: 'ECONNREFUSED' },
  });
  expect((failure as Error).stack).not.toContain('s3cret');
});

test('commands fail at once while Redis is down, and pass again when it is back', async () => {
  const server = await startServer();
  const client = connect(server.url);
  await client.set('x', '1');
  await server.kill9();
  const startedAt = performance.now();
  await expect(client.get('x')).rejects.toThrow();
  expect(performance.now() - startedAt).toBeLessThan(hangMs);
  await server.restart();
  expect(await eventually(() => client.ping())).toBe('PONG');
});

test('what was under way when the connection broke fails, and is not sent again', async () => {
  const server = await startServer({ appendonly: true });
  const client = connect(server.url);
  await client.set('x', '1');
  server.pause();
  const underWay = [client.incr('x'), client.incr('x')];
  const outcomes = Promise.allSettled(underWay);
  await server.kill9();
  await server.restart();
  const startedAt = performance.now();
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(performance.now() - startedAt).toBeLessThan(hangMs);
  expect(await eventually(() => client.get('x'))).toBe('1');
});

test('a Redis that does not answer makes commands fail after their time', async () => {
  const server = await startServer();
  const client = connect(server.url, 200);
  await client.ping();
  server.pause();
  await expect(client.get('x')).rejects.toThrow('timed out');
  server.resume();
  expect(await eventually(() => client.ping())).toBe('PONG');
});

test('a script runs before it is loaded, after SCRIPT FLUSH and after a restart', async () => {
  const server = await startServer();
  const client = connect(server.url);
  expect(await succeed.run(client, [], ['a'])).toEqual(['hello', 'a']);
  await client.script('FLUSH');
  expect(await Promise.all(['b', 'c'].map((word) => succeed.run(client, [], [word])))).toEqual([
    ['hello', 'b'],
    ['hello', 'c'],
  ]);
  await server.restart();
  expect(await eventually(() => succeed.run(client, [], ['d']))).toEqual(['hello', 'd']);
});

test('what is sent in one turn of the event loop is one write to the socket', async () => {
  const server = await startServer();
  const client = connectRedis(server.url, { name: 'test' }) as Redis;
  closing.push(() => disconnectRedis(client));
  await succeed.run(client, [], ['x']);
  const writes = [vi.spyOn(client.stream, '_write'), vi.spyOn(client.stream, '_writev' as '_write')];
  const count = () => writes.reduce((sum, write) => sum + write.mock.calls.length, 0);
  const turn = [client.set('a', '1'), succeed.run(client, [], ['x']), client.get('a')];
  expect(await Promise.all(turn)).toEqual(['OK', ['hello', 'x'], '1']);
  expect(count()).toBe(1);
  await client.get('a');
  expect(count()).toBe(2);
});

test('an error of a script reaches the caller and is not taken for a missing script', async () => {
  const server = await startServer();
  const client = connect(server.url);
  await expect(defineScript('fail', "return redis.error_reply('NOGROUP none')").run(client, [], [])).rejects.toThrow('NOGROUP none');
});

test('subscriptions come back after a restart', async () => {
  const server = await startServer();
  const client = connect(server.url);
  const subscriber = connect(server.url);
  const heard: string[] = [];
  subscriber.on('message', (_channel: string, message: string) => heard.push(message));
  await subscriber.subscribe('news');
  await server.restart();
  await eventually(async () => {
    await client.publish('news', 'again');
    return heard.includes('again');
  });
});

test('ending a connection does not wait for a Redis that is away', async () => {
  const server = await startServer();
  const client = connectRedis(server.url, { name: 'test' });
  await client.ping();
  server.pause();
  await disconnectRedis(client);
  server.resume();
  expect(client.status).not.toBe('ready');
});

test('a cluster that does not answer makes commands fail after their time; nodes that come back are used again', async () => {
  const { cluster, setAll } = await startFilledCluster();
  for (const node of cluster.nodes) node.pause();
  const client = connect(cluster.url, 300);
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, (_, i) => client.set(`{${i}}:x`, 'y')));
  expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 'rejected'));
  for (const node of cluster.nodes) node.resume();
  await eventually(() => setAll(client));
  await Promise.all(cluster.nodes.map((node) => node.kill9()));
  await expect(client.set('{1}:x', 'y')).rejects.toThrow();
  await Promise.all(cluster.nodes.map((node) => node.restart()));
  await eventually(() => setAll(client));
});

test('a password in the address opens every node of a cluster', async () => {
  const { cluster, setAll } = await startFilledCluster();
  for (const node of cluster.nodes) await node.ask('CONFIG', 'SET', 'requirepass', 's3cret');
  await expect(connect(cluster.url, 300).get('{1}:x')).rejects.toThrow();
  await setAll(connect(`redis+cluster://:s3cret@127.0.0.1:${cluster.nodes[0]?.port}`, 3_000));
});

test('the number of shards is kept from the first start, and another one is refused', async () => {
  const server = await startServer();
  const deps = { redis: connect(server.url), keys: createKeys('sc:'), onWaiting: () => {} };
  await checkShards({ ...deps, shards: 16 });
  await checkShards({ ...deps, shards: 16 });
  await expect(checkShards({ ...deps, shards: 8 })).rejects.toThrow(ShardCountMismatch);
  expect(await deps.redis.get('sc:shards')).toBe('16');
});

test('the check of shards waits for a Redis that is away', async () => {
  const server = await startServer();
  const redis = connect(server.url);
  await redis.ping();
  await server.kill9();
  const errors: unknown[] = [];
  const checked = checkShards({ redis, keys: createKeys('sc:'), shards: 4, onWaiting: (error) => void errors.push(error) });
  await eventually(() => errors.length > 0);
  await server.restart();
  await checked;
  expect(await redis.get('sc:shards')).toBe('4');
});
