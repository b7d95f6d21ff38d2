/** An API on a Redis of its own for all tests of a file, ended after them whatever becomes of them. */
import { afterAll, beforeAll } from 'vitest';
import { startTestApi, type TestApi } from './in-process-api.ts';
import { type RedisServer, startRedis } from './redis.ts';

/** The API once it has started, and the server, on which a test may start further ones. */
export interface UsedApi extends TestApi {
  readonly redis: RedisServer;
}

/** Registers the hooks; `begin` runs before the first test. */
export function useTestApi(env: Record<string, string> = {}, begin: (api: UsedApi) => unknown = () => {}): UsedApi {
  let redis: RedisServer;
  let started: TestApi;
  const used: UsedApi = {
    get redis() {
      return redis;
    },
    get api() {
      return started.api;
    },
    get url() {
      return started.url;
    },
    get log() {
      return started.log;
    },
    ask: (...asked) => started.ask(...asked),
  };
  beforeAll(async () => {
    redis = await startRedis();
    started = await startTestApi(redis.url, env);
    await begin(used);
  });
  afterAll(async () => {
    await started?.api.stop();
    await redis?.stop();
  });
  return used;
}
