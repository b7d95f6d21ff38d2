/** A store of providers on one Redis for all tests of a file, emptied before each. */
import { randomBytes } from 'node:crypto';
import { beforeEach } from 'vitest';
import { createProviderKinds } from '../../src/shared/providers/kinds.ts';
import { createSealer } from '../../src/shared/providers/seal.ts';
import { createProviderStore, type ProviderStore, type ProviderStoreDeps } from '../../src/shared/providers/store.ts';
import type { RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys, type Keys } from '../../src/shared/redis/keys.ts';
import { type UsedRedis, useRedis } from './use-redis.ts';

export interface UsedProviderStore extends UsedRedis {
  readonly keys: Keys;
  /** A further store of the same providers; `more` in place of what the first has. */
  open(more?: Partial<ProviderStoreDeps>): ProviderStore;
}

/** When everything happens. */
export const storedAt = '2026-05-01T12:00:00.000Z';

/** Registers the hooks; `begin` gets the store before each test. */
export function useProviderStore(prefix: string, begin: (store: ProviderStore, redis: RedisClient) => unknown): UsedProviderStore {
  const keys = createKeys(prefix);
  const sealer = createSealer(randomBytes(32));
  let redis: RedisClient;
  const open = (more: Partial<ProviderStoreDeps> = {}) =>
    createProviderStore({
      redis,
      keys,
      sealer,
      kinds: createProviderKinds(),
      network: { allowPrivateNetworks: false },
      now: () => Date.parse(storedAt),
      ...more,
    });
  const used = useRedis((client) => {
    redis = client;
  });
  beforeEach(async () => {
    await redis.flushall();
    await begin(open(), redis);
  });
  return { ...used, keys, open };
}
