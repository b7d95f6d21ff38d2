import { expect, test } from 'vitest';
import { ObservedBudgets } from './observed-budgets.ts';

const perMs = 10_000;

test('of each window the call that was sent last counts, whichever answer came last', () => {
  const observed = new ObservedBudgets();
  observed.observe([{ perMs, remaining: 40 }], 120, 150);
  observed.observe(
    [
      { perMs, remaining: 90 },
      { perMs: 60_000, remaining: 700, resetInMs: 30 },
    ],
    110,
    160,
  );
  expect(observed.size).toBe(2);
  expect(observed.take(200)).toEqual([
    { perMs, remaining: 40, sentMsAgo: 80, answeredMsAgo: 50 },
    { perMs: 60_000, remaining: 700, resetInMs: 30, sentMsAgo: 90, answeredMsAgo: 40 },
  ]);
});

test('of two calls sent at once the later answer counts', () => {
  const observed = new ObservedBudgets();
  for (const remaining of [7, 6]) observed.observe([{ perMs, remaining }], 100, 150);
  expect(observed.take(150)).toMatchObject([{ remaining: 6 }]);
});

test('what was taken is not there any more', () => {
  const observed = new ObservedBudgets();
  observed.observe([{ perMs, remaining: 1 }], 0, 0);
  observed.take(0);
  expect([observed.size, observed.take(0)]).toEqual([0, []]);
});
