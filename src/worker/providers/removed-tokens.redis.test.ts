/** A worker that is fetching a token while the provider is removed, by the API's means. */
import { randomBytes } from 'node:crypto';
import { beforeEach, expect, it } from 'vitest';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createProviderKinds } from '../../shared/providers/kinds.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { createProviderStore } from '../../shared/providers/store.ts';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import { createFleetToken } from './fleet-token.ts';
import { fingerprintOf } from './token-grants.ts';

const keys = createKeys('removed-tokens:');
const sealer = createSealer(randomBytes(32));
const auth = {
  type: 'oauth2_refresh_token',
  tokenUrl: 'https://api.example.com/token',
  clientId: 'c',
  clientSecret: 's3cret',
  refreshToken: 'r0',
} as const;
const crm = {
  name: 'crm',
  kind: 'http',
  base_url: 'https://api.example.com',
  auth_config: { type: auth.type, token_url: auth.tokenUrl, client_id: 'c', client_secret: 's3cret', refresh_token: 'r0' },
};
const place = tokenPlaceOf('crm', auth);
const token = { value: 'access', version: 'v1', lifeMs: 60_000, marginMs: 6_000, instanceUrl: undefined };
const any = { refusedVersion: '', isAhead: false };

let redis: RedisClient;
let store: ReturnType<typeof createProviderStore>;

useRedis((client) => {
  redis = client;
});
beforeEach(async () => {
  await redis.flushall();
  const network = { allowPrivateNetworks: false };
  store = createProviderStore({ redis, keys, sealer, kinds: createProviderKinds(), network, now: Date.now });
  await store.create(crm);
});

function openWorker(owner: string) {
  const whose = { place, fingerprint: fingerprintOf(auth), minIntervalMs: 0 };
  return createFleetToken(whose, { redis, keys, sealer, owner, lockMs: 15_000 });
}

/** Acquires the right to fetch, and says what was stored then. */
async function begin(worker: ReturnType<typeof openWorker>) {
  const acquired = await worker.acquire(any);
  if (acquired.status !== 'fetch') throw new Error(acquired.status);
  return acquired.refreshToken;
}

const stored = () => Promise.all([redis.exists(keys.token(place)), redis.get(keys.refreshToken(place))]);
/** As if the time had passed in which nobody may begin to fetch. */
const endHold = () => redis.del(keys.tokenLock(place));

it.each(['the first', 'a later'])('%s refresh token that comes after the removal is not stored', async (which) => {
  const worker = openWorker('a');
  if (which === 'a later') {
    await begin(worker);
    await worker.publish(token, { value: 'r1', before: '' });
    await redis.del(keys.token(place));
  }
  const { mark } = await begin(worker);
  expect(mark === '').toBe(which === 'the first');
  await store.remove('crm');
  await worker.publish({ ...token, version: 'v2' }, { value: 'r2', before: mark });
  expect(await stored()).toEqual([0, 'removed']);
  await endHold();
  await worker.publish({ ...token, version: 'v2' }, { value: 'r2', before: mark });
  expect(await stored(), 'nor is it when it comes again').toEqual([0, 'removed']);
});

it('a worker that has not heard of the removal is kept from fetching', async () => {
  await store.remove('crm');
  const { status } = await openWorker('a').acquire(any);
  expect(status).toBe('wait');
});

it('credentials that are registered again begin with the configured refresh token, and what follows it is kept', async () => {
  const before = openWorker('a');
  await begin(before);
  await before.publish(token, { value: 'r1', before: '' });
  await store.remove('crm');
  await store.create(crm);
  await endHold();
  const after = openWorker('b');
  const { value, mark } = await begin(after);
  expect(value).toBeUndefined();
  await after.publish({ ...token, version: 'v2' }, { value: 'r2', before: mark });
  expect(await redis.pttl(keys.refreshToken(place)), 'without an end').toBe(-1);
  const next = await openWorker('c').acquire({ ...any, refusedVersion: 'v2' });
  expect(next).toMatchObject({ status: 'fetch', refreshToken: { value: 'r2' } });
});
