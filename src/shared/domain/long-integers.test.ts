import { expect, test } from 'vitest';
import { findLongIntegers } from './long-integers.ts';

const digitsIn = (value: string) => findLongIntegers(value).map(({ digits, start, end }) => [digits, value.slice(start, end)]);

test('integers of 16 digits and more are found outside of texts, as they are written', () => {
  const long = '1234567890123456';
  expect(digitsIn(`{"a":${long},"b":[-${long}.0,123,${long}e0],"c":${long}.5,"d":1e30}`)).toEqual([
    [long, long],
    [`-${long}`, `-${long}.0`],
    [long, `${long}e0`],
  ]);
});

test('texts are passed over, whatever is escaped in them', () => {
  const long = '12345678901234567';
  for (const text of [long, `"${long}`, `\\${long}`, `\\"${long}\\\\`, '\\', '"', ''])
    expect(digitsIn(JSON.stringify({ [text]: text, n: 1 }).replace(':1}', `:${long}}`))).toEqual([[long, long]]);
});

test('texts of many escapes take no more room', () => {
  const long = '12345678901234567';
  for (const escaped of ['\\n', '\\"', '\\\\']) expect(digitsIn(`["${escaped.repeat(1_000_000)}",${long}]`)).toEqual([[long, long]]);
});
