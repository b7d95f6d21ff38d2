import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCsv, printCsv } from './csv.ts';

test('whatever is printed is read again as it was', () => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ';', ' ', 'é') });
  const table = fc
    .integer({ min: 2, max: 4 })
    .chain((columns) => fc.array(fc.array(field, { minLength: columns, maxLength: columns }), { minLength: 1 }));
  fc.assert(
    fc.property(table, fc.constantFrom(',', ';'), fc.constantFrom('\n', '\r\n'), (lines, delimiter, lineEnd) => {
      const [header, ...rows] = lines;
      expect(parseCsv(printCsv(lines, { delimiter, lineEnd }), delimiter)).toEqual({ is: 'parsed', header, rows });
    }),
  );
});

test('fields need no quotes, the last line no end, and empty lines are none', () => {
  const parsed = parseCsv('\uFEFFId,Name,Title\r\n1,"a ""b""",\n\n2,,c', ',');
  expect(parsed).toEqual({
    is: 'parsed',
    header: ['Id', 'Name', 'Title'],
    rows: [
      ['1', 'a "b"', ''],
      ['2', '', 'c'],
    ],
  });
  expect(parseCsv('Id,Name\n1,', ',')).toMatchObject({ rows: [['1', '']] });
});

test('a row of another length, a quote left open and a missing header are refused', () => {
  expect(parseCsv('a,b\n1', ',').is).toBe('malformed');
  expect(parseCsv('a,b\n1,"2', ',').is).toBe('malformed');
  expect(parseCsv('a,b\n"1"x,2', ',').is).toBe('malformed');
  expect(parseCsv('', ',').is).toBe('malformed');
});
