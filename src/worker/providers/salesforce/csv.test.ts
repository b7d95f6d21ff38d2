import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCsv, toCell, toLine } from './csv.ts';

describe('a cell', () => {
  it.each([
    [null, '#N/A'],
    ['', '#N/A'],
    [0, '0'],
    [1.5, '1.5'],
    [false, 'false'],
    ['2026-05-01', '2026-05-01'],
    ['#N/A', undefined],
    [{}, undefined],
    [['a'], undefined],
  ])('of %j is %j', (value, cell) => {
    expect(toCell(value)).toBe(cell);
  });
});

it('a line is quoted where it has to be', () => {
  expect(toLine(['a', '', 'b,c', 'say "hi"', 'two\nlines', ' x', 'a b', 'ü'])).toBe('a,,"b,c","say ""hi""","two\nlines"," x",a b,ü\n');
});

describe('a table', () => {
  it('is read by its header', () => {
    const text = '\uFEFF"sf__Id","sf__Error","Name"\r\n"003","A:b, ""c""\nd:--","x"\r\n004,,y\r\n';
    expect(parseCsv(text)?.map((row) => ({ ...row }))).toEqual([
      { sf__Id: '003', sf__Error: 'A:b, "c"\nd:--', Name: 'x' },
      { sf__Id: '004', sf__Error: '', Name: 'y' },
    ]);
  });

  it.each(['', '\n', '"sf__Id","sf__Created"\n', 'a,b'])('%j has no rows', (text) => {
    expect(parseCsv(text)).toEqual([]);
  });

  it.each(['a,b\n"1,2', 'a,b\n1', 'a,b\n"1"x,2', 'a,b\n1,2,3'])('%j is none', (text) => {
    expect(parseCsv(text)).toBeUndefined();
  });

  it('comes back as it was written', () => {
    const cells = fc.array(fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é') }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(fc.array(cells), (rows) => {
        const text = ['a,b\n', ...rows.map(toLine)].join('');
        expect(parseCsv(text)?.map((row) => [row['a'], row['b']])).toEqual(rows);
      }),
    );
  });

  it('may have very long cells', () => {
    const long = `"${'x""'.repeat(100_000)}"`;
    expect(parseCsv(`a,b\n${long},1\n`)?.[0]?.['a']).toHaveLength(200_000);
  });
});
