import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

fc.configureGlobal({ seed: 7 });

const policy = { baseMs: 500, maxMs: 60_000 };

test('a delay is whole milliseconds between nothing and the exponential ceiling, never beyond the cap', () => {
  const options = { noNaN: true, min: 0, max: 1 - Number.EPSILON };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double(options), (attempt, random) => {
      const delayMs = backoffMs(attempt, policy, () => random);
      expect(Number.isSafeInteger(delayMs)).toBe(true);
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1)));
    }),
  );
});

test('the ceiling doubles with each attempt until the cap', () => {
  const ceilings = [1, 2, 3, 4, 7, 8, 9, 1_000].map((attempt) => backoffMs(attempt, policy, () => 1));
  expect(ceilings).toEqual([500, 1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
});
