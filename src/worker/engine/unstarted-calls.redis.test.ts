/** Calls that were handed over and did not start, or were cut: a real Redis, a played provider. */
import { describe, expect, test } from 'vitest';
import { allAre, pending, update, viewOf } from '../../../test/support/bench-facts.ts';
import { accepted, type Bench } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider } from '../../../test/support/played-provider.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

describe('calls that do not start', () => {
  test('again and again keep no processor busy, and charge nobody', async () => {
    let sent = 0;
    let isRefusing = true;
    await open(createPlayedProvider(), {
      createAdapter: () => ({
        maxBatch: 1,
        batchWaitMs: 0,
        canShareBatch: () => true,
        prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
        send(calls, guard, done) {
          sent++;
          const isStarting = !isRefusing && guard.mayStart();
          setImmediate(() => done(calls.map(() => (isStarting ? accepted : { status: 'unsent', reason: 'no' }))));
          return { abort: () => {} };
        },
        close: async () => {},
      }),
    });
    const id = await update(bench, 'r');
    const at = performance.now();
    await eventually(() => sent >= 6, { intervalMs: 1 });
    // Twice at once, then after 20, 40, 80 ms.
    expect(performance.now() - at).toBeGreaterThanOrEqual(135);
    isRefusing = false;
    await allAre(bench, 'succeeded', [id]);
    expect((await viewOf(bench, id))?.attempts).toBe(1);
  });

  test('a batch that is cut for one shard’s sake charges the records of the others nothing', async () => {
    const provider = createPlayedProvider({ holds: () => true });
    const worker = await open(provider, { maxBatch: 50, config: providerConfig({ isPaused: true }) }, 2);
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => update(bench, `r${i}`)));
    await pending(bench, 20);
    worker.configure('crm', providerConfig({ version: 2 }));
    await provider.calls(1);
    expect(provider.seen[0]?.calls).toHaveLength(20);
    provider.holds = () => false;
    worker.engine.dropShard(0);
    await worker.fleet.tick();
    await allAre(bench, 'succeeded', ids);
    const views = await Promise.all(ids.map((id) => viewOf(bench, id)));
    expect(views.map((view) => view?.attempts)).toEqual(ids.map(() => 1));
  });
});
