/** A provider that asks for silence gets it from the whole fleet, and from nobody else. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const maxConcurrency = 6;
const pauseSeconds = 2;

test('after one 429 with Retry-After no worker calls the provider until the time is over, while others are called', {
  timeout: 120_000,
}, async () => {
  let toldAt = Number.POSITIVE_INFINITY;
  let strictCalls = 0;
  let letGo = () => {};
  const isPaused = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const service = await startService({
    workers: 2,
    answer: async (call) => {
      if (!call.path.startsWith('/strict/')) return { delayMs: 10 };
      const count = ++strictCalls;
      if (count === 3 * maxConcurrency) {
        toldAt = performance.now();
        return { status: 429, headers: { 'retry-after': String(pauseSeconds) } };
      }
      // None of the calls under way ends, and makes room for another one, before everybody has been told of the pause.
      if (count > 2 * maxConcurrency) await isPaused;
      return { delayMs: 10 };
    },
  });
  sluice = service;
  await service.register({ name: 'strict', base_url: `${service.receiver.url}/strict`, max_concurrency: maxConcurrency });
  await service.register({ name: 'other', base_url: `${service.receiver.url}/other`, max_concurrency: maxConcurrency });
  const strict = await service.accept(upsertsOf({ provider: 'strict', count: 60 }));
  await eventually(() => toldAt < Number.POSITIVE_INFINITY);
  await service.accept(upsertsOf({ provider: 'other', count: 60 }));
  const status = await eventually(async () => {
    const { json } = await service.request('GET', '/providers/strict/status');
    return json.paused === true && json;
  });
  letGo();
  expect(status).toMatchObject({ pause_reason: 'rate_limited' });
  expect(Date.parse(status.paused_until)).toBeGreaterThan(Date.now() - 1_000);
  await Promise.all([service.drained('strict'), service.drained('other')]);

  const within = (path: string) =>
    service.receiver.calls.filter(
      (call) => call.path.startsWith(path) && call.arrivedAtMs > toldAt && call.arrivedAtMs < toldAt + pauseSeconds * 1_000,
    );
  // Those that were on their way when the answer was given, or when their worker read of the pause.
  expect(within('/strict/').length).toBeLessThanOrEqual(maxConcurrency);
  expect(within('/other/').length).toBeGreaterThan(0);
  const statuses = [...(await service.statusesOf(strict.map(({ operationId }) => operationId))).values()];
  expect(statuses.filter(({ status: each }) => each !== 'succeeded')).toEqual([]);
});
