import { expect, test } from 'vitest';
import { gatePolicy, gateRequest } from '../../test/support/gate.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';
import { createGate } from '../shared/gate/gate.ts';
import { connectRedis, disconnectRedis } from '../shared/redis/connection.ts';
import { createKeys } from '../shared/redis/keys.ts';

const api = useTestApi({ SLUICE_KEY_PREFIX: 'budgets:' });

test('the status of a provider shows what its answers said is left, without a limit of ours as well', async () => {
  await api.ask('PUT', '/providers/crm', { kind: 'http', base_url: 'http://127.0.0.1:1' });
  expect((await api.ask('GET', '/providers/crm/status')).body).toMatchObject({ windows: [], budgets: [] });
  const redis = connectRedis(api.redis.url, { name: 'test' });
  try {
    const gate = createGate({ redis, keys: createKeys('budgets:'), workerId: 'a', holdTtlMs: 60_000 });
    const day = { perMs: 86_400_000, requests: 100, remaining: 0 };
    const hour = { perMs: 3_600_000, remaining: 7, resetInMs: 60_000 };
    await gate.acquire('crm', gatePolicy(), gateRequest({ budgets: [day, hour] }));
  } finally {
    await disconnectRedis(redis);
  }
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect((await api.ask('GET', '/providers/crm/status')).body).toMatchObject({
    windows: [],
    budgets: [
      { per_ms: 3_600_000, requests: null, remaining: 7, answered_at: time, resets_at: time },
      { per_ms: 86_400_000, requests: 100, remaining: 0, answered_at: time, resets_at: null },
    ],
  });
});
