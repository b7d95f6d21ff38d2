import { expect, test } from 'vitest';
import { aQueue, aShard } from '../../../test/support/lanes.ts';
import { AskingQueues } from './asking-queues.ts';
import type { QueueState } from './shard-state.ts';

/** A provider's queues in so many shards. */
const queuesOf = (provider: string, count: number): QueueState[] =>
  Array.from({ length: count }, (_, shard) => aQueue(provider, aShard({ shard })));

function asking(...queues: QueueState[]): AskingQueues {
  const asking = new AskingQueues();
  for (const queue of queues) asking.push(queue);
  return asking;
}

function takeAll(from: AskingQueues): QueueState[] {
  const taken: QueueState[] = [];
  for (let queue = from.shift(); queue; queue = from.shift()) taken.push(queue);
  return taken;
}

test('queues of an account come together, in their order; accounts in the order in which they began to ask', () => {
  const a = queuesOf('a', 2);
  const b = queuesOf('b', 2);
  const from = asking(...[a[0], b[0], b[1], a[1]].map((queue) => queue as QueueState));
  expect(from.size).toBe(4);
  expect(takeAll(from)).toEqual([...a, ...b]);
  expect(from.size).toBe(0);
});

test('an account with many queues gives way after 16 of them', () => {
  const many = queuesOf('many', 40);
  const few = queuesOf('few', 2);
  expect(takeAll(asking(...many, ...few)).map(({ provider }) => provider)).toEqual([
    ...Array(16).fill('many'),
    ...Array(2).fill('few'),
    ...Array(24).fill('many'),
  ]);
});

test('who asks again while its turn lasts does not make it longer', () => {
  const from = asking(...queuesOf('busy', 2), ...queuesOf('other', 1));
  const order: string[] = [];
  for (let queue = from.shift(); queue && order.at(-1) !== 'other'; queue = from.shift()) {
    order.push(queue.provider);
    from.push(queue);
  }
  expect(order).toEqual([...Array(16).fill('busy'), 'other']);
});

test('tells which accounts ask', () => {
  const from = asking(...queuesOf('a', 1));
  expect([from.has('a'), from.has('b')]).toEqual([true, false]);
  takeAll(from);
  expect(from.has('a')).toBe(false);
});
