import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRollingLimit } from './rolling-limit.ts';

test('no window ever holds more than the limit, and a call is refused only when one would', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 100 }), (steps, requests, perMs) => {
      const limit = createRollingLimit(requests, perMs);
      const accepted: number[] = [];
      let now = 0;
      for (const step of steps) {
        now += step;
        const inWindow = accepted.filter((at) => at > now - perMs).length;
        expect(limit.left(now)).toBe(requests - inWindow);
        const waitMs = limit.take(now);
        expect(waitMs > 0).toBe(inWindow >= requests);
        if (waitMs === 0) accepted.push(now);
      }
    }),
  );
});

test('a refusal says when the next call would be accepted', () => {
  const limit = createRollingLimit(2, 1_000);
  expect([limit.take(0), limit.take(400), limit.take(500)]).toEqual([0, 0, 500]);
  expect(limit.take(1_000)).toBe(0);
  expect(limit.take(1_000)).toBe(400);
});
