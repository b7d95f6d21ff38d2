import { expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const keyPrefix = 'gauges:';
const api = useTestApi({ SLUICE_KEY_PREFIX: keyPrefix });

it('an operator’s pause is counted, and shows until it ends', async () => {
  await api.ask('PUT', '/providers/crm', { base_url: 'http://127.0.0.1:9' });
  await api.ask('POST', '/providers/crm/pause');
  const { text } = await api.ask('GET', '/metrics');
  expect(text).toMatch(/^sluice_pauses_total\{provider="crm",reason="operator"\} 1$/m);
  expect(text).toMatch(/^sluice_paused\{provider="crm"\} 1$/m);
  await api.ask('POST', '/providers/crm/resume');
  expect((await api.ask('GET', '/metrics')).text).toMatch(/^sluice_pauses_total\{provider="crm",reason="operator"\} 1$/m);
});

it('of a provider’s accounts, those of its tenants too, the worst shows', async () => {
  await api.ask('PUT', '/providers/shared', { base_url: 'http://127.0.0.1:9' });
  for (const tenant of ['acme', 'zenith']) await api.ask('PUT', `/providers/shared/tenants/${tenant}`, { max_concurrency: 1 });
  const showing = (breaker: number, paused: number) =>
    eventually(async () => {
      const { text } = await api.ask('GET', '/metrics');
      expect(text).toMatch(new RegExp(`^sluice_breaker_state\\{provider="shared"\\} ${breaker}$`, 'm'));
      expect(text).toMatch(new RegExp(`^sluice_paused\\{provider="shared"\\} ${paused}$`, 'm'));
    });
  await showing(0, 0);
  const inAnHour = String((Date.now() + 3_600_000) * 1_000);
  await api.redis.ask('HSET', `${keyPrefix}gate:{shared:zenith}`, 'open', '1');
  await showing(1, 0);
  await api.redis.ask('HSET', `${keyPrefix}gate:{shared:acme}`, 'open', inAnHour, 'pause', inAnHour);
  await showing(2, 1);
});
