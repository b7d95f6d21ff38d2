import { expect, it, onTestFinished } from 'vitest';
import { encryption, startTestApi } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const keyPrefix = { SLUICE_KEY_PREFIX: 'unreadable:' };
const sealed = { base_url: 'http://127.0.0.1:9', auth_config: { type: 'bearer', token: 'open-sesame' } };

const api = useTestApi({ ...encryption, ...keyPrefix });

it('counts the configurations that this process cannot read; its log says why, and so does what it shows of them', async () => {
  await api.ask('PUT', '/providers/sealed', sealed);
  await api.ask('PUT', '/providers/open', { base_url: 'http://127.0.0.1:9' });
  expect((await api.ask('GET', '/metrics')).text).toMatch(/^sluice_unreadable_providers 0$/m);
  const other = await startTestApi(api.redis.url, keyPrefix);
  onTestFinished(() => other.api.stop());
  await other.api.started;
  expect((await other.ask('GET', '/metrics')).text).toMatch(/^sluice_unreadable_providers 1$/m);
  const reason = 'SLUICE_ENCRYPTION_KEY is not set, and the credential is sealed';
  expect(other.log.filter((line) => line['level'] === 'error')).toEqual([expect.objectContaining({ provider: 'sealed', reason })]);
  expect((await other.ask('GET', '/providers/sealed')).body).toEqual({ name: 'sealed', unreadable: reason });
  expect((await other.ask('GET', '/providers/sealed/status')).body).toMatchObject({ unreadable: reason });
});

it('a deployment comes to another key by sending the credentials again, the provider’s first', async () => {
  const prefix = { SLUICE_KEY_PREFIX: 'other-key:' };
  const before = await startTestApi(api.redis.url, { ...encryption, ...prefix });
  const tenant = '/providers/crm/tenants/acme';
  await before.ask('PUT', '/providers/crm', sealed);
  await before.ask('PUT', tenant, { auth_config: sealed.auth_config });
  await before.api.stop();
  const after = await startTestApi(api.redis.url, { SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 2).toString('base64'), ...prefix });
  onTestFinished(() => after.api.stop());
  await after.api.started;
  for (const path of ['/providers/crm', tenant]) {
    expect((await after.ask('GET', path)).body).toHaveProperty('unreadable');
    expect((await after.ask('PATCH', path, { auth_config: sealed.auth_config })).status).toBe(200);
  }
  expect((await after.ask('GET', '/metrics')).text).toMatch(/^sluice_unreadable_providers 0$/m);
});
