import { expect, it } from 'vitest';
import { lookupQuery } from './soql.ts';

it.each([
  ['ada@example.com', "'ada@example.com'"],
  ["o'brien@example.com", "'o\\'brien@example.com'"],
  ["\\' OR Name != '", "'\\\\\\' OR Name != \\''"],
  ['a\nb\t"c"', '\'a\\nb\\t\\"c\\"\''],
  [42, '42'],
  [true, 'true'],
])('%j is looked for as %s', (value, literal) => {
  expect(lookupQuery('Contact', 'Email', value)).toBe(`SELECT Id FROM Contact WHERE Email = ${literal} LIMIT 2`);
});

it.each([[undefined], [null], [''], [[]], [{}], [Number.NaN]])('%j is nothing to look for', (value) => {
  expect(lookupQuery('Contact', 'Email', value)).toBeUndefined();
});

it('of a record that cannot be older than some time, only such are looked for', () => {
  const soql = lookupQuery('Contact', 'Email', 'a@x.test', Date.parse('2026-05-01T11:55:00.999Z'));
  expect(soql).toBe("SELECT Id FROM Contact WHERE Email = 'a@x.test' AND CreatedDate >= 2026-05-01T11:55:00Z LIMIT 2");
});
