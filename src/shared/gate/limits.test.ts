import { expect, test } from 'vitest';
import { createKeys } from '../redis/keys.ts';
import { gateKeys, limitArgs, marginMs, useWithinMs } from './limits.ts';

test('the margin is 40 ms, for short windows 3 % of them', () => {
  expect(marginMs(60_000)).toBe(40);
  expect(marginMs(2_000)).toBe(40);
  expect(marginMs(1_000)).toBe(30);
  expect(marginMs(100)).toBe(3);
});

test('the margin covers a late use and still leaves 97 % from one second on', () => {
  for (const perMs of [1_000, 1_333, 1_334, 10_000, 86_400_000]) {
    expect(marginMs(perMs)).toBeGreaterThan(useWithinMs);
    expect(perMs / (perMs + marginMs(perMs))).toBeGreaterThan(0.97);
  }
});

test('a limit that is not of positive whole numbers is refused', () => {
  const sound = { requests: 1, perMs: 1, burst: 1 };
  expect(limitArgs([sound])).toEqual([1, 1, 1, 0.03]);
  for (const wrong of [{ requests: 0 }, { perMs: 0 }, { burst: 0 }, { requests: 1.5 }, { perMs: Number.NaN }, { burst: Infinity }]) {
    expect(() => limitArgs([{ ...sound, ...wrong }])).toThrow(RangeError);
  }
});

test('all keys of an account share its hash tag', () => {
  const keys = gateKeys(createKeys('p:'), 'crm/eu', [
    { requests: 1, perMs: 1_000, burst: 1 },
    { requests: 1, perMs: 60_000, burst: 1 },
  ]);
  expect(keys).toHaveLength(5);
  expect(new Set(keys.map((key) => /\{(.*?)\}/.exec(key)?.[1]))).toEqual(new Set(['crm/eu']));
});
