/** A consumer group that was deleted by hand or by a damaged restore, with workers at work: a real Redis, a played provider. */
import { expect, test } from 'vitest';
import { allAre, allDone, create, pending, update } from '../../../test/support/bench-facts.ts';
import { type Bench, crash } from '../../../test/support/engine.ts';
import { createPlayedProvider } from '../../../test/support/played-provider.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

test('a group that was lost is made anew: what was final is not called again, what was not is, in order', async () => {
  const provider = createPlayedProvider();
  const worker = await open(provider);
  const before = [await update(bench, 'a', { n: 1 }), await update(bench, 'b', { n: 1 })];
  await allAre(bench, 'succeeded', before);
  worker.configure('crm', providerConfig({ isPaused: true, version: 2 }));
  await bench.redis.xgroup('DESTROY', bench.keys.queue(0, 'crm'), 'workers');
  const after = [await update(bench, 'a', { n: 2 }), await update(bench, 'a', { n: 3 })];
  worker.configure('crm', providerConfig({ version: 3, coalesce: false }));
  await allAre(bench, 'succeeded', after);
  await allDone(bench);
  expect(provider.operations.filter(({ recordId }) => recordId === 'a').map(({ dataJson }) => dataJson)).toEqual([
    '{"n":1}',
    '{"n":2}',
    '{"n":3}',
  ]);
  expect(provider.operations.filter(({ recordId }) => recordId === 'b')).toHaveLength(1);
});

test('while what a lost group left is looked through, nothing newer overtakes it', async () => {
  const provider = createPlayedProvider({ holds: () => true });
  const worker = await open(provider, { config: providerConfig({ coalesce: false }) });
  const inFlight = await create(bench, 'r', { n: 1 });
  await provider.calls(1);
  await bench.redis.xgroup('DESTROY', bench.keys.queue(0, 'crm'), 'workers');
  await crash(worker);
  let look = () => {};
  const looking = new Promise<void>((resolve) => {
    look = resolve;
  });
  const next = createPlayedProvider();
  const successor = bench.startWorker({
    answer: next.answer,
    config: providerConfig({ coalesce: false }),
    wrap: {
      reader: (reader) => ({
        ...reader,
        async findFinal(...args) {
          await looking;
          return reader.findFinal(...args);
        },
      }),
    },
  });
  await pending(bench, 1);
  const newer = await update(bench, 'r', { n: 2 });
  const other = await update(bench, 'other');
  // The worker shares this connection: what it would ask for now is answered before these are.
  for (let turn = 0; turn < 3; turn++) {
    successor.engine.ring(0, 'crm');
    await new Promise((resolve) => setImmediate(resolve));
    await bench.redis.ping();
  }
  expect(next.seen).toHaveLength(0);
  look();
  await allAre(bench, 'succeeded', [inFlight, newer, other]);
  // Nobody knows any more that the create was under way.
  expect(next.operations.filter(({ recordId }) => recordId === 'r')).toMatchObject([
    { kind: 'create', isInDoubt: true },
    { kind: 'update' },
  ]);
});
