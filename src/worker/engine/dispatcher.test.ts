import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { providerConfig } from '../../../test/support/engine.ts';
import { aLane, anOperation, appliedAt, aQueue, aShard } from '../../../test/support/lanes.ts';
import { createPlayedGate } from '../../../test/support/played-gate.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { Call, CallOutcome, ProviderAdapter, SendGuard } from '../providers/provider.ts';
import { Dispatcher, type DispatcherDeps } from './dispatcher.ts';
import type { Held, Lane } from './lane.ts';
import { PermitStock } from './permit-stock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

interface Sent {
  readonly calls: readonly Call[];
  readonly guard: SendGuard;
  end(outcomes?: readonly CallOutcome[]): void;
}

/** An adapter that keeps what it was given until the test ends it. */
function recordingAdapter(sent: Sent[], part: Partial<ProviderAdapter> = {}): ProviderAdapter & { closed: number } {
  const adapter = {
    maxBatch: 1,
    batchWaitMs: 20,
    closed: 0,
    canShareBatch: () => true,
    prepare: (call: Call) => ({ status: 'prepared' as const, prepared: { call, body: undefined } }),
    send(prepared: readonly { call: Call }[], guard: SendGuard, done: (outcomes: readonly CallOutcome[]) => void) {
      const calls = prepared.map(({ call }) => call);
      sent.push({ calls, guard, end: (outcomes = calls.map(() => ({ status: 'accepted' as const }))) => done(outcomes) });
      return { abort: () => {} };
    },
    async close() {
      adapter.closed++;
    },
    ...part,
  };
  return adapter;
}

interface Part extends Partial<DispatcherDeps> {
  readonly adapter?: Partial<ProviderAdapter>;
  /** What the next adapter is like; throws where it cannot be made. */
  readonly nextAdapter?: () => Partial<ProviderAdapter>;
  readonly config?: Partial<ProviderConfig>;
  readonly slots?: number;
  readonly marksWritten?: Promise<void>;
}

function start(part: Part = {}) {
  const sent: Sent[] = [];
  const adapters: ReturnType<typeof recordingAdapter>[] = [];
  const events: string[] = [];
  const marked: Lane[] = [];
  const rank = ({ waiting }: Lane) => (waiting[0] as Held).rank;
  const gate = createPlayedGate({ now: Date.now });
  gate.slots = part.slots ?? 50;
  const { marksWritten = Promise.resolve() } = part;
  const stock = new PermitStock(providerConfig(), {
    gate,
    account: 'crm',
    holdTtlMs: 10_000,
    now: Date.now,
    onChange: () => dispatcher.pump(),
    onGrant: () => {},
    onError: (error) => {
      throw error;
    },
  });
  const dispatcher: Dispatcher = new Dispatcher({
    account: 'crm',
    onRefused: (lane, length, error) => void events.push(`refused ${rank(lane)} x${length} ${error.code}`),
    onTooLate: (lane) => void events.push(`too late ${rank(lane)}`),
    onStale: (lane) => void events.push(`stale ${rank(lane)}`),
    onMark: async (lane, length) => {
      marked.push(lane);
      events.push(`mark ${rank(lane)} x${length}`);
      await marksWritten;
    },
    onEnd: (call, outcomes) => {
      events.push(`end ${call.parts.length} ${outcomes[0]?.status}`);
      for (const { lane } of call.parts) lane.state = 'settling';
    },
    onFault: (lane, error) => {
      lane.state = 'backoff';
      events.push(`fault ${rank(lane)} ${(error as Error).message}`);
    },
    onAdapterFault: (error) => void events.push(`adapter ${(error as Error).message}`),
    createAdapter: () => {
      const adapter = recordingAdapter(sent, part.nextAdapter?.() ?? part.adapter);
      adapters.push(adapter);
      return adapter;
    },
    canKeepAdapter: () => false,
    now: Date.now,
    startMarginMs: 20,
    ...part,
    stock,
  });
  let version = 1;
  const configure = (config: Partial<ProviderConfig> = {}) =>
    dispatcher.setConfig(providerConfig({ ...part.config, ...config, version: version++ }));
  configure();
  return { dispatcher, stock, gate, sent, adapters, events, marked, configure };
}

const lanes = (count: number, queue = aQueue()): Lane[] =>
  Array.from({ length: count }, (_, i) => aLane([anOperation(i + 1)], { queue, digest: String(i + 1) }));
const ranksOf = (sent: readonly Sent[]) =>
  sent.map(({ calls }) => calls.map(({ operationId }) => Number.parseInt(operationId.split('.')[2] as string, 36)));

async function enterAll(dispatcher: Dispatcher, all: readonly Lane[]): Promise<void> {
  for (const lane of all) dispatcher.enter(lane);
  dispatcher.pump();
  await vi.advanceTimersByTimeAsync(0);
}

describe('further requests of a call', () => {
  test('have permits of their own, before calls that have not begun, and take no second slot', async () => {
    const { dispatcher, gate, sent } = start({ slots: 1, config: { maxConcurrency: 1 } });
    await enterAll(dispatcher, lanes(2));
    const granted = gate.requests.reduce((sum, { want }) => sum + want, 0);
    const next = sent[0]?.guard.nextRequest();
    await vi.advanceTimersByTimeAsync(300);
    expect((await next)?.mayStart()).toBe(true);
    expect(ranksOf(sent)).toEqual([[1]]);
    expect(gate.requests.reduce((sum, { want }) => sum + want, 0)).toBeGreaterThan(granted);
    sent[0]?.end();
    await vi.advanceTimersByTimeAsync(300);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('that wait when the call ends, or the dispatcher is closed, are told that there is no permit', async () => {
    const { dispatcher, gate, sent } = start({ slots: 2, config: { maxConcurrency: 2 } });
    await enterAll(dispatcher, lanes(2));
    gate.slots = 0;
    await vi.advanceTimersByTimeAsync(20_000);
    const [first, second] = [sent[0]?.guard.nextRequest(), sent[1]?.guard.nextRequest()];
    sent[0]?.end();
    expect(await first).toBeUndefined();
    await dispatcher.close();
    expect(await second).toBeUndefined();
  });
});

test('lanes of a queue that came to another account are handed back, in halves and out of them', async () => {
  const { dispatcher, sent } = start({ slots: 0, adapter: { maxBatch: 2 } });
  const queue = aQueue('crm:own');
  const [staying, leaving] = [lanes(2), lanes(4, queue)];
  await enterAll(dispatcher, [...staying, ...leaving.slice(0, 2)]);
  dispatcher.enterHalves(leaving.slice(2));
  expect(new Set(dispatcher.withdraw(queue))).toEqual(new Set(leaving));
  expect(dispatcher.withdraw(queue)).toEqual([]);
  expect(sent).toEqual([]);
});

describe('calls', () => {
  test('as many at once as there are slots, the next when one has ended', async () => {
    const { dispatcher, sent } = start({ slots: 3 });
    await enterAll(dispatcher, lanes(5));
    expect(ranksOf(sent)).toEqual([[1], [2], [3]]);
    sent[1]?.end();
    expect(ranksOf(sent)).toEqual([[1], [2], [3], [4]]);
    expect(dispatcher.inFlight).toBe(3);
  });

  test('a folded group goes as one call, in the name of its last', async () => {
    const { dispatcher, sent } = start();
    await enterAll(dispatcher, [aLane([anOperation(1, { dataJson: '{"x":1,"y":1}' }), anOperation(2, { dataJson: '{"y":2}' })])]);
    expect(sent[0]?.calls[0]).toMatchObject({ kind: 'update', dataJson: '{"x":1,"y":2}', timestampMs: 1_002 });
    expect(ranksOf(sent)).toEqual([[2]]);
  });

  test('in field mode only what is left of an overtaken change', async () => {
    const { dispatcher, sent } = start({ config: { conflict: 'field' } });
    const applied = appliedAt(5_000, 0, { fields: new Map([['x', { ms: 5_000, rank: 0 }]]) });
    await enterAll(dispatcher, [aLane([anOperation(1, { dataJson: '{"x":1,"y":1}' })], { applied })]);
    expect(sent[0]?.calls[0]?.dataJson).toBe('{"y":1}');
  });

  test('nothing for a provider that is paused or not configured, and no permits either', async () => {
    const { dispatcher, sent, gate, configure } = start({ config: { isPaused: true } });
    await enterAll(dispatcher, lanes(2));
    dispatcher.setConfig(undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toEqual([]);
    expect(gate.requests).toEqual([]);
    configure({ isPaused: false });
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('nothing for a shard that is handed over, nor for one whose lease has too little left', async () => {
    const { dispatcher, sent, events } = start();
    const shard = aShard({ leaseEndsAt: Date.now() + 19 });
    const draining = aShard({ shard: 1 });
    draining.isDraining = true;
    await enterAll(dispatcher, [...lanes(1, aQueue('crm', shard)), ...lanes(1, aQueue('crm', draining))]);
    expect(sent).toEqual([]);
    expect(events).toEqual(['too late 1']);
  });

  test('what a newer change has overtaken since it got ready is not called', async () => {
    const { dispatcher, sent, events } = start();
    const [lane] = lanes(1) as [Lane];
    lane.applied = appliedAt(9_000);
    await enterAll(dispatcher, [lane]);
    expect(sent).toEqual([]);
    expect(events).toEqual(['stale 1']);
  });

  test('a permit that found nothing to call serves the next one', async () => {
    const { dispatcher, gate, sent, marked } = start();
    const suspect = aLane([anOperation(1, { isSuspect: true })]);
    await enterAll(dispatcher, [suspect]);
    expect(sent).toEqual([]);
    expect(marked).toEqual([suspect]);
    for (const held of suspect.waiting) held.isMarked = true;
    await enterAll(dispatcher, [suspect]);
    expect(ranksOf(sent)).toEqual([[1]]);
    expect(gate.requests.reduce((sum, { want }) => sum + want, 0)).toBe(1);
  });

  test('no more are written down than can be called: a crash in between charges those alone', async () => {
    let write = () => {};
    const marksWritten = new Promise<void>((resolve) => {
      write = resolve;
    });
    const { dispatcher, sent, marked } = start({ slots: 2, marksWritten });
    const queue = aQueue();
    const suspects = Array.from({ length: 5 }, (_, i) => aLane([anOperation(i + 1, { isSuspect: true })], { queue, digest: String(i) }));
    await enterAll(dispatcher, suspects);
    expect(marked).toEqual(suspects.slice(0, 2));
    for (const lane of marked) {
      for (const held of lane.waiting) held.isMarked = true;
      dispatcher.enter(lane, true);
    }
    dispatcher.pump();
    expect(sent).toEqual([]);
    write();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent).flat().toSorted()).toEqual([1, 2]);
    expect(marked).toEqual(suspects.slice(0, 2));
  });

  test('a create in company is written down before it is called, so that it can be repeated as it was', async () => {
    const { dispatcher, sent, events } = start();
    const lane = aLane([anOperation(1, { kind: 'create' }), anOperation(2)]);
    await enterAll(dispatcher, [lane]);
    expect(events).toEqual(['mark 1 x2']);
    expect(lane.state).toBe('marking');
    for (const held of lane.waiting) held.isMarked = true;
    lane.sealedTo = 2;
    lane.waiting.push(anOperation(3));
    await enterAll(dispatcher, [lane]);
    expect(ranksOf(sent)).toEqual([[2]]);
    expect(sent[0]?.calls[0]?.idempotencyKey).toBe(sent[0]?.calls[0]?.operationId);
  });
});

describe('batches', () => {
  test('full ones go at once, an incomplete one when it has waited', async () => {
    const { dispatcher, sent } = start({ adapter: { maxBatch: 3 } });
    await enterAll(dispatcher, lanes(5));
    expect(ranksOf(sent)).toEqual([[1, 2, 3]]);
    await vi.advanceTimersByTimeAsync(19);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(ranksOf(sent)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test('cost one permit each', async () => {
    const { dispatcher, gate } = start({ adapter: { maxBatch: 10 } });
    await enterAll(dispatcher, lanes(40));
    expect(gate.requests[0]?.want).toBe(4);
  });

  test('calls that may not share one are passed over, and are the next then', async () => {
    const { dispatcher, sent } = start({ adapter: { maxBatch: 3, canShareBatch: (a, b) => a.kind === b.kind } });
    const queue = aQueue();
    const all = (['update', 'delete', 'update'] as const).map((kind, i) =>
      aLane([anOperation(i + 1, { kind })], { queue, digest: String(i) }),
    );
    await enterAll(dispatcher, all);
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual([[1, 3], [2]]);
  });

  const bulk = { maxBatch: 2, bulk: { minRecords: 4, maxRecords: 6, takes: () => true } };

  test('a backlog goes in bulk, and what is less than one in batches', async () => {
    const { dispatcher, sent } = start({ adapter: bulk });
    await enterAll(dispatcher, lanes(9));
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual([[1, 2, 3, 4, 5, 6], [7, 8], [9]]);
  });

  test('a backlog of other sorts is none: those that can share a call go as a batch, the rest keep their places', async () => {
    const { dispatcher, sent } = start({ adapter: { ...bulk, canShareBatch: (a, b) => a.kind === b.kind } });
    const queue = aQueue();
    const kinds = ['update', 'update', 'update', 'delete', 'delete'] as const;
    await enterAll(
      dispatcher,
      kinds.map((kind, i) => aLane([anOperation(i + 1, { kind })], { queue, digest: String(i) })),
    );
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual([[1, 2], [3], [4, 5]]);
  });

  test('one that was refused whole goes again in two halves, nothing joining them', async () => {
    const { dispatcher, sent } = start({ adapter: { maxBatch: 5 } });
    const all = lanes(5);
    await enterAll(dispatcher, all);
    sent[0]?.end();
    dispatcher.enterHalves(all);
    await enterAll(dispatcher, lanes(1, aQueue('crm', aShard({ shard: 1 }))));
    expect(ranksOf(sent).slice(1, 3)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    dispatcher.enterHalves(all.slice(0, 1));
    dispatcher.pump();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent)).toContainEqual([1]);
  });

  test('halves are taken apart when the provider has no batch call any more', async () => {
    let maxBatch = 4;
    const { dispatcher, sent, configure } = start({ nextAdapter: () => ({ maxBatch }) });
    const all = lanes(4);
    dispatcher.enterHalves(all);
    maxBatch = 1;
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent).map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  });
});

describe('configuration', () => {
  test('a provider that was registered anew is followed, though its version counts from the beginning', async () => {
    const { dispatcher, adapters } = start();
    dispatcher.setConfig(providerConfig({ version: 1, baseUrl: 'http://127.0.0.1:2' }));
    expect(adapters).toHaveLength(2);
  });

  test('the former adapter is closed when its last call has ended, the present one stays', async () => {
    const { dispatcher, adapters, sent, configure } = start();
    await enterAll(dispatcher, lanes(1));
    configure();
    expect(adapters.map(({ closed }) => closed)).toEqual([0, 0]);
    sent[0]?.end();
    expect(adapters.map(({ closed }) => closed)).toEqual([1, 0]);
  });

  test('closing closes former adapters that still have calls, too', async () => {
    const { dispatcher, adapters, sent, configure } = start();
    await enterAll(dispatcher, lanes(1));
    configure();
    expect(sent).toHaveLength(1);
    await dispatcher.close();
    expect(adapters.map(({ closed }) => closed)).toEqual([1, 1]);
  });

  test('lets go of lanes whose shard is gone, in halves and out of them', async () => {
    const { dispatcher, gate, sent, configure } = start({ config: { isPaused: true }, adapter: { maxBatch: 2 } });
    const shard = aShard();
    const [a, b, c, d] = lanes(4, aQueue('crm', shard)) as [Lane, Lane, Lane, Lane];
    await enterAll(dispatcher, [a, b]);
    dispatcher.enterHalves([c, d]);
    shard.isGone = true;
    dispatcher.prune();
    configure({ isPaused: false });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toEqual([]);
    expect(gate.requests).toEqual([]);
  });
});

describe('faults of adapters', () => {
  const bug = () => {
    throw new Error('a bug');
  };

  test('in prepare: the lane is told, the others go on', async () => {
    const { dispatcher, sent, events } = start({
      adapter: {
        prepare: (call) => (call.operationId.split('.')[2] === '1' ? bug() : { status: 'prepared', prepared: { call, body: undefined } }),
      },
    });
    await enterAll(dispatcher, lanes(2));
    expect(events).toEqual(['fault 1 a bug']);
    expect(ranksOf(sent)).toEqual([[2]]);
  });

  test('in send: all its lanes are told, and the call counts no longer', async () => {
    const { dispatcher, events } = start({ adapter: { maxBatch: 2, send: bug } });
    await enterAll(dispatcher, lanes(2));
    expect(events).toEqual(['fault 1 a bug', 'fault 2 a bug']);
    expect(dispatcher.inFlight).toBe(0);
  });

  test('in canShareBatch: calls go alone', async () => {
    const { dispatcher, sent } = start({ adapter: { maxBatch: 2, canShareBatch: bug } });
    await enterAll(dispatcher, lanes(2));
    await vi.advanceTimersByTimeAsync(50);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('a call that is told to have ended twice ends once', async () => {
    const { dispatcher, sent, events } = start();
    await enterAll(dispatcher, lanes(1));
    sent[0]?.end();
    sent[0]?.end();
    expect(events).toEqual(['end 1 accepted']);
    expect(dispatcher.inFlight).toBe(0);
  });

  test('when an end cannot be dealt with, its lanes are told', async () => {
    const { dispatcher, sent, events } = start({ onEnd: bug });
    await enterAll(dispatcher, lanes(1));
    sent[0]?.end();
    expect(events).toEqual(['fault 1 a bug']);
  });

  test('one that cannot be made leaves the provider’s lanes waiting, and does not call the former address', async () => {
    let isBroken = false;
    const { dispatcher, sent, events, configure } = start({ nextAdapter: () => (isBroken ? bug() : {}) });
    isBroken = true;
    configure();
    await enterAll(dispatcher, lanes(1));
    expect(events).toEqual(['adapter a bug']);
    expect(sent).toEqual([]);
    isBroken = false;
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent)).toEqual([[1]]);
  });

  test('one that cannot be closed is told, and nothing else', async () => {
    const { events, configure } = start({ adapter: { close: async () => bug() } });
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(events).toEqual(['adapter a bug']);
  });
});

test('closed, it starts nothing and leaves no timer', async () => {
  const { dispatcher, sent } = start({ adapter: { maxBatch: 10 } });
  await enterAll(dispatcher, lanes(3));
  await dispatcher.close();
  dispatcher.pump();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
