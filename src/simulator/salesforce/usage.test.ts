import { expect, test } from 'vitest';
import { openOrg } from '../../../test/support/simulated-org.ts';

const refusal = (message: string) => ({ status: 403, body: [{ message, errorCode: 'REQUEST_LIMIT_EXCEEDED' }] });

test('the day rolls, others use it too, and every answer says how far it is used up', async () => {
  const { api, set, clock } = await openOrg();
  set({ daily_max: 3, daily_used: 1, limit_info_suffix: '; per-app-api-usage=17/250(appName=x)', session_ms: 1_000_000_000 });
  const usage = (used: number) => ({ headers: { 'sforce-limit-info': `api-usage=${used}/3; per-app-api-usage=17/250(appName=x)` } });
  expect(await api('/limits')).toMatchObject({ status: 200, ...usage(2), body: { DailyApiRequests: { Max: 3, Remaining: 1 } } });
  clock.nowMs += 43_200_000;
  expect(await api('/sobjects/Contact/nonsense')).toMatchObject({ status: 400, ...usage(3) });
  const over = await api('/limits');
  expect(over).toMatchObject({ ...refusal('TotalRequests Limit exceeded.'), ...usage(3) });
  expect(over.headers).not.toHaveProperty('retry-after');
  clock.nowMs += 43_320_000;
  expect(await api('/limits')).toMatchObject({ status: 200, ...usage(3) });
  expect(await api('/limits')).toMatchObject({ status: 403 });
});

test('calls that run long are counted, hanging ones until they time out', async () => {
  const { api, end, set, fault, clock } = await openOrg();
  set({ concurrent_max: 1 });
  fault({ hang: true });
  expect(await end('/services/data/v60.0/limits')).toEqual({ with: 'nothing' });
  fault({});
  expect(await api('/limits')).toMatchObject({ status: 200 });
  clock.nowMs += 20_000;
  expect(await api('/limits')).toMatchObject(refusal('ConcurrentRequests (Concurrent API Requests) Limit exceeded.'));
  set({ concurrent_message: 'ConcurrentPerOrgLongTxn Limit exceeded.' });
  expect(await api('/limits')).toMatchObject(refusal('ConcurrentPerOrgLongTxn Limit exceeded.'));
  clock.nowMs += 600_000;
  expect(await api('/limits')).toMatchObject({ status: 200 });
});

test('the plain limit and told failures are answered in the form of the provider', async () => {
  const { api, simulator, fault } = await openOrg();
  simulator.setLimit({ requests: 1, per_ms: 1_000 });
  expect(await api('/limits')).toMatchObject({ status: 200 });
  expect(await api('/limits')).toMatchObject(refusal('ConcurrentRequests (Concurrent API Requests) Limit exceeded.'));
  simulator.setLimit(undefined);
  fault({ error_rate: 1 });
  expect(await api('/limits')).toMatchObject({ status: 503, body: [{ message: 'Server Unavailable', errorCode: 'SERVER_UNAVAILABLE' }] });
  fault({ error_rate: 1, status: 403 });
  expect(await api('/limits')).toMatchObject(refusal('TotalRequests Limit exceeded.'));
  fault({ error_rate: 1, status: 401 });
  expect(await api('/limits')).toMatchObject({ status: 401, body: [{ errorCode: 'INVALID_SESSION_ID' }] });
});

test('a call can be carried out and its answer be lost', async () => {
  const { end, fault, provider } = await openOrg();
  fault({ drop_rate: 1 });
  expect(await end('/services/data/v60.0/sobjects/Contact', { body: { LastName: 'A' } })).toEqual({ with: 'cut' });
  expect(Object.values(provider.records('Contact'))).toMatchObject([{ LastName: 'A' }]);
});

test('addresses may be so long and no longer', async () => {
  const { api } = await openOrg();
  expect(await api(`/query?q=${'x'.repeat(16_400)}`)).toMatchObject({ status: 414 });
});

test('clearing keeps settings and tokens and forgets records and usage', async () => {
  const { api, provider, set } = await openOrg();
  set({ daily_max: 10 });
  await api('/sobjects/Contact', { body: { LastName: 'A', ExtId__c: '1' } });
  provider.clear();
  expect(provider.records(undefined)).toEqual({});
  expect(await api('/sobjects/Contact/ExtId__c/1', { method: 'PATCH', body: { LastName: 'B' } })).toMatchObject({
    status: 201,
    headers: { 'sforce-limit-info': 'api-usage=1/10' },
  });
  expect(provider.change({ nothing: 1 })).toMatchObject({ status: 'refused' });
});
