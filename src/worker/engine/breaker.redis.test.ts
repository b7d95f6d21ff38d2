/** The fleet's breaker and the calls that are under way when it opens. A real gate; a hold lives longer than any of these tests may take. */
import { expect, test } from 'vitest';
import { allAre, update } from '../../../test/support/bench-facts.ts';
import { accepted, failed } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import type { CallOutcome, ProviderAdapter } from '../providers/provider.ts';
import type { Telemetry } from './engine-deps.ts';

const startBench = useBenches();
const config = providerConfig({
  breaker: { failureRate: 0.5, minCalls: 4, windowMs: 10_000, openMs: 300 },
  retry: retrying({ maxAttempts: 100, baseMs: 20, maxMs: 50 }),
});

/** Records named `two...` are called with two requests, the second when `goOn` is called. */
function twoRequestsFor(answer: () => CallOutcome, resumes: (() => void)[]): ProviderAdapter {
  return {
    maxBatch: 1,
    batchWaitMs: 0,
    canShareBatch: () => true,
    prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
    send(calls, guard, done) {
      const carryOut = async (): Promise<CallOutcome> => {
        await new Promise((resolve) => setImmediate(resolve));
        if (!guard.mayStart()) return { status: 'unsent', reason: 'the guard' };
        if (!calls[0]?.call.recordId.startsWith('two')) return answer();
        await new Promise<void>((resolve) => resumes.push(resolve));
        const next = await guard.nextRequest();
        return next?.mayStart() ? accepted : { status: 'unsent', reason: 'no permit' };
      };
      void carryOut().then((outcome) => done([outcome]));
      return { abort: () => {} };
    },
    close: async () => {},
  };
}

test('it closes again although the probes go to calls that wait for a further request since before it opened', async () => {
  const bench = await startBench({ shards: 1 });
  let answer = failed('transient');
  const resumes: (() => void)[] = [];
  startWith(bench, createPlayedProvider(), { leaseTtlMs: 60_000, config, createAdapter: () => twoRequestsFor(() => answer, resumes) });
  const waiting = await Promise.all([1, 2, 3].map((n) => update(bench, `two${n}`)));
  await eventually(() => resumes.length === 3, { intervalMs: 1 });
  const others = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => update(bench, `one${n}`)));
  await eventually(async () => (await bench.redis.hexists(bench.keys.gate('crm'), 'open')) === 1, { intervalMs: 5 });
  answer = accepted;
  for (const resume of resumes) resume();
  await allAre(bench, 'succeeded', [...waiting, ...others]);
});

test('each opening is told once by a worker that sees it, with its end', async () => {
  const bench = await startBench({ shards: 1 });
  const pauses: Parameters<Telemetry['paused']>[] = [];
  let answer = failed('transient');
  const onPaused: Telemetry['paused'] = (...pause) => void pauses.push(pause);
  startWith(bench, createPlayedProvider(), { leaseTtlMs: 60_000, config, createAdapter: () => twoRequestsFor(() => answer, []), onPaused });
  const ids = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => update(bench, `one${n}`)));
  await eventually(() => pauses.length === 2, { intervalMs: 5 });
  answer = accepted;
  await allAre(bench, 'succeeded', ids);
  const epoch = Number(await bench.redis.hget(bench.keys.gate('crm'), 'epoch'));
  const [account, last] = pauses.at(-1) as (typeof pauses)[number];
  expect(new Set(pauses.map(([, { untilMs }]) => untilMs)).size).toBe(pauses.length);
  expect([account, last]).toEqual(['crm', { reason: 'breaker', cause: expect.any(String), untilMs: epoch / 1_000 + 300 }]);
});

test('it closes again although the provider throttles the first probe', async () => {
  const bench = await startBench({ shards: 1 });
  let answers: CallOutcome[] = [];
  const answer = () => answers.shift() ?? failed('transient');
  startWith(bench, createPlayedProvider(), { leaseTtlMs: 60_000, config, createAdapter: () => twoRequestsFor(answer, []) });
  const ids = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => update(bench, `one${n}`)));
  const gate = bench.keys.gate('crm');
  await eventually(async () => (await bench.redis.hexists(gate, 'open')) === 1, { intervalMs: 5 });
  answers = [failed('rate_limited', { retryAfterMs: 50 }), ...Array.from({ length: 100 }, () => accepted)];
  await allAre(bench, 'succeeded', ids);
  expect(await bench.redis.hexists(gate, 'open')).toBe(0);
});
