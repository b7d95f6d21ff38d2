/** What a dead, stopped, frozen or unlucky worker leaves, and what the next owner makes of it: on a real Redis, with a played provider. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as facts from '../../../test/support/bench-facts.ts';
import { type Bench, failed, type PlayedWorker, providerConfig, startBench, type WorkerOptions } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, type PlayedProvider } from '../../../test/support/played-provider.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import type { Place } from '../../shared/domain/operation.ts';
import { createQueueReader } from '../../shared/queue/claim.ts';
import { createLeases } from '../../shared/queue/leases.ts';
import { packTrial } from '../../shared/queue/trial.ts';

let server: RedisServer;
let bench: Bench;
let benches = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});
afterEach(async () => {
  await bench.stop();
});

async function open(options: Parameters<typeof startBench>[2] = {}): Promise<void> {
  benches += 1;
  bench = await startBench(server.url, `t${benches}:`, { shards: 1, ...options });
}

/** A worker with the played provider; hangs for ever on what it holds when it crashes. */
const startWith = (provider: PlayedProvider, options: Partial<WorkerOptions> = {}): PlayedWorker =>
  bench.startWorker({ answer: provider.answer, ...options });

async function die(worker: PlayedWorker): Promise<void> {
  worker.crash();
  await worker.expire();
}

const succeeded = (...ids: string[]) => facts.allAre(bench, 'succeeded', ids);
const viewOf = (id: string) => facts.viewOf(bench, id);
const update = (recordId: string, data?: object) => facts.update(bench, recordId, data);
const create = (recordId: string, data?: object) => facts.create(bench, recordId, data);
const never = () => true;

describe('after a crash', () => {
  test('the next owner repeats what was in flight, and does what was waiting', async () => {
    await open({ shards: 4 });
    const hanging = createPlayedProvider({ holds: never });
    const dead = startWith(hanging, { config: providerConfig({ maxConcurrency: 3 }) });
    const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => update(`r${i}`)));
    await hanging.calls(3);
    await die(dead);
    const provider = createPlayedProvider();
    startWith(provider);
    await succeeded(...ids);
    expect(provider.operations).toHaveLength(12);
    expect(new Set(provider.operations.map(({ recordId }) => recordId)).size).toBe(12);
    const inFlight = hanging.operations.map(({ idempotencyKey }) => idempotencyKey);
    expect(provider.operations.map(({ idempotencyKey }) => idempotencyKey)).toEqual(expect.arrayContaining(inFlight));
  });

  test('nothing is left of the dead worker among the consumers, nor of the pending list', async () => {
    await open();
    const hanging = createPlayedProvider({ holds: never });
    const dead = startWith(hanging, { id: 'dead' });
    const id = await update('r');
    await hanging.calls(1);
    await die(dead);
    startWith(createPlayedProvider(), { id: 'next' });
    await succeeded(id);
    const queue = bench.keys.queue(0, 'crm');
    expect((await bench.redis.xpending(queue, 'workers'))[0]).toBe(0);
    const consumers = (await bench.redis.xinfo('CONSUMERS', queue, 'workers')) as string[][];
    expect(consumers.map((facts) => facts[facts.indexOf('name') + 1])).toEqual(['next']);
  });

  test('a first death charges nobody; from then on it charges what was about to be called, and nothing else', async () => {
    await open();
    const config = providerConfig({ maxConcurrency: 1 });
    const hanging = createPlayedProvider({ holds: never });
    const ids: string[] = [];
    for (const recordId of ['a', 'b']) ids.push(await update(recordId));
    for (let death = 1; death <= 2; death++) {
      const worker = startWith(hanging, { config });
      await hanging.calls(death);
      await die(worker);
    }
    expect(hanging.operations.map(({ recordId }) => recordId)).toEqual(['a', 'a']);
    startWith(createPlayedProvider(), { config });
    await succeeded(...ids);
    const [a, b] = await Promise.all(ids.map(viewOf));
    expect([a?.attempts, b?.attempts]).toEqual([2, 1]);
  });

  test('an operation that kills every worker ends as a dead letter that says so; its neighbours live', async () => {
    await open();
    const config = providerConfig({ retry: { maxAttempts: 2, baseMs: 1, maxMs: 5, maxAgeMs: 86_400_000 } });
    const poison = createPlayedProvider({ holds: ({ recordId }) => recordId === 'poison' });
    const neighbours: string[] = [];
    const id = await update('poison');
    for (let i = 0; i < 5; i++) neighbours.push(await update(`n${i}`));
    for (let death = 1; death <= 3; death++) {
      const worker = startWith(poison, { config });
      await eventually(() => poison.operations.filter(({ recordId }) => recordId === 'poison').length === death, { intervalMs: 2 });
      await die(worker);
    }
    startWith(poison, { config });
    await succeeded(...neighbours);
    await eventually(async () => (await bench.stateOf(id)) === 'dead_lettered', { intervalMs: 5 });
    expect(poison.operations.filter(({ recordId }) => recordId === 'poison')).toHaveLength(3);
    expect(await viewOf(id)).toMatchObject({ attempts: 2, error: { code: 'worker_lost' } });
    expect(await bench.deadLetters.get(facts.placeOf(id))).toMatchObject({ attempts: 2, error: { code: 'worker_lost' } });
  });

  test('attempts that were used up under a former configuration end with the error they met', async () => {
    await open();
    const provider = createPlayedProvider({ answers: () => failed('transient', { message: 'out of order' }) });
    const worker = startWith(provider, {
      config: providerConfig({ retry: { maxAttempts: 9, baseMs: 60_000, maxMs: 60_000, maxAgeMs: 86_400_000 } }),
    });
    const id = await update('r');
    await eventually(async () => (await bench.stateOf(id)) === 'retrying');
    await worker.stop();
    const { ms, rank } = facts.placeOf(id);
    const error = { code: 'transient', message: 'out of order', retryable: true };
    await bench.redis.hset(
      bench.keys.tries(0, 'crm'),
      `${ms}-${rank}`,
      packTrial({ attempts: 3, dueAtMs: 1, error, startedIn: 0, sealedTo: 0 }),
    );
    startWith(provider, { config: providerConfig({ retry: { maxAttempts: 3, baseMs: 1, maxMs: 1, maxAgeMs: 86_400_000 } }) });
    await eventually(async () => (await bench.stateOf(id)) === 'dead_lettered', { intervalMs: 5 });
    expect(await viewOf(id)).toMatchObject({ attempts: 3, error: { code: 'transient', message: 'out of order' } });
    expect(provider.seen).toHaveLength(1);
  });
});

describe('a retry that is due later', () => {
  const patient = providerConfig({ retry: { maxAttempts: 8, baseMs: 3_600_000, maxMs: 3_600_000, maxAgeMs: 86_400_000 } });

  test.each(['crashes', 'stops'] as const)(
    'waits under its next owner, too, when its owner %s; its followers wait behind it, other records do not',
    async (how) => {
      await open();
      const failing = createPlayedProvider({ answers: () => failed('transient', { retryAfterMs: 3_600_000 }) });
      const former = startWith(failing, { config: patient });
      const id = await update('waits');
      await eventually(async () => (await bench.stateOf(id)) === 'retrying');
      const due = (await viewOf(id))?.nextAttemptAtMs;
      if (how === 'crashes') await die(former);
      else await former.stop();
      const follower = await update('waits');
      const other = await update('other');
      const provider = createPlayedProvider();
      startWith(provider, { config: patient });
      await succeeded(other);
      expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['other']);
      expect(await viewOf(id)).toMatchObject({ status: 'retrying', attempts: 1, nextAttemptAtMs: due });
      expect(await bench.stateOf(follower)).toBe('processing');
    },
  );

  test('is made by the next owner when it is due, and not before', async () => {
    await open();
    const failing = createPlayedProvider({ answers: () => failed('transient', { retryAfterMs: 600 }) });
    const former = startWith(failing);
    const id = await update('r');
    await eventually(async () => (await bench.stateOf(id)) === 'retrying', { intervalMs: 2 });
    const due = (await viewOf(id))?.nextAttemptAtMs as number;
    await former.stop();
    const provider = createPlayedProvider();
    startWith(provider);
    await succeeded(id);
    expect(provider.seen[0]?.startedAt).toBeGreaterThanOrEqual(due - 2);
    expect((await viewOf(id))?.attempts).toBe(2);
  });
});

describe('a create that may have been carried out is repeated as the very same call', () => {
  const sameCall = ({ idempotencyKey, kind, dataJson }: { idempotencyKey: string; kind: string; dataJson: string | undefined }) => ({
    idempotencyKey,
    kind,
    dataJson,
  });

  test('in company, after a crash, though more was appended since', async () => {
    await open();
    const hanging = createPlayedProvider({ holds: never });
    // Something in flight, so that the two of interest fold.
    const config = providerConfig({ maxConcurrency: 1 });
    await update('first');
    const dead = startWith(hanging, { config });
    await hanging.calls(1);
    const ids = [await create('r', { a: 1 }), await update('r', { b: 2 })];
    await eventually(async () => (await bench.backlog.read('crm')).pending === 3, { intervalMs: 2 });
    hanging.seen[0]?.end();
    await hanging.calls(2);
    await die(dead);
    const later = await update('r', { c: 3 });
    const provider = createPlayedProvider();
    startWith(provider, { config });
    await succeeded(ids[1] as string, later);
    const [inDoubt] = hanging.seen[1]?.calls ?? [];
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(sameCall)).toEqual([
      sameCall(inDoubt as never),
      expect.objectContaining({ idempotencyKey: later, kind: 'update' }),
    ]);
    expect(await viewOf(ids[0] as string)).toMatchObject({ status: 'coalesced', carriedBy: ids[1] });
  });

  test('in company that lies pages away in the pending list', async () => {
    await open();
    const ids = [await create('r', { a: 1 })];
    for (let i = 0; i < 230; i++) await bench.send({ kind: 'read', recordId: `n${i}` });
    ids.push(await update('r', { b: 2 }));
    // What a worker leaves that died in the call of both.
    const reader = createQueueReader({ redis: bench.redis, keys: bench.keys, workerId: 'dead' });
    const leases = createLeases({ redis: bench.redis, keys: bench.keys, shards: 1 });
    const lease = await leases.acquire(0, 'dead', 1);
    if (lease.status !== 'acquired') throw new Error('not acquired');
    const owner = { shard: 0, epoch: lease.epoch };
    await reader.claim([{ ...owner, queue: 'crm', count: 500 }]);
    const [first, last] = ids.map(facts.placeOf) as [Place, Place];
    const trial = { attempts: 0, dueAtMs: 0, error: undefined, startedIn: lease.epoch, sealedTo: last.rank };
    await reader.mark(owner, 'crm', new Map([first, last].map(({ ms, rank }) => [`${ms}-${rank}`, trial])));

    // Between the pages the provider is called for somebody else.
    await facts.update(bench, 'theirs', {}, { tenant: 'other' });
    const provider = createPlayedProvider();
    startWith(provider, {
      window: 2_000,
      wrap: {
        reader: (plain) => ({
          ...plain,
          async takeOver(lessee, queue, options) {
            if (options.after !== undefined) await provider.calls(1);
            return plain.takeOver(lessee, queue, options);
          },
        }),
      },
    });
    await succeeded(ids[1] as string);
    expect(provider.operations[0]?.recordId).toBe('theirs');
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(sameCall)).toEqual([{ idempotencyKey: ids[1], kind: 'create', dataJson: '{"a":1,"b":2}' }]);
  });

  test('in company, in the same process, after an answer was lost', async () => {
    await open();
    let isLost = false;
    const provider = createPlayedProvider({
      holds: ({ recordId }) => recordId === 'first',
      answers: ({ recordId }) => {
        if (recordId !== 'r' || isLost) return { status: 'accepted' };
        isLost = true;
        return failed('ambiguous');
      },
    });
    startWith(provider, {
      config: providerConfig({ maxConcurrency: 1, retry: { maxAttempts: 8, baseMs: 50, maxMs: 50, maxAgeMs: 86_400_000 } }),
    });
    await update('first');
    await provider.calls(1);
    await create('r', { a: 1 });
    await update('r', { b: 2 });
    await eventually(async () => (await bench.backlog.read('crm')).pending === 3, { intervalMs: 2 });
    provider.seen[0]?.end();
    await provider.calls(2);
    const later = await update('r', { c: 3 });
    await succeeded(later);
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(({ dataJson }) => dataJson)).toEqual(['{"a":1,"b":2}', '{"a":1,"b":2}', '{"c":3}']);
    expect(onRecord[1]?.idempotencyKey).toBe(onRecord[0]?.idempotencyKey);
  });

  test('alone, after a crash, after a drain that was cut short, and after a lease that was lost and taken back', async () => {
    for (const ending of ['crash', 'abandon', 'lost lease'] as const) {
      if (bench && benches > 0) await bench.stop().catch(() => {});
      await open();
      const hanging = createPlayedProvider({ holds: never });
      const former = startWith(hanging, { id: 'former' });
      const id = await create('r', { a: 1 });
      await hanging.calls(1);
      const later = await update('r', { b: 2 });
      const provider = createPlayedProvider();
      if (ending === 'lost lease') {
        hanging.holds = () => false;
        former.fleet.forget(former.engine.dropExpired(Number.MAX_SAFE_INTEGER));
        await former.fleet.tick();
      } else {
        if (ending === 'crash') await die(former);
        else await former.fleet.abandon();
        await former.expire();
        startWith(provider, { id: 'next' });
      }
      await succeeded(id, later);
      const repeated = [...hanging.operations.slice(1), ...provider.operations];
      expect([ending, ...repeated.map(({ idempotencyKey, dataJson }) => [idempotencyKey, dataJson])]).toEqual([
        ending,
        [id, '{"a":1}'],
        [later, '{"b":2}'],
      ]);
    }
  });
});

describe('handing over', () => {
  test('a call in flight ends under its owner and is not repeated; what waited goes on under the next', async () => {
    await open();
    const config = providerConfig({ maxConcurrency: 1 });
    const provider = createPlayedProvider({ holds: ({ recordId }) => recordId === 'in flight' });
    const former = startWith(provider, { config });
    const ids = [await update('in flight')];
    await provider.calls(1);
    ids.push(await update('waits'));
    const stopping = former.stop();
    startWith(provider, { config });
    await eventually(() => former.fleet.owns(0)?.isDraining === true, { intervalMs: 1 });
    expect(provider.seen).toHaveLength(1);
    provider.seen[0]?.end();
    await stopping;
    await succeeded(...ids);
    expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['in flight', 'waits']);
  });

  test('a worker that joins gets its share while the other works, and nothing is called twice or out of order', async () => {
    await open({ shards: 8 });
    const provider = createPlayedProvider();
    startWith(provider);
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push(await update(`r${i % 10}`, { n: i }));
    const second = startWith(provider);
    for (let i = 60; i < 120; i++) ids.push(await update(`r${i % 10}`, { n: i }));
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
    await open();
    const config = providerConfig({ maxConcurrency: 1 });
    const frozen = createPlayedProvider({ holds: never });
    const sleeper = startWith(frozen, { config, id: 'sleeper', leaseTtlMs: 5_000 });
    const ids = [await update('a'), await update('b')];
    await frozen.calls(1);
    // What happens to the lease of one that says nothing for so long.
    await bench.redis.hset(bench.keys.lease(0), 'owner', 'other', 'epoch', 99, 'until', Date.now() + 600_000);
    sleeper.skip(60_000);
    frozen.seen[0]?.end();
    await eventually(() => sleeper.fleet.shardsOwned === 0, { intervalMs: 2 });
    expect(frozen.operations.map(({ recordId }) => recordId)).toEqual(['a']);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['processing', 'processing']);
    await die(sleeper);
    await bench.redis.hset(bench.keys.lease(0), 'until', 0);
    const provider = createPlayedProvider();
    startWith(provider);
    await succeeded(...ids);
    expect(provider.operations.map(({ recordId }) => recordId).toSorted()).toEqual(['a', 'b']);
  });
});
