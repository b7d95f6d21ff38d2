import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClockBounds } from './clock-bounds.ts';

test('a moment lies between question and answer', () => {
  const clock = new ClockBounds();
  clock.learn(100, 140, 5_000);
  expect(clock.earliest(5_000)).toBe(100);
  expect(clock.latest(5_000)).toBe(140);
  expect(clock.latest(5_010) - clock.earliest(5_010)).toBe(40);
});

test('one slow answer does not make a clock uncertain that was known', () => {
  const clock = new ClockBounds();
  clock.learn(100, 101, 5_000);
  clock.learn(110, 200, 5_020);
  expect(clock.latest(5_020) - clock.earliest(5_020)).toBeLessThan(1.1);
});

test('a clock that was set anew is believed at once', () => {
  const clock = new ClockBounds();
  clock.learn(100, 101, 5_000);
  clock.learn(110, 112, 9_000);
  expect(clock.earliest(9_000)).toBe(110);
  expect(clock.latest(9_000)).toBe(112);
});

test('the truth is always within the bounds, whatever the ways of the answers and a drift of 100 ppm', () => {
  const answer = fc.record({
    there: fc.double({ min: 0, max: 200, noNaN: true }),
    back: fc.double({ min: 0, max: 200, noNaN: true }),
    pause: fc.integer({ min: 0, max: 60_000 }),
  });
  fc.assert(
    fc.property(fc.array(answer, { minLength: 1, maxLength: 30 }), fc.double({ min: -1e-4, max: 1e-4, noNaN: true }), (answers, drift) => {
      const clock = new ClockBounds();
      const remoteOf = (local: number) => 1_000_000 + local * (1 + drift);
      let local = 0;
      for (const { there, back, pause } of answers) {
        local += pause;
        const ranAt = local + there;
        clock.learn(local, ranAt + back, remoteOf(ranAt));
        expect(clock.earliest(remoteOf(ranAt))).toBeLessThanOrEqual(ranAt + 0.1);
        expect(clock.latest(remoteOf(ranAt))).toBeGreaterThanOrEqual(ranAt - 0.1);
        local = ranAt + back;
      }
    }),
  );
});
