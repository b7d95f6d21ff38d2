/** A whole worker in this process: it starts, says how it is, and ends cleanly whatever Redis does. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encryption, startTestApi } from '../../test/support/in-process-api.ts';
import { receive } from '../../test/support/receiver.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';
import { parseSettings } from '../shared/config/settings.ts';
import { ShardCountMismatch } from '../shared/redis/shard-count.ts';
import { createLogger } from '../shared/telemetry/logger.ts';
import { startWorker } from './worker.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

const settingsFor = (prefix: string, more: Record<string, string> = {}, { url } = server) =>
  parseSettings({
    REDIS_URL: url,
    METRICS_PORT: '0',
    SLUICE_KEY_PREFIX: prefix,
    SLUICE_SHARDS: '4',
    SLUICE_LEASE_TTL_MS: '2000',
    SLUICE_DRAIN_MS: '1000',
    ...more,
  });
const log = createLogger({ level: 'silent', name: 'worker' });
const get = async (port: number, path: string) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: answer.status, text: await answer.text() };
};

test('it is ready, shows what it owns, and leaves nothing of itself in Redis when it stops', async () => {
  const worker = await startWorker(settingsFor('w1:'), log);
  await expect.poll(async () => (await get(worker.healthPort, '/readyz')).status, { timeout: 20_000 }).toBe(200);
  await expect.poll(async () => (await get(worker.healthPort, '/metrics')).text, { timeout: 20_000 }).toContain('sluice_shards_owned 4');
  await worker.stop();
  await expect(get(worker.healthPort, '/healthz')).rejects.toThrow();
  expect(await server.ask('ZCARD', 'w1:{fleet}')).toBe('0');
  expect(await server.ask('HGET', 'w1:{00}:lease', 'owner')).toBe('');
});

test('told another number of shards than its deployment has, it does not start, and holds on to nothing', async () => {
  const worker = await startWorker(settingsFor('w2:'), log);
  await worker.stop();
  const before = await server.ask('CLIENT', 'LIST');
  await expect(startWorker(settingsFor('w2:', { SLUICE_SHARDS: '8' }), log)).rejects.toThrow(ShardCountMismatch);
  const clients = (text: string) => text.split('\n').filter((line) => line.includes('name=sluice-worker')).length;
  await expect.poll(async () => clients(await server.ask('CLIENT', 'LIST')), { timeout: 20_000 }).toBe(clients(before));
});

test('when Redis is gone for good it stops all the same, after its drain time', async () => {
  const other = await startRedis();
  const worker = await startWorker(settingsFor('w3:', {}, other), log);
  await expect.poll(async () => (await get(worker.healthPort, '/metrics')).text, { timeout: 20_000 }).toContain('sluice_shards_owned 4');
  await other.stop();
  await worker.stop();
  await expect(get(worker.healthPort, '/healthz')).rejects.toThrow();
});

test('without the key that credentials were sealed with, it says which providers it cannot call', async () => {
  const prefix = { SLUICE_KEY_PREFIX: 'w8:' };
  const { api, ask } = await startTestApi(server.url, { ...encryption, ...prefix });
  const auth_config = { type: 'bearer', token: 'open-sesame' };
  expect((await ask('PUT', '/providers/crm', { base_url: 'http://127.0.0.1:9', auth_config })).status).toBe(201);
  await api.stop();
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const worker = await startWorker(settingsFor('w8:'), createLogger({ level: 'error', name: 'worker', destination }));
  try {
    const reason = 'SLUICE_ENCRYPTION_KEY is not set, and the credential is sealed';
    expect(lines).toEqual([expect.objectContaining({ provider: 'crm', reason })]);
    expect((await get(worker.healthPort, '/metrics')).text).toMatch(/^sluice_unreadable_providers 1$/m);
  } finally {
    await worker.stop();
  }
});

test('it is not ready while Redis answers nothing, though the connection stands', async () => {
  const other = await startRedis();
  const worker = await startWorker(settingsFor('w5:', {}, other), log);
  const ready = async () => (await get(worker.healthPort, '/readyz')).status;
  try {
    await expect.poll(ready, { timeout: 20_000 }).toBe(200);
    other.pause();
    await expect.poll(ready, { timeout: 20_000 }).toBe(503);
    other.resume();
    await expect.poll(ready, { timeout: 20_000 }).toBe(200);
  } finally {
    other.resume();
    await worker.stop();
    await other.stop();
  }
});

test('a message that nobody understands is a fault, and the worker goes on', async () => {
  const worker = await startWorker(settingsFor('w7:'), log);
  try {
    for (const message of ['crm', '5', 'null'])
      await expect.poll(() => server.ask('PUBLISH', 'w7:{00}:bell', message), { timeout: 20_000 }).toBe('1');
    await expect
      .poll(async () => (await get(worker.healthPort, '/metrics')).text, { timeout: 20_000 })
      .toContain('sluice_faults_total{kind="bug"} 3');
  } finally {
    await worker.stop();
  }
});

test.each([
  { prefix: 'w4:', end: 'as soon as it hears again', leaseTtlMs: '60000', isCut: true },
  // As on a cluster, whose client says nothing of a subscription that was away.
  { prefix: 'w6:', end: 'soon after, where nothing tells it', leaseTtlMs: '2000', isCut: false },
])('a pause that was lifted while it could not hear of it is over $end', async ({ prefix, leaseTtlMs, isCut }) => {
  const receiver = await receive(({ index }) => (index === 0 ? { status: 429, headers: { 'retry-after': '3600' } } : undefined));
  const { api, ask } = await startTestApi(server.url, { SLUICE_KEY_PREFIX: prefix });
  const worker = await startWorker(settingsFor(prefix, { SLUICE_ALLOW_PRIVATE_NETWORKS: 'true', SLUICE_LEASE_TTL_MS: leaseTtlMs }), log);
  try {
    expect((await ask('POST', '/providers', { name: 'crm', kind: 'http', base_url: receiver.url })).status).toBe(201);
    const { status, body } = await ask('POST', '/sync', { operation: 'upsert', provider: 'crm', record_id: 'a', data: { x: 1 } });
    expect(status).toBe(202);
    const gate = `${prefix}gate:{crm}`;
    await expect.poll(() => server.ask('HEXISTS', gate, 'pause'), { timeout: 20_000 }).toBe('1');
    // The operation waits for an hour, and of the worker's slot nothing is left: it has no more reason to ask.
    await expect.poll(() => server.ask('HLEN', gate), { timeout: 20_000 }).toBe('2');
    await expect.poll(async () => (await ask('GET', body.status_url)).body.status, { timeout: 20_000 }).toBe('retrying');
    await server.ask('HDEL', gate, 'pause', 'reason');
    if (isCut) expect(await server.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')).not.toBe('0');
    await expect.poll(() => receiver.calls.length, { timeout: 20_000 }).toBe(2);
  } finally {
    await worker.stop();
    await api.stop();
  }
});
