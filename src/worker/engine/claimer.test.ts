import { describe, expect, test } from 'vitest';
import { aLane, anOperation, aQueue, aShard } from '../../../test/support/lanes.ts';
import type { Claimed, ClaimRequest } from '../../shared/queue/claim.ts';
import { Claimer, type ClaimerDeps } from './claimer.ts';
import type { Lane } from './lane.ts';
import { minWindow, type QueueState } from './shard-state.ts';

type Answer = (requests: readonly ClaimRequest[]) => Promise<readonly Claimed[]> | readonly Claimed[];
const nothing: Claimed = { status: 'read', isDrained: true, checkUpTo: 0, entries: [] };
const more: Claimed = { ...nothing, isDrained: false };

function startClaimer(answer: Answer, part: Partial<ClaimerDeps> & { isCluster?: boolean } = {}) {
  const asked: ClaimRequest[][] = [];
  const events: string[] = [];
  const claimer = new Claimer({
    reader: {
      slotOf: (shard) => (part.isCluster ? shard : 0),
      async claim(requests) {
        asked.push([...requests]);
        return answer(requests);
      },
    },
    maxWindow: 512,
    maxBytes: 1_000_000,
    heldBytes: () => 0,
    lanesWaiting: () => 0,
    isShortOfLanes: () => true,
    isGathering: () => false,
    onClaimed: () => void events.push('claimed'),
    onLost: () => void events.push('lost'),
    onUncertain: () => void events.push('uncertain'),
    onError: () => void events.push('error'),
    ...part,
  });
  return { claimer, asked, events };
}

const unread = (name = 'crm', shard = aShard()): QueueState => Object.assign(aQueue(name, shard), { hasUnread: true });

test('one call serves all queues that ask in one turn', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  for (const name of ['a', 'b', 'c']) claimer.ask(unread(name));
  await claimer.tick();
  expect(asked).toHaveLength(1);
  expect(asked[0]?.map(({ queue }) => queue)).toEqual(['a', 'b', 'c']);
});

describe('while lanes wait for nothing but their turn', () => {
  const turn = () => new Promise(setImmediate);

  test('nothing is read; who asked is read, in order, once they have been called', async () => {
    let waiting = 128;
    const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing), { lanesWaiting: () => waiting });
    for (const name of ['a', 'b', 'c']) claimer.ask(unread(name));
    await turn();
    expect(asked).toEqual([]);
    waiting = 126;
    claimer.goOn();
    await turn();
    expect(asked.map((requests) => requests.map(({ queue }) => queue))).toEqual([['a', 'b'], ['c']]);
  });

  test('so many queues are read as, by what the last ones had, make up for what was called', async () => {
    const entries = Array.from({ length: 32 }, () => ({ ms: 1, rank: 1, header: '', data: '', digest: '', state: '' }));
    const { claimer, asked } = startClaimer((requests) => requests.map(() => ({ ...nothing, entries })));
    for (let i = 0; i < 300; i++) claimer.ask(unread(`q${i}`));
    await turn();
    for (let i = 0; i < 20; i++) await turn();
    expect(asked[0]).toHaveLength(128);
    expect(asked.flat()).toHaveLength(300);
    expect(asked.at(-1)?.length).toBeLessThan(10);
  });
});

test('a node of a cluster that hangs holds up no other', async () => {
  const isHanging = ([request]: readonly ClaimRequest[]) => request?.shard === 0;
  const hang = new Promise<never>(() => {});
  const { claimer, asked, events } = startClaimer((requests) => (isHanging(requests) ? hang : requests.map(() => nothing)), {
    isCluster: true,
  });
  for (const shard of [0, 1, 2]) claimer.ask(unread('crm', aShard({ shard })));
  void claimer.tick();
  await new Promise(setImmediate);
  expect(asked.map((requests) => requests.map(({ shard }) => shard))).toEqual([[0], [1], [2]]);
  expect(events).toEqual(['claimed', 'claimed']);
});

test('a queue that is drained is not asked for again until its bell rings', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  const queue = unread();
  claimer.ask(queue);
  await claimer.tick();
  expect(queue.hasUnread).toBe(false);
  claimer.ask(queue);
  await claimer.tick();
  expect(asked).toHaveLength(1);
});

test('a bell that overtakes the answer of a claim is not lost', async () => {
  const queue = unread();
  const { claimer, asked } = startClaimer((requests) => {
    if (asked.length === 1) queue.hasRung = true;
    return requests.map(() => nothing);
  });
  claimer.ask(queue);
  await claimer.tick();
  await claimer.tick();
  expect(asked).toHaveLength(2);
  expect(queue.hasUnread).toBe(false);
});

test('nothing is read for a queue that takes over, is handed over, or lost its provider', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  const draining = unread('a');
  draining.shard.isDraining = true;
  for (const queue of [draining, Object.assign(unread('b'), { isTakingOver: true }), Object.assign(unread('c'), { isDropped: true })])
    claimer.ask(queue);
  await claimer.tick();
  expect(asked).toEqual([]);
});

test('after a lost answer nothing further is read before what it may have held', async () => {
  const queue = unread();
  const { claimer, asked, events } = startClaimer(() => {
    throw new Error('connection lost');
  });
  claimer.ask(queue);
  await claimer.tick();
  expect(events).toEqual(['error', 'uncertain']);
  queue.hasUnread = true;
  claimer.ask(queue);
  await claimer.tick();
  expect(asked).toHaveLength(1);
  expect(queue.isTakingOver).toBe(true);
});

test('a queue whose lease is lost says so; one whose shard is gone is ignored', async () => {
  const { claimer, events } = startClaimer((requests) => requests.map(() => ({ status: 'lost' })));
  claimer.ask(unread());
  await claimer.tick();
  expect(events).toEqual(['lost']);

  const gone = unread();
  const other = startClaimer((requests) => {
    gone.shard.isGone = true;
    return requests.map(() => ({ status: 'lost' }));
  });
  other.claimer.ask(gone);
  await other.claimer.tick();
  expect(other.events).toEqual([]);
});

test('reads for half a window of free lanes at once, not for every one that gets free', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  const queue = unread();
  for (let i = 1; i <= minWindow / 2 + 1; i++) aLane([anOperation(i)], { queue, digest: String(i) });
  claimer.ask(queue);
  await claimer.tick();
  expect(asked).toEqual([]);
  queue.lanes.delete(queue.lanes.get('1') as Lane);
  claimer.ask(queue);
  await claimer.tick();
  expect(asked[0]?.[0]?.count).toBe(minWindow / 2);
});

test('lanes that wait for a retry take up no window: stuck records stop no other', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  const queue = unread();
  for (let i = 1; i <= minWindow; i++) aLane([anOperation(i)], { queue, digest: String(i) });
  queue.parked = minWindow;
  claimer.ask(queue);
  await claimer.tick();
  expect(asked[0]?.[0]?.count).toBe(minWindow);
});

test('what waits behind one record is bounded all the same', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing));
  const queue = unread();
  aLane(
    Array.from({ length: 8 * minWindow }, (_, i) => anOperation(i + 1)),
    { queue },
  );
  claimer.ask(queue);
  await claimer.tick();
  expect(asked).toEqual([]);
});

test('when memory is full a queue still gets a few entries, and no more', async () => {
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing), { heldBytes: () => 2_000_000 });
  const empty = unread('a');
  const full = unread('b');
  aLane(
    Array.from({ length: 8 }, (_, i) => anOperation(i + 1)),
    { queue: full },
  );
  for (const queue of [empty, full]) claimer.ask(queue);
  await claimer.tick();
  expect(asked[0]?.map(({ queue, count }) => [queue, count])).toEqual([['a', 8]]);
});

test('the window grows while it is used up and the provider could do with more, up to its bound', async () => {
  const queue = unread();
  let rounds = 0;
  const { claimer } = startClaimer((requests) => requests.map(() => (++rounds < 20 ? more : nothing)), { maxWindow: 100 });
  claimer.ask(queue);
  await claimer.tick();
  while (queue.hasUnread) await claimer.tick();
  expect(queue.window).toBe(100);

  const busy = unread();
  rounds = 18;
  const idle = startClaimer((requests) => requests.map(() => (++rounds < 20 ? more : nothing)), { isShortOfLanes: () => false });
  idle.claimer.ask(busy);
  await idle.claimer.tick();
  expect(busy.window).toBe(minWindow);
});

test('a fault while entries are taken in loses none of them: the queue is read again', async () => {
  const { claimer, events } = startClaimer((requests) => requests.map(() => nothing), {
    onClaimed: () => {
      throw new Error('a bug');
    },
  });
  const queue = unread();
  claimer.ask(queue);
  await claimer.tick();
  expect(events).toEqual(['error', 'uncertain']);
  expect(queue.isClaiming).toBe(false);
});

test('where a backlog may go in one call, it is read though nothing of it is called yet', async () => {
  let isGathering = false;
  const { claimer, asked } = startClaimer((requests) => requests.map(() => nothing), { isGathering: () => isGathering });
  const queue = unread();
  for (let i = 1; i <= minWindow; i++) aLane([anOperation(i)], { queue, digest: String(i) });
  claimer.ask(queue);
  await claimer.tick();
  expect(asked).toEqual([]);
  isGathering = true;
  claimer.ask(queue);
  expect(claimer.isReading(queue.account)).toBe(true);
  await claimer.tick();
  expect(claimer.isReading(queue.account)).toBe(false);
  expect(asked[0]?.[0]?.count).toBe(minWindow);
});
