/** Providers change while everything runs: the whole fleet follows, and nothing is restarted. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { encryption } from '../support/in-process-api.ts';
import { requestApi, type Service, startService } from '../support/service.ts';
import { type OperationBody, upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

/** The promise is one second; the rest is for a machine that is busy. */
const followsWithinMs = 3_000;

test('a pause, a resume and a new limit hold for the fleet within a second', { timeout: 120_000 }, async () => {
  const service = await startService({ workers: 2, answer: () => ({ delayMs: 5 }) });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 4 });
  const { calls } = service.receiver;
  await service.accept(upsertsOf({ provider: 'crm', count: 2_000 }), 500);
  await eventually(() => calls.length >= 50);

  expect(await service.request('POST', '/providers/crm/pause')).toMatchObject({ status: 200, json: { paused: true } });
  const pausedAt = performance.now();
  // Quiet: nothing under way, and nothing came for longer than any call took.
  await eventually(() => service.inFlight() === 0 && performance.now() - (calls.at(-1)?.arrivedAtMs as number) > 500);
  expect((calls.at(-1)?.arrivedAtMs as number) - pausedAt).toBeLessThan(followsWithinMs);
  const whilePaused = calls.length;
  expect(whilePaused).toBeLessThan(2_000);
  expect((await service.request('GET', '/providers/crm/status')).json).toMatchObject({ paused: true, pause_reason: 'operator' });
  // Operations are still accepted.
  await service.accept(upsertsOf({ provider: 'crm', count: 10, prefix: 'late' }));

  const limits = [{ requests: 20, per: '1s', burst: 1 }];
  expect(await service.request('PATCH', '/providers/crm', { limits })).toMatchObject({ status: 200, json: { limits: [{ requests: 20 }] } });
  expect(calls).toHaveLength(whilePaused);
  await service.request('POST', '/providers/crm/resume');
  const resumedAt = performance.now();
  await eventually(() => calls.length >= whilePaused + 30);
  expect((calls[whilePaused]?.arrivedAtMs as number) - resumedAt).toBeLessThan(followsWithinMs);
  const limited = calls.slice(whilePaused, whilePaused + 30);
  expect((limited[29]?.arrivedAtMs as number) - (limited[0]?.arrivedAtMs as number)).toBeGreaterThan(1_000);

  await service.request('PATCH', '/providers/crm', { limits: null });
  const freedAt = performance.now();
  await service.drained('crm');
  expect((calls.at(-1)?.arrivedAtMs as number) - freedAt, 'at the old limit it takes over a minute').toBeLessThan(45_000);
});

test('a provider registered at one API is known at another at once, and gone there when it is removed', { timeout: 120_000 }, async () => {
  const service = await startService({ workers: 2 });
  sluice = service;
  const other = await service.addApi();
  const submit = () => requestApi(other.url, 'POST', '/sync', upsertsOf({ provider: 'fresh', count: 1 })[0]);
  expect(await submit()).toMatchObject({ status: 422, json: { code: 'unknown_provider' } });
  await service.register({ name: 'fresh' });
  const first = await submit();
  expect(first.status).toBe(202);
  expect(await requestApi(other.url, 'GET', `${first.json.status_url}?wait=20`)).toMatchObject({ json: { status: 'succeeded' } });

  await service.request('POST', '/providers/fresh/pause');
  const queued = await submit();
  // A record of another shard: where a record lives does not depend on the provider.
  await service.register({ name: 'other' });
  const shardOf = (operationId: string) => operationId.split('.')[0];
  const others = await service.accept(upsertsOf({ provider: 'other', count: 40, prefix: 'neighbour' }));
  const neighbour = others.find(({ operationId }) => shardOf(operationId) !== shardOf(queued.json.operation_id))?.operation
    .record_id as string;
  expect(await service.request('DELETE', '/providers/fresh')).toMatchObject({ status: 409, json: { code: 'conflict' } });
  expect((await service.request('DELETE', '/providers/fresh?force=true')).status).toBe(204);
  await eventually(async () => (await submit()).status === 422, { timeoutMs: followsWithinMs });
  expect((await service.request('GET', `/dlq/${queued.json.operation_id}`)).json).toMatchObject({ error: { code: 'provider_removed' } });
  expect((await service.request('GET', '/providers/fresh')).status).toBe(404);

  // Back again: the workers follow before the shard that had the old one's operations gets a new one.
  await service.register({ name: 'fresh' });
  const [elsewhere] = await service.accept([{ ...upsertsOf({ provider: 'fresh', count: 1 })[0], record_id: neighbour } as OperationBody]);
  const isDone = { status: 200, json: { status: 'succeeded' } };
  expect(await requestApi(other.url, 'GET', `/sync/status/${elsewhere?.operationId}?wait=20`)).toMatchObject(isDone);
  const again = await submit();
  expect(await requestApi(other.url, 'GET', `${again.json.status_url}?wait=20`)).toMatchObject(isDone);
  await service.drained('fresh');
});

test('a pause is over when the credentials that were refused are mended, or when an operator says so', { timeout: 120_000 }, async () => {
  let isThrottling = false;
  const service = await startService({
    workers: 2,
    env: encryption,
    answer({ path, text }) {
      if (path === '/token') return text.includes('right') ? { body: { access_token: 'a', expires_in: 3_600 } } : { status: 401 };
      return isThrottling ? { status: 429, headers: { 'retry-after': '600' } } : undefined;
    },
  });
  sluice = service;
  const withSecret = (client_secret: string) => ({
    auth_config: { type: 'oauth2_client_credentials', token_url: `${service.receiver.url}/token`, client_id: 'me', client_secret },
  });
  const submit = async (prefix: string) => (await service.accept(upsertsOf({ provider: 'crm', count: 1, prefix })))[0]?.operationId;
  const paused = () =>
    eventually(async () => {
      const { json } = await service.request('GET', '/providers/crm/status');
      return json.paused && json.pause_reason;
    });
  // Retries wait for about a second; the pauses would last for a minute, and for ten.
  const succeeded = async (id: string | undefined) =>
    expect(await service.request('GET', `/sync/status/${id}?wait=20`)).toMatchObject({ json: { status: 'succeeded' } });

  await service.register({ name: 'crm', ...withSecret('wrong') });
  const refused = await submit('refused');
  expect(await paused()).toContain('token endpoint');
  await service.request('PATCH', '/providers/crm', withSecret('right'));
  await succeeded(refused);

  isThrottling = true;
  const throttled = await submit('throttled');
  expect(await paused()).toBe('rate_limited');
  isThrottling = false;
  await service.request('POST', '/providers/crm/resume');
  await succeeded(throttled);
});
