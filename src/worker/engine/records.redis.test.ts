/** What becomes of the operations on a record: folding, order, conflicts, retries, dead letters. A real Redis, a played provider. */
import { describe, expect, test } from 'vitest';
import { allAre, allDone, create, pending, placeOf, update, viewOf } from '../../../test/support/bench-facts.ts';
import { accepted, type Bench, failed } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { createPlayedProvider, type PlayedProvider, startWith } from '../../../test/support/played-provider.ts';
import { providerConfig, retrying } from '../../../test/support/provider-config.ts';
import { usePlayedBench } from '../../../test/support/use-benches.ts';

let bench: Bench;
const open = usePlayedBench((started) => {
  bench = started;
});

/** Holds the provider's only slot with another record, so that what is sent meanwhile waits together. */
async function whileBusy(provider: PlayedProvider, send: () => Promise<string[]>): Promise<string[]> {
  const holds = provider.holds;
  provider.holds = () => true;
  await update(bench, 'busy');
  const seen = await provider.calls(provider.seen.length + 1);
  const ids = await send();
  await pending(bench, ids.length + 1);
  provider.holds = holds;
  seen.at(-1)?.end();
  return ids;
}

const one = providerConfig({ maxConcurrency: 1 });
const of = (provider: PlayedProvider, recordId = 'r') => provider.operations.filter((call) => call.recordId === recordId);

describe('folding', () => {
  test('updates that wait go as one call; those carried name their carrier', async () => {
    const provider = createPlayedProvider();
    await open(provider, { config: one });
    const ids = await whileBusy(provider, async () => [
      await update(bench, 'r', { a: 1, b: 1 }),
      await update(bench, 'r', { b: 2 }),
      await update(bench, 'r', { c: null }),
    ]);
    await allDone(bench);
    expect(of(provider).map(({ dataJson }) => dataJson)).toEqual(['{"a":1,"b":2,"c":null}']);
    const views = await Promise.all(ids.map((id) => viewOf(bench, id)));
    expect(views.map((view) => [view?.status, view?.carriedBy, view?.attempts])).toEqual([
      ['coalesced', ids[2], 1],
      ['coalesced', ids[2], 1],
      ['succeeded', undefined, 1],
    ]);
  });

  test('one bad change among those folded costs only itself', async () => {
    const isBad = (dataJson: string | undefined) => dataJson?.includes('"bad"') ?? false;
    const provider = createPlayedProvider({ answers: ({ dataJson }) => (isBad(dataJson) ? failed('invalid') : accepted) });
    await open(provider, { config: one });
    const ids = await whileBusy(provider, async () => [
      await update(bench, 'r', { a: 1 }),
      await update(bench, 'r', { bad: 1 }),
      await update(bench, 'r', { c: 3 }),
    ]);
    await allDone(bench);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['succeeded', 'dead_lettered', 'succeeded']);
    expect(of(provider).map(({ dataJson }) => dataJson)).toEqual(['{"a":1,"bad":1,"c":3}', '{"a":1}', '{"bad":1}', '{"c":3}']);
    const views = await Promise.all(ids.map((id) => viewOf(bench, id)));
    expect(views.map((view) => view?.attempts)).toEqual([1, 1, 1]);
  });

  test('changes that may have been carried out together are not sent again one by one: an older one would follow a newer one', async () => {
    const state = { isLost: false };
    const provider = createPlayedProvider({
      answers: ({ recordId, dataJson }) => {
        if (recordId !== 'r') return accepted;
        if (dataJson?.includes('bad')) return failed('invalid');
        if (state.isLost) return accepted;
        state.isLost = true;
        return failed('ambiguous', { retryAfterMs: 300 });
      },
    });
    await open(provider, { config: one });
    const ids = await whileBusy(provider, async () => [await update(bench, 'r', { n: 1 }), await update(bench, 'r', { n: 2 })]);
    await allAre(bench, 'retrying', ids);
    ids.push(await update(bench, 'r', { n: 3, bad: 1 }), await update(bench, 'r', { n: 4 }));
    await allDone(bench);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['coalesced', 'succeeded', 'dead_lettered', 'succeeded']);
    const carriedOut = of(provider).filter(({ dataJson }) => !dataJson?.includes('bad'));
    expect(carriedOut.map(({ dataJson }) => dataJson)).toEqual(['{"n":2}', '{"n":2}', '{"n":4}']);
  });

  test('a read keeps its place: it sees what came before it, and nothing of what came after', async () => {
    const held = { value: 0 };
    const provider = createPlayedProvider({
      answers: ({ kind, dataJson }) => {
        if (kind === 'read') return { status: 'accepted', result: { value: held.value } };
        held.value = (JSON.parse(dataJson ?? '{}') as { value?: number }).value ?? held.value;
        return accepted;
      },
    });
    await open(provider, { config: one });
    const ids = await whileBusy(provider, async () => [
      await update(bench, 'r', { value: 1 }),
      await bench.send({ kind: 'read', recordId: 'r' }),
      await update(bench, 'r', { value: 2 }),
    ]);
    await allDone(bench);
    expect(of(provider).map(({ kind }) => kind)).toEqual(['update', 'read', 'update']);
    expect(await viewOf(bench, ids[1] as string)).toMatchObject({ status: 'succeeded', result: { value: 1 } });
  });

  test('where the provider is configured so, every change goes by itself', async () => {
    const provider = createPlayedProvider();
    await open(provider, { config: providerConfig({ maxConcurrency: 1, coalesce: false }) });
    const ids = await whileBusy(provider, async () => [await update(bench, 'r', { a: 1 }), await update(bench, 'r', { a: 2 })]);
    await allAre(bench, 'succeeded', ids);
    expect(of(provider)).toHaveLength(2);
  });

  test('one record is never in two calls, and its next call starts only when the end of the last is written', async () => {
    const provider = createPlayedProvider({ holds: ({ recordId }) => recordId === 'r' });
    let release = () => {};
    const written = new Promise<void>((resolve) => {
      release = resolve;
    });
    await open(provider, {
      wrap: {
        settle: (settle) => async (settlements) => {
          await written;
          return settle(settlements);
        },
      },
    });
    await update(bench, 'r', { n: 1 });
    await provider.calls(1);
    await update(bench, 'r', { n: 2 });
    await pending(bench, 2);
    provider.seen[0]?.end();
    await update(bench, 'other');
    await provider.calls(2);
    expect(provider.operations.map(({ recordId }) => recordId)).toEqual(['r', 'other']);
    release();
    await provider.calls(3);
    provider.seen[2]?.end();
    await allDone(bench);
    expect(provider.overlaps).toEqual([]);
  });
});

describe('conflicts', () => {
  const base = 1_700_000_000_000;

  test('an older change that comes after a newer one is stale, and is not sent', async () => {
    const provider = createPlayedProvider();
    await open(provider);
    await allAre(bench, 'succeeded', [await update(bench, 'r', { n: 2 }, { timestampMs: base + 2 })]);
    const late = await update(bench, 'r', { n: 1 }, { timestampMs: base + 1 });
    await allAre(bench, 'stale', [late]);
    expect(provider.seen).toHaveLength(1);
    expect((await viewOf(bench, late))?.attempts).toBe(0);
  });

  test('an older change behind a newer one that is refused takes its turn', async () => {
    const provider = createPlayedProvider({ answers: ({ dataJson }) => (dataJson?.includes('bad') ? failed('invalid') : accepted) });
    await open(provider, { config: one });
    const ids = await whileBusy(provider, async () => [
      await update(bench, 'r', { bad: 1 }, { timestampMs: base + 9 }),
      await update(bench, 'r', { n: 1 }, { timestampMs: base + 1 }),
    ]);
    await allDone(bench);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(['dead_lettered', 'succeeded']);
  });

  test('what is stale is known to the next owner, too', async () => {
    const provider = createPlayedProvider();
    const former = await open(provider);
    await allAre(bench, 'succeeded', [await update(bench, 'r', { n: 2 }, { timestampMs: base + 2 })]);
    await former.stop();
    const late = await update(bench, 'r', { n: 1 }, { timestampMs: base + 1 });
    startWith(bench, provider);
    await allAre(bench, 'stale', [late]);
  });

  test('in field mode the fields that nobody has overtaken are sent', async () => {
    const provider = createPlayedProvider();
    await open(provider, { config: providerConfig({ conflict: 'field' }) });
    await allAre(bench, 'succeeded', [await bench.send({ kind: 'upsert', recordId: 'r', dataJson: '{"x":2}', timestampMs: base + 2 })]);
    const late = await update(bench, 'r', { x: 1, y: 1 }, { timestampMs: base + 1 });
    await allAre(bench, 'succeeded', [late]);
    expect(provider.operations.map(({ dataJson }) => dataJson)).toEqual(['{"x":2}', '{"y":1}']);
    await allAre(bench, 'stale', [await update(bench, 'r', { x: 0 }, { timestampMs: base })]);
  });

  test('a change of the mode while an operation waits decides over it, too', async () => {
    const provider = createPlayedProvider();
    const worker = await open(provider, { config: providerConfig({ conflict: 'field' }) });
    await allAre(bench, 'succeeded', [await bench.send({ kind: 'upsert', recordId: 'r', dataJson: '{"x":2}', timestampMs: base + 2 })]);
    worker.configure('crm', providerConfig({ conflict: 'field', isPaused: true, version: 2 }));
    const late = await update(bench, 'r', { y: 1 }, { timestampMs: base + 1 });
    await pending(bench, 1);
    worker.configure('crm', providerConfig({ conflict: 'record', version: 3 }));
    await allAre(bench, 'stale', [late]);
    expect(provider.seen).toHaveLength(1);
  });
});

describe('failures', () => {
  test('what may pass is tried again, and everybody can see when', async () => {
    let isOut = true;
    const provider = createPlayedProvider({
      answers: () => (isOut ? failed('transient', { retryAfterMs: 400, providerStatus: 503 }) : accepted),
    });
    await open(provider);
    const before = Date.now();
    const id = await update(bench, 'r');
    await eventually(async () => (await bench.stateOf(id)) === 'retrying', { intervalMs: 2 });
    const view = await viewOf(bench, id);
    expect(view).toMatchObject({ attempts: 1, error: { code: 'transient', retryable: true, providerStatus: 503 } });
    expect(view?.nextAttemptAtMs).toBeGreaterThanOrEqual(before + 400);
    isOut = false;
    await allAre(bench, 'succeeded', [id]);
    expect((provider.seen[1]?.startedAt ?? 0) - (view?.nextAttemptAtMs ?? 0)).toBeGreaterThanOrEqual(-2);
    expect((await viewOf(bench, id))?.attempts).toBe(2);
  });

  test('the last attempt ends in the dead-letter queue, with the operation as it was submitted and the last answer', async () => {
    const provider = createPlayedProvider({ answers: () => failed('transient', { providerStatus: 500, answer: 'out of order' }) });
    await open(provider, { config: providerConfig({ retry: retrying({ maxAttempts: 3, maxMs: 2 }) }) });
    const submitted = {
      kind: 'upsert',
      recordId: 'r',
      entity: 'deal',
      source: 'billing',
      timestampMs: 1_700_000_000_000,
      dataJson: '{"x":1}',
    } as const;
    const id = await bench.send(submitted);
    await allAre(bench, 'dead_lettered', [id]);
    expect(provider.seen).toHaveLength(3);
    const letter = await bench.deadLetters.get(placeOf(id));
    expect(letter).toMatchObject({ attempts: 3, error: { code: 'transient', providerStatus: 500, answer: 'out of order' } });
    expect(letter?.operation).toMatchObject(submitted);
    expect(await bench.redis.hlen(bench.keys.tries(0, 'crm'))).toBe(0);
  });

  test('a dead letter does not stop its record', async () => {
    const provider = createPlayedProvider({ answers: ({ kind }) => (kind === 'create' ? failed('conflict') : accepted) });
    await open(provider);
    const ids = [await create(bench, 'r'), await bench.send({ kind: 'upsert', recordId: 'r', dataJson: '{"x":1}' })];
    await allDone(bench);
    expect(await bench.stateOf(ids[1] as string)).toBe('succeeded');
  });

  test('one record that fails again and again stops no other, however small the window', async () => {
    const provider = createPlayedProvider({
      answers: ({ recordId }) => (recordId.startsWith('stuck') ? failed('transient', { retryAfterMs: 600_000 }) : accepted),
    });
    await open(provider, { window: 2 });
    const stuck = [await update(bench, 'stuck 1'), await update(bench, 'stuck 2'), await update(bench, 'stuck 3')];
    await allAre(bench, 'retrying', stuck);
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => update(bench, `r${i}`)));
    await allAre(bench, 'succeeded', ids);
    expect(await Promise.all(stuck.map(bench.stateOf))).toEqual(['retrying', 'retrying', 'retrying']);
  });

  test('a fault of an adapter kills nobody: its operation is tried again, and the others go on', async () => {
    const provider = createPlayedProvider();
    let faults = 0;
    const worker = await open(provider, {
      createAdapter: () => ({
        maxBatch: 1,
        batchWaitMs: 0,
        canShareBatch: () => true,
        prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
        send([first], _guard, done) {
          if (first?.call.recordId === 'r' && faults++ === 0) throw new Error('a bug');
          setImmediate(() => done([accepted]));
          return { abort: () => {} };
        },
        close: async () => {},
      }),
    });
    const ids = [await update(bench, 'r'), await update(bench, 'other')];
    await allAre(bench, 'succeeded', ids);
    expect((await viewOf(bench, ids[0] as string))?.attempts).toBe(1);
    expect(worker.faults.map(String)).toEqual(['Error: a bug']);
  });
});

describe('batches', () => {
  test('a batch that is refused as one is split until the culprit stands alone', async () => {
    const provider = createPlayedProvider();
    const answer = (calls: Parameters<PlayedProvider['answer']>[0]) => {
      const hasCulprit = calls.some(({ recordId }) => recordId === 'culprit');
      const refused = failed('invalid', { isWholeBatch: true });
      void provider.answer(calls);
      return hasCulprit ? calls.map(() => refused) : calls.map(() => accepted);
    };
    const worker = await open(provider, { answer, maxBatch: 8, config: providerConfig({ maxConcurrency: 1, isPaused: true }) });
    const ids: string[] = [];
    for (let i = 0; i < 8; i++) ids.push(await update(bench, i === 5 ? 'culprit' : `r${i}`));
    await pending(bench, 8);
    worker.configure('crm', providerConfig({ maxConcurrency: 1, version: 2 }));
    await allDone(bench);
    expect(await Promise.all(ids.map(bench.stateOf))).toEqual(ids.map((_, i) => (i === 5 ? 'dead_lettered' : 'succeeded')));
    expect(provider.seen.map(({ calls }) => calls.length)).toEqual([8, 4, 4, 2, 2, 1, 1]);
    const views = await Promise.all(ids.map((id) => viewOf(bench, id)));
    expect(views.map((view) => view?.attempts)).toEqual(ids.map(() => 1));
  });

  test('results are each record’s own', async () => {
    const provider = createPlayedProvider({
      answers: ({ recordId }) =>
        recordId === 'bad' ? failed('invalid') : recordId === 'late' ? failed('transient', { retryAfterMs: 600_000 }) : accepted,
    });
    await open(provider, { maxBatch: 10 });
    const [fine, bad, late] = await Promise.all(['fine', 'bad', 'late'].map((recordId) => update(bench, recordId)));
    await allAre(bench, 'succeeded', [fine as string]);
    await allAre(bench, 'dead_lettered', [bad as string]);
    await allAre(bench, 'retrying', [late as string]);
  });
});
