import { expect, it } from 'vitest';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi();

it('an operator’s pause is counted, and shows until it ends', async () => {
  await api.ask('PUT', '/providers/crm', { base_url: 'http://127.0.0.1:9' });
  await api.ask('POST', '/providers/crm/pause');
  const { text } = await api.ask('GET', '/metrics');
  expect(text).toMatch(/^sluice_pauses_total\{provider="crm",reason="operator"\} 1$/m);
  expect(text).toMatch(/^sluice_paused\{provider="crm"\} 1$/m);
  await api.ask('POST', '/providers/crm/resume');
  expect((await api.ask('GET', '/metrics')).text).toMatch(/^sluice_pauses_total\{provider="crm",reason="operator"\} 1$/m);
});
