/** Providers' ids of records that hold the character which separates texts on their way to a script and back (slots.ts). */
import { expect, test } from 'vitest';
import { allAre, create, update } from '../../../test/support/bench-facts.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { changeOf } from '../../../test/support/queue.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import { parseRecordState } from '../../shared/domain/record-state.ts';

const startBench = useBenches();
const oddId = 'a\u001fb';

test('an id that holds the separator is kept, and costs the records it is read with nothing', async () => {
  const bench = await startBench();
  const provider = createPlayedProvider({ answers: () => ({ status: 'accepted', providerRecordId: oddId }) });
  const first = startWith(bench, provider);
  await allAre(bench, 'succeeded', [await create(bench, 'odd')]);
  await first.stop();
  const ids = [await update(bench, 'odd'), await update(bench, 'neighbour')];
  const second = startWith(bench, provider);
  await allAre(bench, 'succeeded', ids);
  expect(second.faults).toEqual([]);
  expect(provider.operations.find(({ kind, recordId }) => kind === 'update' && recordId === 'odd')).toMatchObject({
    providerRecordId: oddId,
  });
});

test('an id that an earlier version wrote as it was costs a fault, and is written properly with the record’s next change', async () => {
  const bench = await startBench();
  const provider = createPlayedProvider();
  const records = bench.keys.records(0, 'crm');
  const digest = bench.hasher.digestOf(changeOf({ recordId: 'odd' }));
  await bench.redis.hset(records, digest, `1.1|${oddId}`);
  const ids = [await update(bench, 'before'), await update(bench, 'odd'), await update(bench, 'after')];
  const worker = startWith(bench, provider);
  await allAre(bench, 'succeeded', ids);
  expect(worker.faults.map(String)).toEqual([expect.stringContaining('claim: unexpected reply')]);
  expect(provider.operations.find(({ recordId }) => recordId === 'odd')).toMatchObject({ providerRecordId: oddId });
  const state = (await bench.redis.hget(records, digest)) as string;
  expect(state).not.toContain('\u001f');
  expect(parseRecordState(state).providerRecordId).toBe(oddId);
});
