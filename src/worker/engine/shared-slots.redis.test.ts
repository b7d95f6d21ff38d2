/** Workers that share fewer slots than they have work for. A real Redis, a provider whose every answer takes its time. */
import { expect, test } from 'vitest';
import { allAre, update } from '../../../test/support/bench-facts.ts';
import { accepted, type Bench } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { useBenches } from '../../../test/support/use-benches.ts';

const startBench = useBenches();
const answerMs = 100;
/** Several times what a slot's way from one worker to the other takes; a holder that knew of nobody kept it for a second. */
const longestWaitMs = 600;

/** Two workers that own half of the shards each, and when their calls began. */
async function startTwo(bench: Bench, maxConcurrency: number) {
  const starts: { by: string; at: number }[] = [];
  const workers = ['a', 'b'].map((id) =>
    bench.startWorker({
      id,
      config: providerConfig({ maxConcurrency }),
      async answer(calls) {
        starts.push({ by: id, at: Date.now() });
        await new Promise((resolve) => setTimeout(resolve, answerMs));
        return calls.map(() => accepted);
      },
    }),
  );
  await eventually(() => workers.every(({ fleet }) => fleet.shardsOwned === bench.shards / 2), { intervalMs: 2 });
  return starts;
}

test.each([1, 2, 3])('while work waits, none of %i slots is idle for long', async (maxConcurrency) => {
  const bench = await startBench({ shards: 16 });
  const starts = await startTwo(bench, maxConcurrency);
  const ids = await Promise.all(Array.from({ length: 16 }, (_, i) => update(bench, `r${i}`)));
  await allAre(bench, 'succeeded', ids);
  expect(new Set(starts.map(({ by }) => by))).toEqual(new Set(['a', 'b']));
  // Each call but the first begins soon after the one before it in its slot has ended.
  const waits = starts.slice(maxConcurrency).map(({ at }, i) => at - ((starts[i] as { at: number }).at + answerMs));
  expect(Math.max(...waits)).toBeLessThan(longestWaitMs);
});
