/**
 * One record with as many operations as a queue may hold at once: 8 x the window, 4,096. They make one call, which was more than a script could
 * write down: the call never started, and the queue with it stood still for good.
 */
import { beforeEach, expect, test } from 'vitest';
import { allAre, allDone, pending, update, viewOf } from '../../../test/support/bench-facts.ts';
import { accepted, type Bench, crash, failed } from '../../../test/support/engine.ts';
import { openHttpAdapter } from '../../../test/support/http-adapter.ts';
import { createPlayedProvider, type PlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { receive } from '../../../test/support/receiver.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import type { OperationKind } from '../../shared/domain/operation.ts';

const most = 4_096;
const paused = providerConfig({ isPaused: true });

const startBench = useBenches();
let bench: Bench;
beforeEach(async () => {
  bench = await startBench();
});

/** So many operations of one record, each with a field of its own; their ids. */
async function fill(firstKind: OperationKind = 'update'): Promise<readonly string[]> {
  const submitted = await bench.submit(
    Array.from({ length: most }, (_, i) => ({
      change: {
        kind: i === 0 ? firstKind : 'update',
        recordId: 'hot',
        provider: 'crm',
        tenant: 'default',
        entity: 'contact',
        timestampMs: 1_000 + i,
        source: 'api',
        dataJson: `{"f${i}":${i}}`,
      },
    })),
  );
  return submitted.map((each) => (each.status === 'queued' ? each.operationId : each.status));
}

/** A worker that holds all of it, and the neighbour that waits behind it, when its provider is called for the first time. */
async function startFull(provider: PlayedProvider, config = providerConfig()) {
  const worker = startWith(bench, provider, { config: paused });
  await pending(bench, most);
  const neighbour = await update(bench, 'neighbour');
  worker.configure('crm', { ...config, version: 2 });
  return { worker, neighbour };
}

const fieldsOf = (json: string | undefined) => Object.keys(JSON.parse(json ?? '{}')).length;
const trials = () => bench.redis.exists(bench.keys.tries(0, 'crm'));

test('what a worker died holding of it goes on with the next owner, in one call, and settles as one', async () => {
  const ids = await fill();
  const hanging = createPlayedProvider({ holds: () => true });
  const dead = startWith(bench, hanging, { config: paused });
  await pending(bench, most);
  dead.configure('crm', providerConfig({ version: 2 }));
  await hanging.calls(1);
  await crash(dead);
  const neighbour = await update(bench, 'neighbour');
  const provider = createPlayedProvider();
  const next = startWith(bench, provider);
  await allAre(bench, 'succeeded', [ids.at(-1) as string, neighbour]);
  await allAre(bench, 'coalesced', ids.slice(0, -1));
  expect(next.faults).toEqual([]);
  expect(provider.operations.filter(({ recordId }) => recordId === 'hot').map(({ dataJson }) => fieldsOf(dataJson))).toEqual([most]);
  expect(await viewOf(bench, ids[0] as string)).toMatchObject({ status: 'coalesced', carriedBy: ids.at(-1) });
  expect(await trials()).toBe(0);
});

test('a create that took in all its updates while its provider was paused is written down and called', async () => {
  const ids = await fill('create');
  const provider = createPlayedProvider();
  const { worker, neighbour } = await startFull(provider);
  await allAre(bench, 'succeeded', [ids.at(-1) as string, neighbour]);
  await allDone(bench);
  expect(worker.faults).toEqual([]);
  expect(provider.operations.filter(({ recordId }) => recordId === 'hot')).toMatchObject([{ kind: 'create' }]);
  expect(await trials()).toBe(0);
});

test('a create in doubt with all its updates is repeated as it was, by the next owner, too', async () => {
  await fill('create');
  const hanging = createPlayedProvider({ holds: () => true });
  const { worker } = await startFull(hanging);
  await hanging.calls(1);
  await crash(worker);
  const provider = createPlayedProvider();
  const next = startWith(bench, provider);
  await allDone(bench);
  expect(next.faults).toEqual([]);
  const sent = ({ operations }: PlayedProvider) =>
    operations.filter(({ recordId }) => recordId === 'hot').map((call) => call.idempotencyKey);
  expect(sent(provider)).toEqual(sent(hanging));
});

test('a failure that passes is written for all of them, and the next attempt carries them all', async () => {
  const ids = await fill();
  let attempts = 0;
  const provider = createPlayedProvider({
    answers: ({ recordId }) => (recordId === 'hot' && ++attempts === 1 ? failed('transient') : accepted),
  });
  const { worker } = await startFull(provider);
  await allDone(bench);
  expect(worker.faults).toEqual([]);
  expect(attempts).toBe(2);
  expect(await viewOf(bench, ids[0] as string)).toMatchObject({ status: 'coalesced', attempts: 2 });
  expect(await trials()).toBe(0);
});

test('given up together, each of them is a dead letter', async () => {
  const ids = await fill();
  const provider = createPlayedProvider({ answers: ({ recordId }) => (recordId === 'hot' ? failed('transient') : accepted) });
  const { worker, neighbour } = await startFull(provider, providerConfig({ retry: retrying({ maxAttempts: 2 }) }));
  await allAre(bench, 'succeeded', [neighbour]);
  await allAre(bench, 'dead_lettered', ids);
  expect(worker.faults).toEqual([]);
  expect(await bench.backlog.read('crm')).toMatchObject({ backlog: 0, deadLetters: most });
});

test('refused together, they go one by one, and hold up no neighbour', async () => {
  const ids = await fill();
  const provider = createPlayedProvider({ answers: ({ recordId }) => (recordId === 'hot' ? failed('invalid') : accepted) });
  const { worker, neighbour } = await startFull(provider);
  await allAre(bench, 'succeeded', [neighbour]);
  // All of them take ten seconds: each call waits until the end of the one before is written.
  await allAre(bench, 'dead_lettered', ids.slice(0, 100));
  expect(worker.faults).toEqual([]);
  const called = provider.operations.filter(({ recordId }) => recordId === 'hot').map(({ operationId }) => operationId);
  expect(called.slice(0, 101)).toEqual([ids.at(-1), ...ids.slice(0, 100)]);
});

test('a provider over HTTP gets the fields of all of them in one body', async () => {
  const ids = await fill('create');
  const receiver = await receive(() => ({ status: 201, body: { id: 'p1' } }));
  const worker = startWith(bench, createPlayedProvider(), { config: paused, createAdapter: () => openHttpAdapter(receiver.url) });
  await pending(bench, most);
  worker.configure('crm', providerConfig({ version: 2 }));
  await allAre(bench, 'succeeded', ids.slice(-1));
  await allDone(bench);
  expect(worker.faults).toEqual([]);
  const fields = Object.fromEntries(ids.map((_, i) => [`f${i}`, i]));
  expect(receiver.calls.map(({ method, json }) => [method, json])).toEqual([['POST', { id: 'hot', ...fields }]]);
});
