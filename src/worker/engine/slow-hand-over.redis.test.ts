/** A shard is to move while one of its calls takes long: its others are kept from being called only for a while, and nothing is called twice. */
import { expect, test } from 'vitest';
import { allAre, create, update } from '../../../test/support/bench-facts.ts';
import { failed, playedAdapter } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { useBenches } from '../../../test/support/use-benches.ts';

const startBench = useBenches();
const records = Array.from({ length: 16 }, (_, i) => `r${i}`);

/** A worker with a call of `slow` under way in every one of its shards, and another that wants its share of them. */
async function startMove(bench: Awaited<ReturnType<typeof startBench>>) {
  const slow = createPlayedProvider({ holds: () => true });
  // The first attempts fail, so that lanes wait for a retry while the shard is drained.
  const attempts = new Map<string, number>();
  const crm = createPlayedProvider({
    answers: ({ operationId }) => {
      attempts.set(operationId, (attempts.get(operationId) ?? 0) + 1);
      return attempts.get(operationId) === 1 ? failed('transient') : { status: 'accepted' };
    },
  });
  const options = {
    leaseTtlMs: 3_000,
    configs: [providerConfig({ retry: retrying({ baseMs: 500, maxMs: 500 }) }), providerConfig({ name: 'slow' })],
    createAdapter: ({ name }: { name: string }) => playedAdapter(name === 'slow' ? slow.answer : crm.answer),
    answer: crm.answer,
  };
  const former = bench.startWorker(options);
  await eventually(() => former.fleet.shardsOwned === bench.shards);
  const held: string[] = [];
  for (const recordId of records) held.push(await create(bench, recordId, { x: 1 }, { provider: 'slow' }));
  await slow.calls(records.length);
  const retried = await Promise.all(records.map((recordId) => update(bench, recordId)));
  await crm.calls(records.length);
  const next = bench.startWorker(options);
  await eventually(() => [0, 1, 2, 3].some((shard) => former.fleet.owns(shard)?.isDraining === true), { intervalMs: 1 });
  const end = () => {
    slow.holds = () => false;
    for (const call of slow.seen) call.end();
  };
  return { slow, crm, former, next, held, retried, end };
}

test('the others of its shard go on while it does not end; then the shard moves', async () => {
  const bench = await startBench({ shards: 4 });
  const { slow, crm, former, next, held, retried, end } = await startMove(bench);
  const later = await Promise.all(records.map((recordId) => update(bench, `another ${recordId}`)));
  await allAre(bench, 'succeeded', [...retried, ...later]);
  expect(former.fleet.shardsOwned).toBe(4);
  // What waits behind the slow call moves with its shard.
  const behind = await Promise.all(records.map((recordId) => update(bench, recordId, { x: 2 }, { provider: 'slow' })));
  end();
  await eventually(() => next.fleet.shardsOwned === 2);
  await allAre(bench, 'succeeded', [...held, ...behind]);
  expect([slow.overlaps, crm.overlaps]).toEqual([[], []]);
  expect(slow.operations.map(({ operationId }) => operationId).toSorted()).toEqual([...held, ...behind].toSorted());
});

test('what was stopped goes on where the move is called off', async () => {
  const bench = await startBench({ shards: 4 });
  const { former, next, end } = await startMove(bench);
  await eventually(() => [0, 1, 2, 3].some((shard) => former.engine.isHeldUp(shard)), { intervalMs: 1, timeoutMs: 15_000 });
  await next.stop();
  // In every shard one of them waits behind a slow call's queue.
  const behind = await Promise.all(records.map((recordId) => update(bench, `another ${recordId}`, { x: 2 }, { provider: 'slow' })));
  await eventually(async () => (await Promise.all(behind.map((id) => bench.stateOf(id)))).every((state) => state === 'processing'), {
    timeoutMs: 20_000,
  });
  end();
  await allAre(bench, 'succeeded', behind);
}, 60_000);
