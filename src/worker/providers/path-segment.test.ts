import { expect, it } from 'vitest';
import { encodeSegment } from './path-segment.ts';

it.each([
  ['abc-1_2.3~', 'abc-1_2.3~'],
  ['..a', '..a'],
  ['a/b', 'a%2Fb'],
  ['%2e%2e', '%252e%252e'],
  ['a b?c#d', 'a%20b%3Fc%23d'],
  ['grüße', 'gr%C3%BC%C3%9Fe'],
])('%j is written as %s', (text, segment) => {
  expect(encodeSegment(text)).toBe(segment);
});

it.each(['', '.', '..', '\ud800'])('%j cannot be part of a path', (text) => {
  expect(encodeSegment(text)).toBeUndefined();
});
