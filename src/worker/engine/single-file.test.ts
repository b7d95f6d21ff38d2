import { expect, test } from 'vitest';
import { aLane, anOperation, aQueue, aShard } from '../../../test/support/lanes.ts';
import type { Lane, LaneState } from './lane.ts';
import { SingleFile } from './single-file.ts';

function crashed(count: number, queue = aQueue()): Lane[] {
  return Array.from({ length: count }, (_, i) =>
    Object.assign(aLane([anOperation(i + 1, { hasCrashed: true })], { queue, digest: `${i}` }), { state: 'ready' as LaneState }),
  );
}

test('one at a time: the next gets its turn when the end of the first’s call is written', () => {
  const file = new SingleFile();
  const [a, b, c] = crashed(3) as [Lane, Lane, Lane];
  expect([a, b, c].map((lane) => file.enter(lane))).toEqual([true, false, false]);
  for (const state of ['marking', 'ready', 'in_flight', 'settling'] as const) {
    a.state = state;
    expect(file.next()).toBeUndefined();
    expect(file.isFirst(a)).toBe(true);
  }
  a.state = 'backoff';
  expect(file.next()).toBe(b);
  expect(file.next()).toBeUndefined();
  expect(file.enter(b)).toBe(true);
  expect(file.enter(c)).toBe(false);
});

test('one that was let off, its operation gone, holds up nobody', () => {
  const file = new SingleFile();
  const [a, b] = crashed(2) as [Lane, Lane];
  file.enter(a);
  file.enter(b);
  a.waiting = [anOperation(9)];
  expect(file.isFirst(a)).toBe(false);
  expect(file.next()).toBe(b);
});

test('neither does one whose shard is another’s; who waited there is forgotten', () => {
  const file = new SingleFile();
  const shard = aShard();
  const [gone, alsoGone] = crashed(2, aQueue('crm', shard)) as [Lane, Lane];
  const [stays] = crashed(1) as [Lane];
  for (const lane of [gone, alsoGone, stays]) file.enter(lane);
  shard.isGone = true;
  expect(file.next()).toBe(stays);
});

test('nor does one that takes its turn at another account; but a call that began before it went there is still the only one', () => {
  for (const [before, after] of [
    ['marking', 'ready'],
    ['in_flight', 'settling'],
  ] as const) {
    const file = new SingleFile();
    const [leaves, stays] = [...crashed(1, aQueue('crm:own')), ...crashed(1)] as [Lane, Lane];
    expect([leaves, stays].map((lane) => file.enter(lane))).toEqual([true, false]);
    leaves.state = before;
    leaves.queue.account = 'crm:own';
    expect(file.next()).toBe(before === 'in_flight' ? undefined : stays);
    leaves.state = after;
    if (before === 'in_flight') expect(file.next()).toBe(stays);
    expect(file.isFirst(leaves)).toBe(false);
  }
});
