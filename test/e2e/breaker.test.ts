/** A provider that fails every call is left alone by the whole fleet, is looked at now and then, and gets its backlog when it is well. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Service, startService } from '../support/service.ts';
import { upsertsOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const maxConcurrency = 8;
const openMs = 800;

test('the breaker opens for the fleet, lets one probe through at a time, charges no attempts while open, and closes again', {
  timeout: 120_000,
}, async () => {
  const service = await startService({ workers: 2, answer: () => ({ status: 500, delayMs: 5 }) });
  sluice = service;
  const breaker = { failure_rate: 0.5, min_calls: 10, window_ms: 10_000, open_ms: openMs };
  const retry = { max_attempts: 50, base_ms: 20, max_ms: 100 };
  await service.register({ name: 'crm', max_concurrency: maxConcurrency, breaker, retry });
  const accepted = await service.accept(upsertsOf({ provider: 'crm', count: 200 }));
  const breakerIs = async (state: string) => (await service.request('GET', '/providers/crm/status')).json.breaker === state;
  await eventually(() => breakerIs('open'));
  // What was under way when it opened comes to its end.
  await eventually(() => service.inFlight() === 0 && breakerIs('open'));
  const openedAt = performance.now();
  const before = service.receiver.calls.length;
  // Three probes fail: the breaker was open all the while.
  await eventually(() => service.receiver.calls.length >= before + 3, { timeoutMs: 60_000 });
  const openForMs = performance.now() - openedAt;
  // Calls while it is open: one for each time it was half open, and those that a probe's turn may have overlapped with.
  expect(service.receiver.calls.length - before).toBeLessThanOrEqual(2 * Math.ceil(openForMs / openMs) + 2);

  const calls = service.receiver.calls.length;
  const open = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  const attempts = [...open.values()].reduce((sum, { attempts: each }) => sum + each, 0);
  expect(attempts).toBeLessThanOrEqual(calls + 1);
  expect([...open.values()].filter(({ status }) => status === 'dead_lettered')).toEqual([]);

  service.receiver.answerWith(() => undefined);
  await service.drained('crm');
  expect(await breakerIs('closed')).toBe(true);
  const statuses = [...(await service.statusesOf(accepted.map(({ operationId }) => operationId))).values()];
  expect(statuses.filter(({ status }) => status !== 'succeeded')).toEqual([]);
});
