import { describe, expect, it } from 'vitest';
import { readHeader, readRetryAfterMs } from './retry-after.ts';

const nowMs = Date.parse('2026-05-01T12:00:00Z');
const raw = (headers: Record<string, string>) =>
  Object.entries(headers).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)]);

describe('readRetryAfterMs', () => {
  it.each([
    ['seconds', '7', 7_000],
    ['no seconds', '0', undefined],
    ['part of a second', '0.5', 500],
    ['an HTTP date', 'Fri, 01 May 2026 12:00:30 GMT', 30_000],
    ['an ISO date', '2026-05-01T12:00:05Z', 5_000],
    ['an ISO date without a zone', '2026-05-01T12:00:05', 5_000],
    ['a date gone by', 'Fri, 01 May 2026 11:00:00 GMT', undefined],
    ['more than a day', '9999999999', 86_400_000],
    ['nonsense', 'soon', undefined],
    ['a negative number of seconds', '-5', undefined],
    ['a negative number and nonsense', '-5x', undefined],
    ['nothing', '', undefined],
  ])('reads %s', (_, value, expected) => {
    expect(readRetryAfterMs(raw({ 'Retry-After': value }), nowMs)).toBe(expected);
  });

  it('measures a date by the provider’s clock where it tells it', () => {
    const headers = raw({ date: 'Fri, 01 May 2026 13:00:00 GMT', 'retry-after': 'Fri, 01 May 2026 13:00:10 GMT' });
    expect(readRetryAfterMs(headers, nowMs)).toBe(10_000);
  });

  it('is undefined without the header', () => {
    expect(readRetryAfterMs(raw({ 'x-retry-after': '7' }), nowMs)).toBeUndefined();
    expect(readHeader([], 'date')).toBeUndefined();
  });
});
