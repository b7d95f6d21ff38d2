import { expect, test } from 'vitest';
import { createIsExact } from './exact-numbers.ts';

const isExact = (body: string, number: string) => createIsExact(Buffer.from(body))(Number(number));

test.each([
  '12345678901234567890',
  '-9007199254740993',
  '9007199254740993',
  '9007199254740993.0',
  '9007199254740993e0',
  '100000000000000000000000001',
])('%s becomes another', (number) => {
  expect(isExact(`{"n":${number}}`, number)).toBe(false);
  expect(isExact(`[1, ${number} ]`, number)).toBe(false);
});

test.each([
  '9007199254740992',
  '1000000000000000000000',
  '-18446744073709551616',
  '1e300',
  '1.5e20',
  '1.7976931348623157e308',
  '9007199254740992.5',
])('%s is what it was', (number) => {
  expect(isExact(`{"n":${number}}`, number)).toBe(true);
});

test.each(['1e400', '-1e400', '9'.repeat(400)])('what is too large for a double is not', (number) => {
  expect(isExact(`{"n":${number}}`, number)).toBe(false);
});

test('digits of a text or of a fraction are no integers', () => {
  expect(isExact('{"id":"9007199254740993","a\\"9007199254740993":0.12345678901234567,"n":9007199254740992}', '9007199254740992')).toBe(
    true,
  );
});

test('a body full of long numbers is looked through once', () => {
  const body = Buffer.from(`[${Array.from({ length: 20_000 }, (_, i) => `9007199254${740_993 + 2 * i}`).join(',')}]`);
  const judge = createIsExact(body);
  expect(Array.from({ length: 20_000 }, () => judge(1e300)).every(Boolean)).toBe(true);
});
