/** One Redis for all tests of a file, ended after them whatever becomes of them. */
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { type RedisServer, startRedis } from './redis.ts';

export interface UsedRedis {
  /** A further connection, ended with the test. */
  connect(): RedisClient;
  /** Listens on a channel. Returns what tells all that was announced since. */
  hear(channel: string): Promise<() => Promise<readonly string[]>>;
}

/** Registers the hooks; `begin` gets a client and the server before the first test. */
export function useRedis(
  begin: (redis: RedisClient, server: RedisServer) => unknown,
  options: { readonly commandTimeoutMs?: number } = {},
): UsedRedis {
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
  const connect = (): RedisClient => {
    const further = connectRedis((server as RedisServer).url, { name: 'test-further' });
    onTestFinished(() => disconnectRedis(further));
    return further;
  };
  return {
    connect,
    async hear(channel) {
      const subscriber = connect();
      const heard: string[] = [];
      subscriber.on('message', (_: string, message: string) => heard.push(message));
      await subscriber.subscribe(channel);
      return async () => {
        // A reply on the same connection comes after the messages before it.
        await subscriber.ping();
        return heard;
      };
    },
  };
}
