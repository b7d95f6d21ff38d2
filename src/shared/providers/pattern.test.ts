import { describe, expect, it } from 'vitest';
import { checkPattern } from './pattern.ts';

describe('checkPattern', () => {
  it.each([
    '^[a-z0-9]+(-[a-z0-9]+)*$',
    '^([a-z]+,)*[a-z]+$',
    '(a|b)+',
    '([a-z]|[0-9])+',
    '(foo|bar)+',
    '((ab)c)+',
    '^(\\d{3}-)+$',
    '^\\+?[0-9]{7,15}$',
    '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$',
    '(?<year>\\d{4})-(?<month>\\d\\d)',
    '(?:\\p{L}|\\d)+',
    '^(a+)$',
    '(a+)?',
    '\\(+[)]',
  ])('takes %s', (pattern) => {
    expect(checkPattern(pattern)).toBeUndefined();
  });

  it.each([
    '(a+)+',
    '(a*)*b',
    '((a+))+',
    '(a|ab)*',
    '(a|a)*',
    '(a?a)*',
    '(\\w+\\s?)*',
    '(.*a){20}',
    '([a-z]+[0-9]?)+',
    '(\\w|\\d)+',
    '((a)|(a))+',
    '(|a)+',
    '(-[a-z-]+)*',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
  ])('refuses %s, which can cut a text in several ways', (pattern) => {
    expect(checkPattern(pattern)).toContain('exponential');
  });

  it.each([
    ['(a)\\1', 'back-reference'],
    ['(?<x>a)\\k<x>', 'back-reference'],
    ['(?=a)b', 'look-ahead'],
    ['(?<!a)b', 'look-behind'],
    ['[', 'not a regular expression'],
    ['a'.repeat(501), 'at most 500'],
    [`${'('.repeat(30)}a${')'.repeat(30)}`, 'nested'],
  ])('refuses %s', (pattern, reason) => {
    expect(checkPattern(pattern)).toContain(reason);
  });
});
