/** Calls of a provider that was removed and registered again, which end together with those of the next one of its name. */
import { expect, test } from 'vitest';
import { allAre, update } from '../../../test/support/bench-facts.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { changeOf } from '../../../test/support/queue.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import { createPurge } from '../../shared/queue/purge.ts';

const startBench = useBenches();

test.each([
  ['last', [1, 0]],
  ['first', [0, 1]],
])('leave nothing of their records to it, and take nothing of its own, where the former one’s ends %s', async (_, order) => {
  const bench = await startBench();
  const { redis, keys, shards } = bench;
  const purge = createPurge({ redis, keys, shards, statusTtlMs: 60_000, processId: 'api', now: Date.now, countFinal: () => {} });
  const provider = createPlayedProvider({ holds: () => true });
  startWith(bench, provider);
  await update(bench, 'former');
  await provider.calls(1);
  // The worker hears of neither.
  await purge.deadLetterAll('crm', { kind: 'gone', code: 'provider_removed', message: 'm' });
  expect(await purge.forget('crm')).toBe(true);
  const id = await update(bench, 'next');
  await provider.calls(2);
  for (const index of order) provider.seen[index]?.end();
  await allAre(bench, 'succeeded', [id]);
  await eventually(() => provider.underWay === 0);
  const digest = bench.hasher.digestOf(changeOf({ recordId: 'next' }));
  await eventually(async () => (await redis.hexists(keys.records(0, 'crm'), digest)) === 1);
  expect(await redis.hkeys(keys.records(0, 'crm'))).toEqual([digest]);
});
