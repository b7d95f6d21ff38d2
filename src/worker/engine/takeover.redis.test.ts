/** What a dead, stopped, frozen or unlucky worker leaves, and what the next owner makes of it: on a real Redis, with a played provider. */
import { describe, expect, test } from 'vitest';
import { allAre, create, pending, placeOf, update, viewOf } from '../../../test/support/bench-facts.ts';
import { type Bench, crash, failed } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import { packTrial } from '../../shared/queue/trial.ts';

const startBench = useBenches();
let bench: Bench;

describe('after a crash', () => {
  test('the next owner repeats what was in flight, and does what was waiting', async () => {
    bench = await startBench({ shards: 4 });
    const hanging = createPlayedProvider({ holds: () => true });
    const dead = startWith(bench, hanging, { config: providerConfig({ maxConcurrency: 3 }) });
    const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => update(bench, `r${i}`)));
    await hanging.calls(3);
    await crash(dead);
    const provider = createPlayedProvider();
    startWith(bench, provider);
    await allAre(bench, 'succeeded', ids);
    expect(provider.operations).toHaveLength(12);
    expect(new Set(provider.operations.map(({ recordId }) => recordId)).size).toBe(12);
    const inFlight = hanging.operations.map(({ idempotencyKey }) => idempotencyKey);
    expect(provider.operations.map(({ idempotencyKey }) => idempotencyKey)).toEqual(expect.arrayContaining(inFlight));
  });

  test('nothing is left of the dead worker among the consumers, nor of the pending list', async () => {
    bench = await startBench();
    const hanging = createPlayedProvider({ holds: () => true });
    const dead = startWith(bench, hanging, { id: 'dead' });
    const id = await update(bench, 'r');
    await hanging.calls(1);
    await crash(dead);
    startWith(bench, createPlayedProvider(), { id: 'next' });
    await allAre(bench, 'succeeded', [id]);
    const queue = bench.keys.queue(0, 'crm');
    expect((await bench.redis.xpending(queue, 'workers'))[0]).toBe(0);
    const consumers = (await bench.redis.xinfo('CONSUMERS', queue, 'workers')) as string[][];
    expect(consumers.map((facts) => facts[facts.indexOf('name') + 1])).toEqual(['next']);
  });

  test('a first death charges nobody; from then on it charges what was about to be called, and nothing else', async () => {
    bench = await startBench();
    const config = providerConfig({ maxConcurrency: 1 });
    const hanging = createPlayedProvider({ holds: () => true });
    const ids: string[] = [];
    for (const recordId of ['a', 'b']) ids.push(await update(bench, recordId));
    for (let death = 1; death <= 2; death++) {
      const worker = startWith(bench, hanging, { config });
      await hanging.calls(death);
      await crash(worker);
    }
    expect(hanging.operations.map(({ recordId }) => recordId)).toEqual(['a', 'a']);
    startWith(bench, createPlayedProvider(), { config });
    await allAre(bench, 'succeeded', ids);
    const [a, b] = await Promise.all(ids.map((id) => viewOf(bench, id)));
    expect([a?.attempts, b?.attempts]).toEqual([2, 1]);
  });

  test('an operation that kills every worker ends as a dead letter that says so; its neighbours live', async () => {
    bench = await startBench();
    const config = providerConfig({ retry: retrying({ maxAttempts: 2 }) });
    const poison = createPlayedProvider({ holds: ({ recordId }) => recordId === 'poison' });
    const neighbours: string[] = [];
    const id = await update(bench, 'poison');
    for (let i = 0; i < 5; i++) neighbours.push(await update(bench, `n${i}`));
    for (let death = 1; death <= 3; death++) {
      const worker = startWith(bench, poison, { config });
      await eventually(() => poison.operations.filter(({ recordId }) => recordId === 'poison').length === death, { intervalMs: 2 });
      await crash(worker);
    }
    startWith(bench, poison, { config });
    await allAre(bench, 'succeeded', neighbours);
    await eventually(async () => (await bench.stateOf(id)) === 'dead_lettered', { intervalMs: 5 });
    expect(poison.operations.filter(({ recordId }) => recordId === 'poison')).toHaveLength(3);
    expect(await viewOf(bench, id)).toMatchObject({ attempts: 2, error: { code: 'worker_lost' } });
    expect(await bench.deadLetters.get(placeOf(id))).toMatchObject({ attempts: 2, error: { code: 'worker_lost' } });
  });

  test('attempts that were used up under a former configuration end with the error they met', async () => {
    bench = await startBench();
    const provider = createPlayedProvider({ answers: () => failed('transient', { message: 'out of order' }) });
    const worker = startWith(bench, provider, {
      config: providerConfig({ retry: retrying({ maxAttempts: 9, baseMs: 60_000, maxMs: 60_000 }) }),
    });
    const id = await update(bench, 'r');
    await eventually(async () => (await bench.stateOf(id)) === 'retrying');
    await worker.stop();
    const { ms, rank } = placeOf(id);
    const error = { code: 'transient', message: 'out of order', retryable: true };
    await bench.redis.hset(
      bench.keys.tries(0, 'crm'),
      `${ms}-${rank}`,
      packTrial({ attempts: 3, dueAtMs: 1, error, startedIn: 0, sealedTo: 0 }, 1),
    );
    startWith(bench, provider, { config: providerConfig({ retry: retrying({ maxAttempts: 3, maxMs: 1 }) }) });
    await eventually(async () => (await bench.stateOf(id)) === 'dead_lettered', { intervalMs: 5 });
    expect(await viewOf(bench, id)).toMatchObject({ attempts: 3, error: { code: 'transient', message: 'out of order' } });
    expect(provider.seen).toHaveLength(1);
  });
});

describe('after a crash and an orderly hand-over', () => {
  const paused = providerConfig({ isPaused: true, retry: retrying({ maxAttempts: 2 }) });

  /** An owner that takes over what is pending, calls nothing, and hands over in good order. */
  async function passOn(): Promise<void> {
    const heir = startWith(bench, createPlayedProvider(), { config: paused });
    await eventually(() => heir.engine.held.entries > 0, { intervalMs: 2 });
    await heir.stop();
  }

  test.each([
    ['before it had ever been answered', 0],
    ['after an attempt that had failed for certain', 1],
  ])('a create whose worker died in its call, %s, is in doubt under the third owner, too', async (_, failures) => {
    bench = await startBench();
    let calls = 0;
    const provider = createPlayedProvider({ answers: () => failed('transient'), holds: () => ++calls > failures });
    const dead = startWith(bench, provider);
    const id = await create(bench, 'r');
    await provider.calls(failures + 1);
    await crash(dead);
    await passOn();
    const next = createPlayedProvider();
    startWith(bench, next);
    await allAre(bench, 'succeeded', [id]);
    expect(next.operations.map(({ isInDoubt }) => isInDoubt)).toEqual([true]);
  });

  test('what was settled since the death is not in doubt any more', async () => {
    bench = await startBench();
    const hanging = createPlayedProvider({ holds: () => true });
    const dead = startWith(bench, hanging);
    const id = await create(bench, 'r');
    await hanging.calls(1);
    await crash(dead);
    const failing = createPlayedProvider({ answers: () => failed('transient', { retryAfterMs: 3_600_000 }) });
    const config = providerConfig({ retry: retrying({ maxMs: 3_600_000 }) });
    const heir = startWith(bench, failing, { config });
    await eventually(async () => (await bench.stateOf(id)) === 'retrying', { intervalMs: 2 });
    await heir.stop();
    const next = createPlayedProvider();
    const { engine } = startWith(bench, next, { config });
    await eventually(() => {
      engine.pauseLifted('crm');
      return next.operations.length > 0;
    });
    await allAre(bench, 'succeeded', [id]);
    expect(failing.operations.map(({ isInDoubt }) => isInDoubt)).toEqual([true]);
    expect(next.operations.map(({ isInDoubt }) => isInDoubt)).toEqual([false]);
    expect((await viewOf(bench, id))?.attempts).toBe(2);
  });

  test('an operation that kills every worker is given up all the same', async () => {
    bench = await startBench();
    const config = providerConfig({ retry: retrying({ maxAttempts: 2 }) });
    const poison = createPlayedProvider({ holds: () => true });
    const id = await update(bench, 'poison');
    for (let death = 1; death <= 3; death++) {
      const worker = startWith(bench, poison, { config });
      await poison.calls(death);
      await crash(worker);
      await passOn();
    }
    startWith(bench, poison, { config });
    await allAre(bench, 'dead_lettered', [id]);
    expect(poison.operations).toHaveLength(3);
    expect(await viewOf(bench, id)).toMatchObject({ attempts: 2, error: { code: 'worker_lost' } });
  });
});

describe('a retry that is due later', () => {
  const patient = providerConfig({ retry: retrying({ baseMs: 3_600_000, maxMs: 3_600_000 }) });

  test.each(['crashes', 'stops'] as const)(
    'waits under its next owner, too, when its owner %s; its followers wait behind it, other records do not',
    async (how) => {
      bench = await startBench();
      const failing = createPlayedProvider({ answers: () => failed('transient', { retryAfterMs: 3_600_000 }) });
      const former = startWith(bench, failing, { config: patient });
      const id = await update(bench, 'waits');
      await eventually(async () => (await bench.stateOf(id)) === 'retrying');
      const due = (await viewOf(bench, id))?.nextAttemptAtMs;
      if (how === 'crashes') await crash(former);
      else await former.stop();
      const follower = await update(bench, 'waits');
      const other = await update(bench, 'other');
      const provider = createPlayedProvider();
      startWith(bench, provider, { config: patient });
      await allAre(bench, 'succeeded', [other]);
      expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['other']);
      expect(await viewOf(bench, id)).toMatchObject({ status: 'retrying', attempts: 1, nextAttemptAtMs: due });
      expect(await bench.stateOf(follower)).toBe('processing');
    },
  );

  test('is made by the next owner when it is due, and not before', async () => {
    bench = await startBench();
    const failing = createPlayedProvider({ answers: () => failed('transient', { retryAfterMs: 600 }) });
    const former = startWith(bench, failing);
    const id = await update(bench, 'r');
    await eventually(async () => (await bench.stateOf(id)) === 'retrying', { intervalMs: 2 });
    const due = (await viewOf(bench, id))?.nextAttemptAtMs as number;
    await former.stop();
    const provider = createPlayedProvider();
    startWith(bench, provider);
    await allAre(bench, 'succeeded', [id]);
    expect(provider.seen[0]?.startedAt).toBeGreaterThanOrEqual(due - 2);
    expect((await viewOf(bench, id))?.attempts).toBe(2);
  });
});

describe('handing over', () => {
  test('a call in flight ends under its owner and is not repeated; what waited goes on under the next', async () => {
    bench = await startBench();
    const config = providerConfig({ maxConcurrency: 1 });
    const provider = createPlayedProvider({ holds: ({ recordId }) => recordId === 'in flight' });
    const former = startWith(bench, provider, { config });
    const ids = [await update(bench, 'in flight')];
    await provider.calls(1);
    ids.push(await update(bench, 'waits'));
    const stopping = former.stop();
    startWith(bench, provider, { config });
    await eventually(() => former.fleet.owns(0)?.isDraining === true, { intervalMs: 1 });
    expect(provider.seen).toHaveLength(1);
    provider.seen[0]?.end();
    await stopping;
    await allAre(bench, 'succeeded', ids);
    expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['in flight', 'waits']);
  });

  test('a call that was cut for another shard of its batch is in doubt under the next owner, too', async () => {
    bench = await startBench({ shards: 2 });
    const hanging = createPlayedProvider({ holds: () => true });
    // One batch holds all, and there is no permit for a second.
    const once = { limits: [{ requests: 1, perMs: 3_600_000, burst: 1 }] };
    const former = startWith(bench, hanging, { maxBatch: 50, config: providerConfig({ ...once, isPaused: true }) });
    const ids: string[] = [];
    for (let i = 0; i < 8; i++) ids.push(await create(bench, `r${i}`));
    await pending(bench, ids.length);
    former.configure('crm', providerConfig({ ...once, version: 2 }));
    await hanging.calls(1);
    expect(hanging.operations).toHaveLength(ids.length);
    former.engine.dropShard(0);
    await former.stop();
    const handedOver = ids.filter((id) => placeOf(id).shard === 1);
    const provider = createPlayedProvider();
    startWith(bench, provider);
    await allAre(bench, 'succeeded', handedOver);
    const repeated = provider.operations.filter(({ operationId }) => handedOver.includes(operationId));
    expect(repeated.map(({ isInDoubt }) => isInDoubt)).toEqual(handedOver.map(() => true));
    expect(hanging.seen).toHaveLength(1);
  });

  test('a worker that joins gets its share while the other works, and nothing is called twice or out of order', async () => {
    bench = await startBench({ shards: 8 });
    const provider = createPlayedProvider();
    startWith(bench, provider);
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push(await update(bench, `r${i % 10}`, { n: i }));
    const second = startWith(bench, provider);
    for (let i = 60; i < 120; i++) ids.push(await update(bench, `r${i % 10}`, { n: i }));
    await eventually(() => second.fleet.shardsOwned === 4);
    await eventually(async () => (await bench.backlog.read('crm')).backlog === 0, { intervalMs: 5 });
    expect(provider.overlaps).toEqual([]);
    const keys = provider.operations.map(({ idempotencyKey }) => idempotencyKey);
    expect(new Set(keys).size).toBe(keys.length);
    for (let r = 0; r < 10; r++) {
      const order = provider.operations
        .filter(({ recordId }) => recordId === `r${r}`)
        .map(({ dataJson }) => JSON.parse(dataJson as string).n as number);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });
});

describe('freezing', () => {
  test('a worker that wakes with an old lease calls nothing, finishes nothing, and leaves it all to its successor', async () => {
    bench = await startBench();
    const config = providerConfig({ maxConcurrency: 1 });
    const frozen = createPlayedProvider({ holds: () => true });
    const sleeper = startWith(bench, frozen, { config, id: 'sleeper', leaseTtlMs: 5_000 });
    const ids = [await update(bench, 'a'), await update(bench, 'b')];
    await frozen.calls(1);
    // What happens to the lease of one that says nothing for so long.
    await bench.redis.hset(bench.keys.lease(0), 'owner', 'other', 'epoch', 99, 'until', Date.now() + 600_000);
    sleeper.skip(60_000);
    frozen.seen[0]?.end();
    await eventually(() => sleeper.fleet.shardsOwned === 0, { intervalMs: 2 });
    expect(frozen.operations.map(({ recordId }) => recordId)).toEqual(['a']);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['processing', 'processing']);
    await crash(sleeper);
    await bench.redis.hset(bench.keys.lease(0), 'until', 0);
    const provider = createPlayedProvider();
    startWith(bench, provider);
    await allAre(bench, 'succeeded', ids);
    expect(provider.operations.map(({ recordId }) => recordId).toSorted()).toEqual(['a', 'b']);
  });
});
