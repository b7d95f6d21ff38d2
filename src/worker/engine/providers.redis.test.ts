/** Providers that pause, go, come back, change, hang or compete: each by itself. A real Redis, a played provider. */
import { describe, expect, test } from 'vitest';
import { allAre, allDone, create, pending, update } from '../../../test/support/bench-facts.ts';
import { accepted, type Bench, crash, failed, playedAdapter, type WorkerOptions } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, type PlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';
import type { QueueReader } from '../../shared/queue/claim.ts';
import type { CallOutcome } from '../providers/provider.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

/** The worker shares the test's connection: what it would do now is done when this returns. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    await bench.redis.ping();
  }
}

describe('pausing', () => {
  test('nothing is called while a provider is paused; its operations wait, and go on afterwards', async () => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { config: providerConfig({ isPaused: true }) });
    const ids = [await update(bench, 'a'), await update(bench, 'b')];
    await pending(bench, 2);
    await turns();
    expect(provider.seen).toEqual([]);
    worker.configure('crm', providerConfig({ version: 2 }));
    await allAre(bench, 'succeeded', ids);
  });

  test('a throttled provider is left alone by the whole fleet, as long as it asked for', async () => {
    let isThrottling = true;
    const provider = createPlayedProvider({ answers: () => (isThrottling ? failed('rate_limited', { retryAfterMs: 400 }) : accepted) });
    await open(provider, {}, 2);
    startWith(bench, provider);
    const first = await update(bench, 'first');
    await provider.calls(1);
    const at = Date.now();
    isThrottling = false;
    const ids = [first, ...(await Promise.all(Array.from({ length: 10 }, (_, i) => update(bench, `r${i}`))))];
    await allAre(bench, 'succeeded', ids);
    // Those that were under way when the answer came do not count.
    const later = provider.seen.slice(1).filter(({ startedAt }) => startedAt > at + 50);
    for (const { startedAt } of later) expect(startedAt - at).toBeGreaterThanOrEqual(350);
  });

  test('one record of a batch that was throttled pauses the provider', async () => {
    const provider = createPlayedProvider({
      answers: ({ recordId }) => (recordId === 'b' ? failed('rate_limited', { retryAfterMs: 60_000 }) : accepted),
    });
    await open(provider, { maxBatch: 2 });
    await Promise.all(['a', 'b'].map((recordId) => update(bench, recordId)));
    await eventually(async () => Number(await bench.redis.hget(bench.keys.gate('crm'), 'pause')) > 0, { intervalMs: 2 });
  });
});

describe('tenants with accounts of their own', () => {
  const own = (part = {}) => providerConfig({ account: 'crm:acme', baseUrl: 'http://acme', ...part });
  /** Tells which account each call went to. */
  async function openWith(provider: PlayedProvider, configs: WorkerOptions['configs']) {
    const calls: string[] = [];
    const worker = await open(provider, {
      configs: configs ?? [],
      createAdapter: (config) =>
        playedAdapter((batch) => {
          for (const { recordId } of batch) calls.push(`${recordId} at ${config.account}`);
          return provider.answer(batch);
        }),
    });
    return { worker, calls };
  }
  const submit = (recordId: string, tenant: string) => bench.send({ kind: 'update', recordId, tenant, dataJson: '{"a":1}' });

  test('are called with their own configuration, the others with the provider’s', async () => {
    const { calls } = await openWith(createPlayedProvider(), [providerConfig(), own()]);
    await allAre(bench, 'succeeded', await Promise.all([submit('a', 'acme'), submit('b', 'other'), submit('c', 'default')]));
    expect(calls.sort()).toEqual(['a at crm:acme', 'b at crm', 'c at crm']);
  });

  test('what waits at the provider’s account goes on at the tenant’s own once there is one, and back when it is gone', async () => {
    const { worker, calls } = await openWith(createPlayedProvider(), [providerConfig({ isPaused: true })]);
    const first = await submit('a', 'acme');
    await pending(bench, 1);
    await turns();
    expect(calls).toEqual([]);
    worker.configure('crm:acme', own());
    await allAre(bench, 'succeeded', [first]);
    worker.configure('crm:acme', own({ isPaused: true, version: 2 }));
    const second = await submit('b', 'acme');
    await pending(bench, 1);
    await turns();
    worker.configure('crm', providerConfig({ version: 2 }));
    worker.configure('crm:acme', undefined);
    await allAre(bench, 'succeeded', [second]);
    expect(calls).toEqual(['a at crm:acme', 'b at crm']);
  });

  test('a pause of the one account does not stop the other', async () => {
    let isThrottling = true;
    const provider = createPlayedProvider({
      answers: ({ recordId }) => (isThrottling && recordId === 'a' ? failed('rate_limited', { retryAfterMs: 60_000 }) : accepted),
    });
    await openWith(provider, [providerConfig(), own()]);
    await submit('a', 'acme');
    await eventually(async () => Number(await bench.redis.hget(bench.keys.gate('crm:acme'), 'pause')) > 0, { intervalMs: 2 });
    isThrottling = false;
    await allAre(bench, 'succeeded', [await submit('b', 'other')]);
  });

  test('may have killed workers: then they take their turn at the account they came to, and hold up nobody at the former one', async () => {
    const hanging = createPlayedProvider({ holds: () => true });
    const first = await open(hanging);
    await Promise.all([submit('a', 'a'), submit('b', 'b')]);
    await hanging.calls(2);
    await crash(first);
    const second = startWith(bench, hanging);
    await hanging.calls(4);
    await crash(second);
    let write = () => {};
    const mayWrite = new Promise<void>((resolve) => {
      write = resolve;
    });
    const marked: string[] = [];
    const provider = createPlayedProvider({ holds: ({ tenant }) => marked[0] === `crm:${tenant}` });
    const mark =
      (plain: QueueReader): QueueReader['mark'] =>
      async (owner, queue, trials) => {
        marked.push(queue);
        await mayWrite;
        return plain.mark(owner, queue, trials);
      };
    const worker = startWith(bench, provider, { wrap: { reader: (plain) => ({ ...plain, mark: mark(plain) }) } });
    const account = await eventually(() => marked[0] ?? false, { intervalMs: 1 });
    worker.configure(account, providerConfig({ account }));
    write();
    const seen = await provider.calls(2);
    expect(new Set(seen.flatMap(({ calls }) => calls.map(({ recordId }) => recordId)))).toEqual(new Set(['a', 'b']));
    expect(provider.underWay).toBe(1);
    for (const { end } of seen) end();
  });
});

describe('calls in doubt', () => {
  test('say so until their end is known: after a lost answer, and after a death', async () => {
    const doubts: boolean[] = [];
    const answers: CallOutcome[] = [failed('ambiguous'), failed('transient', { isInDoubt: true }), failed('transient'), accepted];
    const worker = await open(createPlayedProvider(), {
      answer: ([call]) => {
        doubts.push(call?.isInDoubt ?? false);
        return [answers.shift() ?? accepted];
      },
    });
    await allAre(bench, 'succeeded', [await update(bench, 'a')]);
    expect(doubts).toEqual([false, true, true, false]);
    let isCalled = false;
    await crash(worker);
    const dying = bench.startWorker({
      answer: () => {
        isCalled = true;
        return new Promise(() => {});
      },
    });
    const id = await update(bench, 'b');
    await eventually(() => isCalled, { intervalMs: 1 });
    await crash(dying);
    bench.startWorker({
      answer: ([call]) => {
        doubts.push(call?.isInDoubt ?? false);
        return [accepted];
      },
    });
    await allAre(bench, 'succeeded', [id]);
    expect(doubts.at(-1)).toBe(true);
  });
});

describe('going and coming back', () => {
  test('a provider that is not registered has its operations wait; registered, they are delivered in order', async () => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { configs: [] });
    const ids = [await create(bench, 'r', { n: 1 }), await update(bench, 'r', { n: 2 })];
    await turns();
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['queued', 'queued']);
    worker.configure('crm', providerConfig({ coalesce: false }));
    await allAre(bench, 'succeeded', ids);
    expect(provider.operations.map(({ kind }) => kind)).toEqual(['create', 'update']);
  });

  test('deleted while a call is in flight and back at once: the record is not called a second time beside it', async () => {
    const provider = createPlayedProvider({ holds: () => true });
    const worker = await open(provider);
    const first = await update(bench, 'r', { n: 1 });
    await provider.calls(1);
    worker.configure('crm', undefined);
    worker.configure('crm', providerConfig());
    const second = await update(bench, 'r', { n: 2 });
    await turns();
    expect(provider.seen).toHaveLength(1);
    provider.holds = () => false;
    provider.seen[0]?.end();
    await allAre(bench, 'succeeded', [first, second]);
    expect(provider.overlaps).toEqual([]);
    expect(provider.operations.map(({ dataJson }) => dataJson)).toEqual(['{"n":1}', '{"n":2}']);
  });

  test('what is appended while it is gone does not overtake what was pending before', async () => {
    const provider = createPlayedProvider();
    const config = providerConfig({ coalesce: false });
    const worker = await open(provider, { config: { ...config, isPaused: true } });
    const first = await create(bench, 'r', { n: 1 });
    await pending(bench, 1);
    worker.configure('crm', undefined);
    const second = await update(bench, 'r', { n: 2 });
    await turns();
    worker.configure('crm', { ...config, version: 2 });
    await allAre(bench, 'succeeded', [first, second]);
    expect(provider.operations.map(({ kind }) => kind)).toEqual(['create', 'update']);
  });

  test.each([1, 2])('deleted and registered anew, unseen until version %i: what was given up meanwhile is not called', async (version) => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { config: providerConfig({ isPaused: true }) });
    await update(bench, 'given up');
    await pending(bench, 1);
    // What giving up a provider's queues leaves of them.
    await bench.redis.unlink(bench.keys.queue(0, 'crm'));
    await bench.redis.hdel(bench.keys.counters(0, 'crm'), 'g');
    await bench.redis.srem(bench.keys.ready(0), 'crm');
    worker.configure('crm', providerConfig({ version, createdAt: '2026-01-01T00:00:01.000Z' }));
    const id = await update(bench, 'r');
    await allAre(bench, 'succeeded', [id]);
    expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['r']);
  });

  test('a kind that this worker does not know waits for one that does', async () => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { createAdapter: () => undefined });
    const id = await update(bench, 'r');
    await pending(bench, 1);
    await worker.stop();
    startWith(bench, provider);
    await allAre(bench, 'succeeded', [id]);
  });

  test('a configuration that changes while calls are in flight holds for the next ones', async () => {
    const provider = createPlayedProvider({ holds: ({ recordId }) => recordId === 'in flight' });
    const worker = await open(provider, { config: providerConfig({ maxConcurrency: 1 }) });
    const ids = [await update(bench, 'in flight')];
    await provider.calls(1);
    worker.configure('crm', providerConfig({ maxConcurrency: 3, version: 2 }));
    ids.push(await update(bench, 'a'), await update(bench, 'b'));
    await allAre(bench, 'succeeded', ids.slice(1));
    provider.seen[0]?.end();
    await allAre(bench, 'succeeded', ids);
  });
});

describe('side by side', () => {
  test('a provider that hangs costs the others nothing, and holds no more than its window in memory', async () => {
    const provider = createPlayedProvider({ holds: ({ operationId }) => operationId.includes('.hangs') });
    const worker = await open(provider, { configs: [providerConfig({ name: 'hangs' }), providerConfig({ name: 'fine' })], window: 64 });
    await Promise.all(Array.from({ length: 2_000 }, (_, i) => update(bench, `r${i}`, { i }, { provider: 'hangs' })));
    const ids = await Promise.all(Array.from({ length: 300 }, (_, i) => update(bench, `r${i}`, { i }, { provider: 'fine' })));
    await allAre(bench, 'succeeded', ids);
    expect(worker.engine.held.entries).toBeLessThanOrEqual(64);
    expect(provider.underWay).toBe(50);
    // Nobody waits for what hangs.
    worker.crash();
  });

  test('tenants that share an account get the same, whoever queued more', async () => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { config: providerConfig({ maxConcurrency: 1, isPaused: true }) });
    const amounts = { big: 60, middle: 30, small: 15 };
    for (const [tenant, amount] of Object.entries(amounts)) {
      await Promise.all(Array.from({ length: amount }, (_, i) => update(bench, `${tenant}${i}`, { i }, { tenant })));
    }
    await eventually(async () => (await bench.backlog.read('crm')).pending >= 45, { intervalMs: 2 });
    worker.configure('crm', providerConfig({ maxConcurrency: 1, version: 2 }));
    await allDone(bench);
    const first = provider.operations.slice(0, 45).map(({ tenant }) => tenant);
    expect(Object.keys(amounts).map((name) => first.filter((tenant) => tenant === name).length)).toEqual([15, 15, 15]);
  });

  test('nothing of what was held is left in the books when all is done', async () => {
    const provider = createPlayedProvider({ answers: ({ recordId }) => (recordId.endsWith('3') ? failed('invalid') : accepted) });
    const worker = await open(provider, { maxBatch: 4 }, 4);
    await Promise.all(Array.from({ length: 200 }, (_, i) => update(bench, `r${i % 40}`, { i })));
    await allDone(bench);
    await eventually(() => worker.engine.held.entries === 0, { intervalMs: 2 });
    expect(worker.engine.held).toEqual({ entries: 0, bytes: 0 });
    expect([...worker.engine.callsInFlight.values()]).toEqual([0]);
  });
});
