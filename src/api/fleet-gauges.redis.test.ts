import { expect, it, onTestFinished } from 'vitest';
import { encryption, startTestApi } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const keyPrefix = { SLUICE_KEY_PREFIX: 'gauges:' };
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
