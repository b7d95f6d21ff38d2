/** A provider that counts calls in a strict rolling window, and four workers that share the limit. */
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

test('four workers with a backlog use a strict rolling window almost to the full, and no call is refused', { timeout: 120_000 }, async () => {
  const recent: number[] = [];
  let refused = 0;
  const service = await startService({
    workers: 4,
    answer: ({ arrivedAtMs }) => {
      while (recent[0] !== undefined && arrivedAtMs - recent[0] >= windowMs) recent.shift();
      if (recent.length >= requests) {
        refused++;
        return { status: 429 };
      }
      recent.push(arrivedAtMs);
      return undefined;
    },
  });
  sluice = service;
  const limits = [{ requests, per: `${windowMs / 1_000}s` }];
  await service.register({ name: 'crm', max_concurrency: 40, limits, retry: { max_attempts: 100, base_ms: 20, max_ms: 200 } });
  const count = requests * (windows + 1);
  await service.accept(upsertsOf({ provider: 'crm', count }));
  await service.drained('crm', 90_000);

  expect(refused).toBe(0);
  const arrivals = service.receiver.calls.map(({ arrivedAtMs }) => arrivedAtMs);
  expect(arrivals).toHaveLength(count);
  expect(maxInWindow(arrivals, windowMs)).toBeLessThanOrEqual(requests);
  const first = arrivals[0] as number;
  const used = arrivals.filter((at) => at - first < windows * windowMs).length;
  expect(used / (windows * requests)).toBeGreaterThanOrEqual(0.9);
});
