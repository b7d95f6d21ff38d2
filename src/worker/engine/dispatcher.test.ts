import { describe, expect, test, vi } from 'vitest';
import { aLane, anOperation, appliedAt, aQueue, aShard, lanesOf } from '../../../test/support/lanes.ts';
import { enterAll, ranksOf, startDispatcher } from '../../../test/support/played-dispatcher.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Lane } from './lane.ts';

useFakeTimers();

describe('further requests of a call', () => {
  test('have permits of their own, before calls that have not begun, and take no second slot', async () => {
    const { dispatcher, sent } = startDispatcher({ slots: 1, config: { maxConcurrency: 1 } });
    await enterAll(dispatcher, lanesOf(2));
    const next = sent[0]?.guard.nextRequest();
    await vi.advanceTimersByTimeAsync(300);
    expect((await next)?.mayStart()).toBe(true);
    expect(ranksOf(sent)).toEqual([[1]]);
    sent[0]?.end();
    await vi.advanceTimersByTimeAsync(300);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('that wait when the call ends, or the dispatcher is closed, are told that there is no permit', async () => {
    const { dispatcher, gate, sent } = startDispatcher({ slots: 2, config: { maxConcurrency: 2 } });
    await enterAll(dispatcher, lanesOf(2));
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
  const { dispatcher, sent } = startDispatcher({ slots: 0, adapter: { maxBatch: 2 } });
  const queue = aQueue('crm:own');
  const [staying, leaving] = [lanesOf(2), lanesOf(4, queue)];
  await enterAll(dispatcher, [...staying, ...leaving.slice(0, 2)]);
  dispatcher.enterHalves(leaving.slice(2));
  expect(new Set(dispatcher.withdraw(queue))).toEqual(new Set(leaving));
  expect(dispatcher.withdraw(queue)).toEqual([]);
  expect(sent).toEqual([]);
});

describe('calls', () => {
  test('as many at once as there are slots, the next when one has ended', async () => {
    const { dispatcher, sent } = startDispatcher({ slots: 3 });
    await enterAll(dispatcher, lanesOf(5));
    expect(ranksOf(sent)).toEqual([[1], [2], [3]]);
    sent[1]?.end();
    expect(ranksOf(sent)).toEqual([[1], [2], [3], [4]]);
    expect(dispatcher.inFlight).toBe(3);
  });

  test('wait for their turn, but for those whose permits are for one moment', async () => {
    const limits = [{ requests: 1_000, perMs: 1_000, burst: 1_000 }];
    for (const [config, atOnce] of [
      [{}, 0],
      [{ limits }, 3],
    ] as const) {
      const { dispatcher, sent } = startDispatcher({ config, pacer: { mayStart: () => false, wait: () => {}, started: () => {} } });
      await enterAll(dispatcher, lanesOf(3));
      expect(sent).toHaveLength(atOnce);
      expect(dispatcher.lanesReady).toBe(3 - atOnce);
    }
  });

  test('a folded group goes as one call, in the name of its last', async () => {
    const { dispatcher, sent } = startDispatcher();
    await enterAll(dispatcher, [aLane([anOperation(1, { dataJson: '{"x":1,"y":1}' }), anOperation(2, { dataJson: '{"y":2}' })])]);
    expect(sent[0]?.calls[0]).toMatchObject({ kind: 'update', dataJson: '{"x":1,"y":2}', timestampMs: 1_002 });
    expect(ranksOf(sent)).toEqual([[2]]);
  });

  test('in field mode only what is left of an overtaken change', async () => {
    const { dispatcher, sent } = startDispatcher({ config: { conflict: 'field' } });
    const applied = appliedAt(5_000, 0, { fields: new Map([['x', { ms: 5_000, rank: 0 }]]) });
    await enterAll(dispatcher, [aLane([anOperation(1, { dataJson: '{"x":1,"y":1}' })], { applied })]);
    expect(sent[0]?.calls[0]?.dataJson).toBe('{"y":1}');
  });

  test('nothing for a provider that is paused or not configured, and no permits either', async () => {
    const { dispatcher, sent, gate, configure } = startDispatcher({ config: { isPaused: true } });
    await enterAll(dispatcher, lanesOf(2));
    dispatcher.setConfig(undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toEqual([]);
    expect(gate.requests).toEqual([]);
    configure({ isPaused: false });
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('nothing for a shard that is handed over, nor for one whose lease has too little left', async () => {
    const { dispatcher, sent, events } = startDispatcher();
    const shard = aShard({ leaseEndsAt: Date.now() + 19 });
    const draining = aShard({ shard: 1 });
    draining.isDraining = true;
    await enterAll(dispatcher, [...lanesOf(1, aQueue('crm', shard)), ...lanesOf(1, aQueue('crm', draining))]);
    expect(sent).toEqual([]);
    expect(events).toEqual(['too late 1']);
  });

  test('what a newer change has overtaken since it got ready is not called', async () => {
    const { dispatcher, sent, events } = startDispatcher();
    const [lane] = lanesOf(1) as [Lane];
    lane.applied = appliedAt(9_000);
    await enterAll(dispatcher, [lane]);
    expect(sent).toEqual([]);
    expect(events).toEqual(['stale 1']);
  });

  test('a permit that found nothing to call serves the next one', async () => {
    const { dispatcher, gate, sent, marked } = startDispatcher();
    const suspect = aLane([anOperation(1, { isSuspect: true })]);
    await enterAll(dispatcher, [suspect]);
    expect(sent).toEqual([]);
    expect(marked).toEqual([suspect]);
    for (const held of suspect.waiting) held.isMarked = true;
    await enterAll(dispatcher, [suspect]);
    expect(ranksOf(sent)).toEqual([[1]]);
    expect(gate.requests).toHaveLength(1);
  });

  test('no more are written down than can be called: a crash in between charges those alone', async () => {
    let write = () => {};
    const marksWritten = new Promise<void>((resolve) => {
      write = resolve;
    });
    const { dispatcher, sent, marked } = startDispatcher({ slots: 2, marksWritten });
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
    const { dispatcher, sent, events } = startDispatcher();
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

test('closed, it starts nothing and leaves no timer', async () => {
  const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 10 } });
  await enterAll(dispatcher, lanesOf(3));
  await dispatcher.close();
  dispatcher.pump();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
