import { randomBytes, randomUUID } from 'node:crypto';
import type { buildConnector } from 'undici';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { type Receiver, receive } from '../../../test/support/receiver.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import type { Authentication } from './auth.ts';
import { createAuthentication } from './authentication.ts';
import { createGuardedConnector } from './ssrf-guard.ts';
import type { RefreshTokenGrant } from './token-grants.ts';

const keys = createKeys('frozen:');
const sealer = createSealer(randomBytes(32));
const network = { allowPrivateNetworks: true };
const connect = createGuardedConnector({ resolve: async () => [], network, connectTimeoutMs: 1_000 });

let redis: RedisClient;
let tokens: Receiver;

useRedis((client) => {
  redis = client;
});
beforeEach(async () => {
  await redis.flushall();
  let given = 0;
  tokens = await receive(() => {
    given += 1;
    return { body: { access_token: `access-${given}`, expires_in: 7_200, refresh_token: `r${given}` } };
  });
});

const grant = (): RefreshTokenGrant => ({
  type: 'oauth2_refresh_token',
  tokenUrl: `${tokens.url}/oauth/token`,
  clientId: 'c',
  clientSecret: 's3cret',
  refreshToken: 'r0',
});
const sent = () => tokens.calls.map(({ text }) => new URLSearchParams(text).get('refresh_token'));

/** One process's authentication. */
function open(part: { client?: RedisClient; connector?: buildConnector.connector; skippedMs?: () => number } = {}): Authentication {
  const config = { name: 'crm', account: 'crm', kind: 'hubspot', auth: grant() } as ProviderConfig;
  const clock = { nowMs: Date.now, monotonicMs: () => performance.now() + (part.skippedMs?.() ?? 0) };
  const deps = { network, resolve: async () => [], clock, createId: randomUUID, redis: part.client ?? redis, keys, sealer };
  const auth = createAuthentication(config, deps, part.connector ?? connect);
  onTestFinished(() => auth.close());
  return auth;
}

/** A process's clock, and the freeze that outlasts its right to fetch, while which another process fetches. */
function createFreeze() {
  let skippedMs = 0;
  return {
    hasHappened: () => skippedMs > 0,
    skippedMs: () => skippedMs,
    async freeze() {
      skippedMs = 20_000;
      await redis.del(keys.tokenLock(tokenPlaceOf('crm', grant())));
      expect(await open().obtain()).toMatchObject({ status: 'obtained' });
    },
  };
}

async function expectNoSecondUse(auth: Authentication): Promise<void> {
  expect(await auth.obtain()).toMatchObject({ status: 'unavailable' });
  expect(sent()).toEqual(['r0']);
  // Nobody is charged, and the next time it is given what the other one has fetched.
  expect(await auth.obtain()).toMatchObject({ status: 'obtained', credentials: { headers: ['authorization', 'Bearer access-1'] } });
}

it('a process that was frozen once it had the right to fetch sends no refresh token that another has used since', async () => {
  const { hasHappened, skippedMs, freeze } = createFreeze();
  const client = new Proxy(redis, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const reply: unknown = await value.apply(target, args);
        if (Array.isArray(reply) && reply[0] === 'fetch' && !hasHappened()) await freeze();
        return reply;
      };
    },
  });
  await expectNoSecondUse(open({ client, skippedMs }));
});

it('nor does one that was frozen while it connected', async () => {
  const { skippedMs, freeze } = createFreeze();
  const connector: buildConnector.connector = (options, callback) =>
    connect(options, (...result) => void freeze().then(() => callback(...result)));
  await expectNoSecondUse(open({ connector, skippedMs }));
});
