import { expect, test } from 'vitest';
import { createBacklogGuard, type QueueCounts } from './backlog-guard.ts';

const open = (count: number, deadLetters = 0): QueueCounts => ({ open: count, deadLetters });

/** A guard whose readings a test answers. */
function guardOf(bounds: { maxBacklog?: number; maxDeadLetters?: number } = {}) {
  let clockMs = 0;
  const readings: ((counts: Record<string, QueueCounts> | Error) => void)[] = [];
  const guard = createBacklogGuard({
    maxBacklog: bounds.maxBacklog ?? 10,
    maxDeadLetters: bounds.maxDeadLetters ?? 10,
    now: () => clockMs,
    readCounts: () =>
      new Promise((resolve, reject) => {
        readings.push((answer) => (answer instanceof Error ? reject(answer) : resolve(new Map(Object.entries(answer)))));
      }),
  });
  const enter = (times: number) => Array.from({ length: times }, () => guard.tryEnter('crm')).filter(Boolean).length;
  const passTime = (ms: number) => {
    clockMs += ms;
  };
  return { guard, enter, readings, passTime };
}

test('places that are taken count at once, and are given back', () => {
  const { guard, enter } = guardOf();
  expect(enter(12)).toBe(10);
  guard.leave('crm', 3);
  expect(enter(12)).toBe(3);
});

test('what Redis says of the queues of a provider is summed, over its tenants and shards', () => {
  const { guard, enter } = guardOf();
  expect(enter(2)).toBe(2);
  guard.learn(0, 'crm', open(4), 1);
  guard.learn(1, 'crm:acme', open(3), 1);
  expect(enter(12)).toBe(3);
  guard.learn(0, 'crm', open(0), 3);
  expect(enter(12)).toBe(7);
});

test('providers do not share a bound', () => {
  const { guard, enter } = guardOf();
  enter(10);
  expect(guard.tryEnter('other')).toBe(true);
});

test('dead letters have a bound of their own', () => {
  const { guard, enter } = guardOf({ maxDeadLetters: 5 });
  guard.learn(0, 'crm', open(0, 4), 0);
  expect(enter(1)).toBe(1);
  guard.learn(1, 'crm', open(0, 1), 0);
  expect(enter(1)).toBe(0);
});

test('before anything is refused the counts are read anew, once for all who ask', async () => {
  const { guard, readings } = guardOf();
  guard.learn(0, 'crm', open(10), 0);
  const entering = Promise.all([guard.enterAfterRefresh('crm'), guard.enterAfterRefresh('crm')]);
  expect(readings).toHaveLength(1);
  readings[0]?.({ '0 crm': open(9) });
  expect((await entering).filter(Boolean)).toHaveLength(1);
});

test('counts are not read more often than every 50 ms', async () => {
  const { guard, readings, passTime } = guardOf();
  const first = guard.enterAfterRefresh('crm');
  readings[0]?.({ '0 crm': open(10) });
  expect(await first).toBe(false);
  passTime(49);
  expect(await guard.enterAfterRefresh('crm')).toBe(false);
  expect(readings).toHaveLength(1);
  passTime(1);
  const second = guard.enterAfterRefresh('crm');
  readings[1]?.({});
  expect(await second).toBe(true);
});

test('what is learnt while counts are read is newer than what was read', async () => {
  const { guard, enter, readings } = guardOf();
  enter(5);
  const entering = guard.enterAfterRefresh('crm');
  guard.learn(0, 'crm', open(9), 5);
  guard.learn(1, 'crm', open(1), 0);
  readings[0]?.({ '0 crm': open(4) });
  expect(await entering).toBe(false);
});

test('a reading that fails is told to who asked, and the next one may pass', async () => {
  const { guard, readings } = guardOf();
  const failing = guard.enterAfterRefresh('crm');
  readings[0]?.(new Error('away'));
  await expect(failing).rejects.toThrow('away');
  const passing = guard.enterAfterRefresh('crm');
  readings[1]?.({});
  expect(await passing).toBe(true);
});
