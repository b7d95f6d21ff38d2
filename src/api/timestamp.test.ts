import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxTimestampMs, parseTimestamp } from './timestamp.ts';

describe('parseTimestamp', () => {
  it.each([
    ['2026-11-20T10:00:00Z', '2026-11-20T10:00:00.000Z'],
    ['2026-11-20T10:00:00.5Z', '2026-11-20T10:00:00.500Z'],
    ['2026-11-20t10:00:00.123456789z', '2026-11-20T10:00:00.123Z'],
    ['2026-11-20T10:00:00+05:30', '2026-11-20T04:30:00.000Z'],
    ['2026-11-20 23:30:00-01:00', '2026-11-21T00:30:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['1970-01-01T00:00:00-00:00', '1970-01-01T00:00:00.000Z'],
  ])('reads %s', (text, expected) => {
    expect(new Date(parseTimestamp(text) as number).toISOString()).toBe(expected);
  });

  it.each([
    '2026-11-20T10:00:00',
    '2026-11-20',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-11-20T24:00:00Z',
    '2026-11-20T10:60:00Z',
    '2026-11-20T10:00:61Z',
    '2026-11-20T10:00:00+24:00',
    '2026-11-20T10:00:00+0100',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00:00+01:00',
    '0042-01-01T00:00:00Z',
    '1700000000000',
    '',
    'now',
    ' 2026-11-20T10:00:00Z',
    -1,
    1.5,
    maxTimestampMs + 1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
    null,
    true,
    {},
    [],
  ])('refuses %j', (value) => {
    expect(parseTimestamp(value)).toBeUndefined();
  });

  it('reads back every instant it can hold, from text and from a number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: maxTimestampMs }), (ms) => {
        expect(parseTimestamp(new Date(ms).toISOString())).toBe(ms);
        expect(parseTimestamp(ms)).toBe(ms);
      }),
    );
  });
});
