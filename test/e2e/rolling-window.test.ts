/**
 * A provider that counts calls in a strict rolling window, and four workers that share the limit. The provider lives in this process:
 * what its own event loop lets wait arrived earlier than it says, so that much, as measured, is taken off its window.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, expect, test } from 'vitest';
import { maxInWindow } from '../support/rolling-window.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const requests = 100;
const windowMs = 2_000;
const windows = 4;
const resolutionMs = 2;

test('four workers with a backlog use a strict rolling window almost to the full, and no call is refused', {
  timeout: 120_000,
}, async () => {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  const ownDelayMs = () => Math.max(0, delays.max / 1e6 - resolutionMs);
  const recent: number[] = [];
  let isStrict = false;
  let refused = 0;
  const service = await startService({
    workers: 4,
    answer: ({ arrivedAtMs }) => {
      if (!isStrict) return undefined;
      while (recent[0] !== undefined && arrivedAtMs - recent[0] >= windowMs - ownDelayMs()) recent.shift();
      if (recent.length >= requests) {
        refused++;
        return { status: 429 };
      }
      recent.push(arrivedAtMs);
      return undefined;
    },
  });
  sluice = service;
  // Everybody has compiled its code and opened its connections before it counts.
  await service.register({ name: 'crm', max_concurrency: 200, retry: { max_attempts: 100, base_ms: 20, max_ms: 200 } });
  await service.accept(upsertsOf({ provider: 'crm', count: 400, prefix: 'warm' }));
  await service.drained('crm');

  await service.request('POST', '/providers/crm/pause');
  await service.request('PATCH', '/providers/crm', { limits: [{ requests, per: `${windowMs / 1_000}s` }] });
  const count = requests * (windows + 1);
  await service.accept(upsertsOf({ provider: 'crm', count }));
  service.receiver.clear();
  delays.enable();
  isStrict = true;
  await service.request('POST', '/providers/crm/resume');
  await service.drained('crm', 90_000);

  expect(refused).toBe(0);
  const arrivals = service.receiver.calls.map(({ arrivedAtMs }) => arrivedAtMs);
  expect(arrivals).toHaveLength(count);
  expect(maxInWindow(arrivals, windowMs - ownDelayMs())).toBeLessThanOrEqual(requests);
  // Once the first burst is over, and before the backlog ends.
  const steadyFrom = (arrivals[0] as number) + windowMs;
  const steadyTo = steadyFrom + (windows - 1) * windowMs;
  const used = arrivals.filter((at) => at >= steadyFrom && at < steadyTo).length;
  expect(used / ((windows - 1) * requests)).toBeGreaterThanOrEqual(0.9);
});
