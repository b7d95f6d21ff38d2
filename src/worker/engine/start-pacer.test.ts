import { expect, test, vi } from 'vitest';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import { type Starter, StartPacer } from './start-pacer.ts';

useFakeTimers();

/** Starters that have so many calls to start, and the order in which these start. */
function startPacer(calls: Readonly<Record<string, number>>, groups = 1) {
  const started: string[] = [];
  let turns = 0;
  const pacer = new StartPacer(() => void turns++);
  const starters = Object.entries(calls).map(([name, lanesReady]) => {
    const starter = {
      isInQueue: false,
      lanesReady,
      pump() {
        while (starter.lanesReady > 0) {
          if (!pacer.mayStart(starter)) return pacer.wait(starter);
          starter.lanesReady--;
          started.push(name);
          pacer.started(groups);
        }
      },
    } satisfies Starter;
    return starter;
  });
  const pumpAll = () => {
    for (const { pump } of starters) pump();
  };
  const turn = async () => {
    const before = started.length;
    await vi.advanceTimersToNextTimerAsync();
    return started.slice(before).join('');
  };
  return { pacer, starters, started, pumpAll, turn, turns: () => turns };
}

test('so many calls start in one turn, the others in the next ones, until none is left', async () => {
  const { started, pumpAll, turn, turns } = startPacer({ a: 70 });
  pumpAll();
  expect(started).toHaveLength(32);
  expect((await turn()).length).toBe(32);
  expect((await turn()).length).toBe(6);
  expect(turns()).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});

test('where nobody has to wait, no turn is waited for', () => {
  const { started, pumpAll, turns } = startPacer({ a: 20, b: 12 });
  pumpAll();
  expect(started).toHaveLength(32);
  expect(turns()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test('who has much starts a few at a time while others wait', async () => {
  const { pumpAll, turn } = startPacer({ a: 100, b: 2, c: 6 });
  pumpAll();
  expect(await turn()).toBe(`aaaabbccccaaaacc${'a'.repeat(16)}`);
});

test('who waited goes before who comes, also where the turn has room left', async () => {
  const { pacer, starters, started, pumpAll, turn } = startPacer({ a: 40, b: 1 });
  const [a, b] = starters as [Starter, Starter];
  pumpAll();
  const newcomer = { isInQueue: false, lanesReady: 1, pump: () => void started.push('c') };
  expect(pacer.mayStart(newcomer)).toBe(false);
  pacer.wait(newcomer);
  expect([a.isInQueue, b.isInQueue, newcomer.isInQueue]).toEqual([true, true, true]);
  expect(await turn()).toBe('aaaabcaaaa');
  expect([a.isInQueue, b.isInQueue, newcomer.isInQueue]).toEqual([false, false, false]);
});

test('one that has nothing to start any more when its turn comes holds up nobody', async () => {
  const { starters, pumpAll, turn } = startPacer({ a: 33, b: 1 });
  pumpAll();
  Object.assign(starters[0] as Starter, { lanesReady: 0 });
  expect(await turn()).toBe('b');
  expect(vi.getTimerCount()).toBe(0);
});

test('a call that carries many groups counts as several', () => {
  const { started, pumpAll } = startPacer({ a: 30 }, 100);
  pumpAll();
  expect(started).toHaveLength(3);
});

test('tells how many lanes wait for nothing but their turn, up to what is asked for', async () => {
  const { pacer, pumpAll, turn } = startPacer({ a: 50, b: 10 });
  expect(pacer.lanesWaiting(100)).toBe(0);
  pumpAll();
  expect([pacer.lanesWaiting(100), pacer.lanesWaiting(20)]).toEqual([28, 20]);
  await turn();
  expect(pacer.lanesWaiting(100)).toBe(0);
});
