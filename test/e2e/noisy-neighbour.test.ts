/** One provider's trouble, or one tenant's flood, must not be felt by the others. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

test('while one provider hangs with a full backlog, everything for another is delivered', { timeout: 120_000 }, async () => {
  const service = await startService({
    workers: 2,
    env: { SLUICE_MAX_BACKLOG: '2000' },
    answer: (call) => (call.path.startsWith('/hanging/') ? { hang: true } : undefined),
  });
  sluice = service;
  await service.register({ name: 'hanging', base_url: `${service.receiver.url}/hanging`, max_concurrency: 8, timeout_ms: 120_000 });
  await service.register({ name: 'well', base_url: `${service.receiver.url}/well` });
  await service.accept(upsertsOf({ provider: 'hanging', count: 2_000 }), 500);
  const { status, json, headers } = await service.request('POST', '/sync', upsertsOf({ provider: 'hanging', count: 1 })[0]);
  expect({ status, code: json.code }).toEqual({ status: 429, code: 'backlog_full' });
  expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  await eventually(() => service.inFlight() === 8);

  const accepted = await service.accept(upsertsOf({ provider: 'well', count: 600 }));
  await service.drained('well');
  const statuses = [...(await service.statusesOf(accepted.map(({ operationId }) => operationId))).values()];
  expect(statuses.filter(({ status: each }) => each !== 'succeeded')).toEqual([]);
  expect(service.inFlight(), 'the other one hangs still').toBe(8);
});

/** 1 where all got the same, 1/n where one got everything. */
function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((a, b) => a + b, 0);
  return sum ** 2 / (shares.length * shares.reduce((a, b) => a + b ** 2, 0));
}

const ofTenant = (tenant: string, count: number) => upsertsOf({ provider: 'crm', tenant, count, prefix: `${tenant}-` });

test('tenants that share an account share it evenly, however much one of them has queued', { timeout: 120_000 }, async () => {
  const service = await startService({ env: { SLUICE_SHARDS: '4' }, answer: () => ({ delayMs: 2 }) });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 4 });
  await service.request('POST', '/providers/crm/pause');
  await service.accept(ofTenant('heavy', 1_500), 500);
  await service.accept(ofTenant('light', 100));
  await service.request('POST', '/providers/crm/resume');
  await service.drained('crm');

  const order = service.receiver.calls.map(({ path }) => (path.includes('/light-') ? 'light' : 'heavy'));
  expect(order).toHaveLength(1_600);
  const lightEndsAt = order.lastIndexOf('light') + 1;
  const bothHadWork = order.slice(0, lightEndsAt);
  const shares = ['light', 'heavy'].map((tenant) => bothHadWork.filter((each) => each === tenant).length);
  expect(jainIndex(shares), `shares ${shares.join(' and ')}`).toBeGreaterThanOrEqual(0.95);
});
