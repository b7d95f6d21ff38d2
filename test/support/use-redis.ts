/** One Redis for all tests of a file, ended after them whatever becomes of them. */
import { afterAll, beforeAll } from 'vitest';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { type RedisServer, startRedis } from './redis.ts';

/** Registers the hooks; `begin` gets a client and the server before the first test. */
export function useRedis(
  begin: (redis: RedisClient, server: RedisServer) => unknown,
  options: { readonly commandTimeoutMs?: number } = {},
): void {
  let server: RedisServer | undefined;
  let redis: RedisClient | undefined;
  beforeAll(async () => {
    server = await startRedis();
    redis = connectRedis(server.url, { name: 'test', ...options });
    await begin(redis, server);
  });
  afterAll(async () => {
    if (redis) await disconnectRedis(redis);
    await server?.stop();
  });
}
