import { expect, test } from 'vitest';
import { type BudgetReport, budgetArgs } from './budgets.ts';

const sound: BudgetReport = { perMs: 10_000, requests: 100, remaining: 40, resetInMs: 3_000, answeredMsAgo: 20, sentMsAgo: 120 };

test('a report is told as length, requests, remaining, reset, age of the answer, and since when calls may be missing in it', () => {
  expect(budgetArgs([sound], true)).toEqual([10_000, 100, 40, 3_000, 20, 160]);
  expect(budgetArgs([{ perMs: 10_000, remaining: 40.9 }], true)).toEqual([10_000, 0, 40, '', 0, 540]);
});

test('calls of an account without limits may be under way for a second after their start', () => {
  expect(budgetArgs([sound], false).at(-1)).toBe(1_120);
});

test('in short windows the unknown age of a request is taken to be a twentieth of the window', () => {
  expect(budgetArgs([{ perMs: 1_000, remaining: 1 }], true).at(-1)).toBe(90);
});

test('a request is never taken to be sent after its answer', () => {
  expect(budgetArgs([{ ...sound, answeredMsAgo: 500 }], true).at(-1)).toBe(540);
});

test.each([
  { perMs: 0 },
  { perMs: 1.5 },
  { perMs: 1e14 },
  { remaining: -1 },
  { remaining: Number.NaN },
  { resetInMs: Number.POSITIVE_INFINITY },
  { resetInMs: -5 },
  { answeredMsAgo: -1 },
  { sentMsAgo: Number.NaN },
])('a report with %o is left out, its neighbours are told', (part) => {
  expect(budgetArgs([{ ...sound, ...part }, sound], true)).toEqual(budgetArgs([sound], true));
});

test('requests that make no sense count as not said', () => {
  expect(budgetArgs([{ ...sound, requests: -1 }], true)[1]).toBe(0);
});

test('of very many reports the last eight are told', () => {
  expect(budgetArgs(new Array(100).fill(sound), true)).toHaveLength(8 * 6);
});
