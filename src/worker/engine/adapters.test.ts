/** A dispatcher’s adapters: made anew with each configuration, closed after their last call, and faulty. */
import { describe, expect, test, vi } from 'vitest';
import { aQueue, aShard, lanesOf } from '../../../test/support/lanes.ts';
import { enterAll, ranksOf, startDispatcher } from '../../../test/support/played-dispatcher.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Lane } from './lane.ts';

useFakeTimers();

describe('configuration', () => {
  test('a provider that was registered anew is followed, though its version counts from the beginning', async () => {
    const { dispatcher, adapters } = startDispatcher();
    dispatcher.setConfig(providerConfig({ version: 1, baseUrl: 'http://127.0.0.1:2' }));
    expect(adapters).toHaveLength(2);
  });

  test('the former adapter is closed when its last call has ended, the present one stays', async () => {
    const { dispatcher, adapters, sent, configure } = startDispatcher();
    await enterAll(dispatcher, lanesOf(1));
    configure();
    expect(adapters.map(({ closed }) => closed)).toEqual([0, 0]);
    sent[0]?.end();
    expect(adapters.map(({ closed }) => closed)).toEqual([1, 0]);
  });

  test('a changed one lifts the pause and the opening that the former brought about; a call of the former is known as such', async () => {
    const ended: boolean[] = [];
    const { dispatcher, gate, sent, configure } = startDispatcher({ onEnd: ({ isOutdated }) => void ended.push(isOutdated) });
    await enterAll(dispatcher, lanesOf(1));
    expect(gate.lifted).toEqual([]);
    configure({ baseUrl: 'https://elsewhere.example' });
    expect(gate.lifted).toEqual([{ stays: 'rate_limited', closesBreaker: true }]);
    await enterAll(dispatcher, lanesOf(1, aQueue('crm', aShard({ shard: 1 }))));
    sent[0]?.end();
    sent[1]?.end();
    expect(ended).toEqual([true, false]);
  });

  test('one at the same address, with the same credentials, leaves the breaker as it is', async () => {
    const { gate, configure } = startDispatcher();
    configure({ timeoutMs: 1_234 });
    expect(gate.lifted).toEqual([{ stays: 'rate_limited', closesBreaker: false }]);
  });

  test('closing closes former adapters that still have calls, too', async () => {
    const { dispatcher, adapters, sent, configure } = startDispatcher();
    await enterAll(dispatcher, lanesOf(1));
    configure();
    expect(sent).toHaveLength(1);
    await dispatcher.close();
    expect(adapters.map(({ closed }) => closed)).toEqual([1, 1]);
  });

  test('lets go of lanes whose shard is gone, in halves and out of them', async () => {
    const { dispatcher, gate, sent, configure } = startDispatcher({ config: { isPaused: true }, adapter: { maxBatch: 2 } });
    const shard = aShard();
    const [a, b, c, d] = lanesOf(4, aQueue('crm', shard)) as [Lane, Lane, Lane, Lane];
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
    const { dispatcher, sent, events } = startDispatcher({
      adapter: {
        prepare: (call) => (call.operationId.split('.')[2] === '1' ? bug() : { status: 'prepared', prepared: { call, body: undefined } }),
      },
    });
    await enterAll(dispatcher, lanesOf(2));
    expect(events).toEqual(['fault 1 a bug']);
    expect(ranksOf(sent)).toEqual([[2]]);
  });

  test('in send: all its lanes are told, and the call counts no longer', async () => {
    const { dispatcher, events } = startDispatcher({ adapter: { maxBatch: 2, send: bug } });
    await enterAll(dispatcher, lanesOf(2));
    expect(events).toEqual(['fault 1 a bug', 'fault 2 a bug']);
    expect(dispatcher.inFlight).toBe(0);
  });

  test('in canShareBatch: calls go alone', async () => {
    const { dispatcher, sent } = startDispatcher({ adapter: { maxBatch: 2, canShareBatch: bug } });
    await enterAll(dispatcher, lanesOf(2));
    await vi.advanceTimersByTimeAsync(50);
    expect(ranksOf(sent)).toEqual([[1], [2]]);
  });

  test('a call that is told to have ended twice ends once', async () => {
    const { dispatcher, sent, events } = startDispatcher();
    await enterAll(dispatcher, lanesOf(1));
    sent[0]?.end();
    sent[0]?.end();
    expect(events).toEqual(['end 1 accepted']);
    expect(dispatcher.inFlight).toBe(0);
  });

  test('when an end cannot be dealt with, its lanes are told', async () => {
    const { dispatcher, sent, events } = startDispatcher({ onEnd: bug });
    await enterAll(dispatcher, lanesOf(1));
    sent[0]?.end();
    expect(events).toEqual(['fault 1 a bug']);
  });

  test('one that cannot be made leaves the provider’s lanes waiting, and does not call the former address', async () => {
    let isBroken = false;
    const { dispatcher, sent, events, configure } = startDispatcher({ nextAdapter: () => (isBroken ? bug() : {}) });
    isBroken = true;
    configure();
    await enterAll(dispatcher, lanesOf(1));
    expect(events).toEqual(['adapter a bug']);
    expect(sent).toEqual([]);
    isBroken = false;
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(ranksOf(sent)).toEqual([[1]]);
  });

  test('one that cannot be closed is told, and nothing else', async () => {
    const { events, configure } = startDispatcher({ adapter: { close: async () => bug() } });
    configure();
    await vi.advanceTimersByTimeAsync(0);
    expect(events).toEqual(['adapter a bug']);
  });
});
