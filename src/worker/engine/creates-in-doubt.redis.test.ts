/** Creates that may have been carried out, and end under another owner or another lease: on a real Redis, with a played provider. */
import { describe, expect, test } from 'vitest';
import { allAre, create, pending, placeOf, update, viewOf } from '../../../test/support/bench-facts.ts';
import { type Bench, crash, failed, type WorkerOptions } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { useBenches } from '../../../test/support/use-benches.ts';
import type { Place } from '../../shared/domain/operation.ts';
import { createQueueReader } from '../../shared/queue/claim.ts';
import { createLeases } from '../../shared/queue/leases.ts';
import type { CallOutcome } from '../providers/provider.ts';

const startBench = useBenches();
let bench: Bench;

describe('a create that may have been carried out is repeated as the very same call', () => {
  const sameCall = ({ idempotencyKey, kind, dataJson }: { idempotencyKey: string; kind: string; dataJson: string | undefined }) => ({
    idempotencyKey,
    kind,
    dataJson,
  });

  test('in company, after a crash, though more was appended since', async () => {
    bench = await startBench();
    const hanging = createPlayedProvider({ holds: () => true });
    // Something in flight, so that the two of interest fold.
    const config = providerConfig({ maxConcurrency: 1 });
    await update(bench, 'first');
    const dead = startWith(bench, hanging, { config });
    await hanging.calls(1);
    const ids = [await create(bench, 'r', { a: 1 }), await update(bench, 'r', { b: 2 })];
    await eventually(async () => (await bench.backlog.read('crm')).pending === 3, { intervalMs: 2 });
    hanging.seen[0]?.end();
    await hanging.calls(2);
    await crash(dead);
    const later = await update(bench, 'r', { c: 3 });
    const provider = createPlayedProvider();
    startWith(bench, provider, { config });
    await allAre(bench, 'succeeded', [ids[1] as string, later]);
    const [inDoubt] = hanging.seen[1]?.calls ?? [];
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(sameCall)).toEqual([
      sameCall(inDoubt as never),
      expect.objectContaining({ idempotencyKey: later, kind: 'update' }),
    ]);
    expect(await viewOf(bench, ids[0] as string)).toMatchObject({ status: 'coalesced', carriedBy: ids[1] });
  });

  test('in company that lies pages away in the pending list', async () => {
    bench = await startBench();
    const ids = [await create(bench, 'r', { a: 1 })];
    for (let i = 0; i < 230; i++) await bench.send({ kind: 'read', recordId: `n${i}` });
    ids.push(await update(bench, 'r', { b: 2 }));
    // What a worker leaves that died in the call of both.
    const reader = createQueueReader({ redis: bench.redis, keys: bench.keys, workerId: 'dead' });
    const leases = createLeases({ redis: bench.redis, keys: bench.keys, shards: 1 });
    const lease = await leases.acquire(0, 'dead', 1);
    if (lease.status !== 'acquired') throw new Error('not acquired');
    const owner = { shard: 0, epoch: lease.epoch };
    await reader.claim([{ ...owner, queue: 'crm', count: 500 }]);
    const [first, last] = ids.map(placeOf) as [Place, Place];
    const trial = { attempts: 0, dueAtMs: 0, error: undefined, startedIn: lease.epoch, sealedTo: last.rank };
    await reader.mark(owner, 'crm', new Map([first, last].map(({ ms, rank }) => [`${ms}-${rank}`, trial])));

    // Between the pages the provider is called for somebody else.
    await update(bench, 'theirs', {}, { tenant: 'other' });
    const provider = createPlayedProvider();
    startWith(bench, provider, {
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
    await allAre(bench, 'succeeded', [ids[1] as string]);
    expect(provider.operations[0]?.recordId).toBe('theirs');
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(sameCall)).toEqual([{ idempotencyKey: ids[1], kind: 'create', dataJson: '{"a":1,"b":2}' }]);
  });

  test('in company, in the same process, after an answer was lost', async () => {
    bench = await startBench();
    let isLost = false;
    const provider = createPlayedProvider({
      holds: ({ recordId }) => recordId === 'first',
      answers: ({ recordId }) => {
        if (recordId !== 'r' || isLost) return { status: 'accepted' };
        isLost = true;
        return failed('ambiguous');
      },
    });
    startWith(bench, provider, {
      config: providerConfig({ maxConcurrency: 1, retry: retrying({ baseMs: 50, maxMs: 50 }) }),
    });
    await update(bench, 'first');
    await provider.calls(1);
    await create(bench, 'r', { a: 1 });
    await update(bench, 'r', { b: 2 });
    await eventually(async () => (await bench.backlog.read('crm')).pending === 3, { intervalMs: 2 });
    provider.seen[0]?.end();
    await provider.calls(2);
    const later = await update(bench, 'r', { c: 3 });
    await allAre(bench, 'succeeded', [later]);
    const onRecord = provider.operations.filter(({ recordId }) => recordId === 'r');
    expect(onRecord.map(({ dataJson }) => dataJson)).toEqual(['{"a":1,"b":2}', '{"a":1,"b":2}', '{"c":3}']);
    expect(onRecord[1]?.idempotencyKey).toBe(onRecord[0]?.idempotencyKey);
  });

  test('alone, after a crash, after a drain that was cut short, and after a lease that was lost and taken back', async () => {
    for (const ending of ['crash', 'abandon', 'lost lease'] as const) {
      bench = await startBench();
      const hanging = createPlayedProvider({ holds: () => true });
      const former = startWith(bench, hanging, { id: 'former' });
      const id = await create(bench, 'r', { a: 1 });
      await hanging.calls(1);
      const later = await update(bench, 'r', { b: 2 });
      const provider = createPlayedProvider();
      if (ending === 'lost lease') {
        hanging.holds = () => false;
        former.fleet.forget(former.engine.dropExpired(Number.MAX_SAFE_INTEGER));
        await former.fleet.tick();
      } else {
        if (ending === 'crash') await crash(former);
        else await former.fleet.abandon();
        await former.expire();
        startWith(bench, provider, { id: 'next' });
      }
      await allAre(bench, 'succeeded', [id, later]);
      const repeated = [...hanging.operations.slice(1), ...provider.operations];
      expect([ending, ...repeated.map(({ idempotencyKey, dataJson }) => [idempotencyKey, dataJson])]).toEqual([
        ending,
        [id, '{"a":1}'],
        [later, '{"b":2}'],
      ]);
    }
  });
});

describe('a create that was given up in doubt and is put back is called as one in doubt', () => {
  const once = { config: providerConfig({ retry: retrying({ maxAttempts: 1 }) }) };
  const twice = { config: providerConfig({ retry: retrying({ maxAttempts: 2 }) }) };

  /** Puts a dead letter back; the new operation's id. */
  async function putBack(id: string): Promise<string> {
    const retried = await bench.deadLetters.retry(placeOf(id));
    return retried.status === 'retried' ? retried.operationId : retried.status;
  }

  /** Gives a create up after calls that end with these errors, and puts it back: what the call is like then. */
  async function callAfter(errors: readonly CallOutcome[], options: Partial<WorkerOptions>) {
    bench = await startBench();
    const left = [...errors];
    const provider = createPlayedProvider({ answers: () => left.shift() ?? { status: 'accepted' } });
    startWith(bench, provider, options);
    const id = await create(bench, 'r');
    await allAre(bench, 'dead_lettered', [id]);
    const again = await putBack(id);
    await allAre(bench, 'succeeded', [again]);
    return provider.operations.at(-1);
  }

  test.each([
    ['its answer was lost', [failed('ambiguous')], once],
    ['it could not be found out', [failed('ambiguous'), failed('invalid', { code: 'create_in_doubt' })], twice],
    ['a later attempt got nowhere', [failed('ambiguous'), failed('transient', { isInDoubt: true })], twice],
    ['a gateway answered in place of the provider', [failed('transient', { isInDoubt: true })], once],
  ])('where %s', async (_, errors, options) => {
    expect(await callAfter(errors, options)).toMatchObject({ kind: 'create', isInDoubt: true });
  });

  test.each([
    ['the provider refused it', [failed('invalid')], once],
    ['the provider did nothing', [failed('transient')], once],
    ['the provider said in the end that it was not done', [failed('ambiguous'), failed('invalid', { isInDoubt: false })], twice],
  ])('but not where %s', async (_, errors, options) => {
    expect(await callAfter(errors, options)).toMatchObject({ kind: 'create', isInDoubt: false });
  });

  test('where its workers died', async () => {
    bench = await startBench();
    const hanging = createPlayedProvider({ holds: () => true });
    const id = await create(bench, 'r');
    for (const calls of [1, 2]) {
      const worker = startWith(bench, hanging, once);
      await hanging.calls(calls);
      await crash(worker);
    }
    const provider = createPlayedProvider();
    startWith(bench, provider, once);
    await allAre(bench, 'dead_lettered', [id]);
    expect((await viewOf(bench, id))?.error?.code).toBe('worker_lost');
    await allAre(bench, 'succeeded', [await putBack(id)]);
    expect(provider.operations).toMatchObject([{ kind: 'create', isInDoubt: true }]);
  });

  test('as often as it is given up and put back, and alone, though an update of the record waits behind it', async () => {
    bench = await startBench();
    const left = [failed('ambiguous'), failed('invalid', { code: 'create_in_doubt' })];
    const provider = createPlayedProvider({ answers: () => left.shift() ?? { status: 'accepted' } });
    const worker = startWith(bench, provider, once);
    const id = await create(bench, 'r', { a: 1 });
    await allAre(bench, 'dead_lettered', [id]);
    const second = await putBack(id);
    await allAre(bench, 'dead_lettered', [second]);
    worker.configure('crm', { ...once.config, isPaused: true, version: 2 });
    const third = await putBack(second);
    const later = await update(bench, 'r', { b: 2 });
    await pending(bench, 2);
    worker.configure('crm', { ...once.config, version: 3 });
    await allAre(bench, 'succeeded', [third, later]);
    expect(provider.operations.map(({ isInDoubt, dataJson }) => [isInDoubt, dataJson])).toEqual([
      [false, '{"a":1}'],
      [true, '{"a":1}'],
      [true, '{"a":1}'],
      [false, '{"b":2}'],
    ]);
  });

  test('by the next owner too, where the one that read it ended before the call', async () => {
    bench = await startBench();
    const provider = createPlayedProvider({ answers: () => failed('ambiguous') });
    const former = startWith(bench, provider, { ...once, id: 'former' });
    const id = await create(bench, 'r');
    await allAre(bench, 'dead_lettered', [id]);
    former.configure('crm', { ...once.config, isPaused: true, version: 2 });
    const again = await putBack(id);
    await pending(bench, 1);
    await former.stop();
    const next = createPlayedProvider();
    startWith(bench, next, { ...once, id: 'next' });
    await allAre(bench, 'succeeded', [again]);
    expect(next.operations).toMatchObject([{ kind: 'create', isInDoubt: true }]);
  });

  test('after a bug of ours in what its end meant, and by the next owner too', async () => {
    bench = await startBench();
    const config = providerConfig();
    const broken = createPlayedProvider({ answers: () => undefined as never });
    const former = startWith(bench, broken, { config, id: 'former' });
    const id = await create(bench, 'r');
    await broken.calls(1);
    await eventually(() => former.faults.length > 0);
    await former.stop();
    const next = createPlayedProvider();
    startWith(bench, next, { config, id: 'next' });
    await allAre(bench, 'succeeded', [id]);
    expect(broken.operations[0]).toMatchObject({ kind: 'create', isInDoubt: false });
    expect(next.operations).toMatchObject([{ kind: 'create', isInDoubt: true }]);
  });
});
