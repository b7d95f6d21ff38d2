/** A whole worker in this process: it starts, says how it is, and ends cleanly whatever Redis does. */
import { afterAll, beforeAll, expect, test } from 'vitest';
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
  expect((await get(worker.healthPort, '/readyz')).status).toBe(200);
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
