/** Which calls a dispatcher sends together. */
import { describe, expect, test, vi } from 'vitest';
import { aLane, anOperation, aQueue, aShard, lanesOf } from '../../../test/support/lanes.ts';
import { enterAll, ranksOf, startDispatcher } from '../../../test/support/played-dispatcher.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';

useFakeTimers();

describe('batches', () => {
  test('full ones go at once, an incomplete one when it has waited', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 3 } });
    await enterAll(dispatcher, lanesOf(5));
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
    const { dispatcher, gate } = startDispatcher({
      adapter: { maxBatch: 10 },
      config: { limits: [{ requests: 100, perMs: 1_000, burst: 100 }] },
    });
    await enterAll(dispatcher, lanesOf(40));
    expect(gate.requests[0]?.want).toBe(4);
  });

  test('calls that may not share one are passed over, and are the next then', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 3, canShareBatch: (a, b) => a.kind === b.kind } });
    const queue = aQueue();
    const all = (['update', 'delete', 'update'] as const).map((kind, i) =>
      aLane([anOperation(i + 1, { kind })], { queue, digest: String(i) }),
    );
    await enterAll(dispatcher, all);
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual([[1, 3], [2]]);
  });

  test.each([
    ['before the others', [1, 2, 3], [[1], [2, 3]]],
    ['among the others', [2, 1, 3], [[2, 3], [1]]],
  ])('what may have killed a worker goes alone: %s', async (_, order, expected) => {
    const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 3 } });
    const suspect = { isSuspect: true, isMarked: true, hasCrashed: true };
    const queue = aQueue();
    await enterAll(
      dispatcher,
      order.map((rank) => aLane([anOperation(rank, rank === 1 ? suspect : {})], { queue, digest: String(rank) })),
    );
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual(expected);
  });

  const bulk = { maxBatch: 2, bulk: { minRecords: 4, maxRecords: 6, takes: () => true } };

  test('a backlog goes in bulk, and what is less than one in batches', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: bulk });
    await enterAll(dispatcher, lanesOf(9));
    await vi.advanceTimersByTimeAsync(25);
    expect(ranksOf(sent)).toEqual([[1, 2, 3, 4, 5, 6], [7, 8], [9]]);
  });

  test('what comes while a full batch waits makes a backlog with it', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: bulk });
    await enterAll(dispatcher, lanesOf(2));
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(10);
    await enterAll(dispatcher, lanesOf(2, aQueue('crm', aShard({ shard: 1 }))));
    expect(sent.map(({ calls }) => calls.length)).toEqual([4]);
  });

  test('while more is being read, what is less than a backlog waits for it, but not for ever', async () => {
    let isReading = true;
    const { dispatcher, sent } = startDispatcher({ adapter: bulk, isReading: () => isReading });
    await enterAll(dispatcher, lanesOf(2));
    await vi.advanceTimersByTimeAsync(100);
    expect(sent).toEqual([]);
    await enterAll(dispatcher, lanesOf(2, aQueue('crm', aShard({ shard: 1 }))));
    await enterAll(dispatcher, lanesOf(1, aQueue('crm', aShard({ shard: 2 }))));
    expect(sent.map(({ calls }) => calls.length)).toEqual([4]);
    await vi.advanceTimersByTimeAsync(600);
    expect(sent.map(({ calls }) => calls.length)).toEqual([4, 1]);
    isReading = false;
    await enterAll(dispatcher, lanesOf(1, aQueue('crm', aShard({ shard: 3 }))));
    await vi.advanceTimersByTimeAsync(25);
    expect(sent.map(({ calls }) => calls.length)).toEqual([4, 1, 1]);
  });

  test('what turns out to be all there is to read waits no longer than any batch', async () => {
    let isReading = true;
    const { dispatcher, sent } = startDispatcher({ adapter: bulk, isReading: () => isReading });
    await enterAll(dispatcher, lanesOf(1));
    isReading = false;
    await enterAll(dispatcher, lanesOf(1, aQueue('crm', aShard({ shard: 1 }))));
    await vi.advanceTimersByTimeAsync(19);
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(sent.map(({ calls }) => calls.length)).toEqual([2]);
  });

  test('with a part of the shards, that part of a backlog is enough', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: { ...bulk, bulk: { ...bulk.bulk, minRecords: 8 } }, shareOfShards: () => 0.5 });
    await enterAll(dispatcher, lanesOf(4));
    expect(ranksOf(sent)).toEqual([[1, 2, 3, 4]]);
  });

  test('a backlog of other sorts is none: those that can share a call go as a batch, the rest keep their places', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: { ...bulk, canShareBatch: (a, b) => a.kind === b.kind } });
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
    const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 5 } });
    const all = lanesOf(5);
    await enterAll(dispatcher, all);
    sent[0]?.end();
    dispatcher.enterHalves(all);
    await enterAll(dispatcher, lanesOf(1, aQueue('crm', aShard({ shard: 1 }))));
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
    const { dispatcher, sent, configure } = startDispatcher({ nextAdapter: () => ({ maxBatch }) });
    const all = lanesOf(4);
    dispatcher.enterHalves(all);
    maxBatch = 1;
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent).map(({ length }) => length)).toEqual([1, 1, 1, 1]);
  });
});
