import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findJsonFault } from './json-fault.ts';

const isJson = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('findJsonFault', () => {
  it.each([
    ['', 1, 1],
    ['nope', 1, 1],
    ['{"a":1,}', 1, 8],
    ['{"a":1 "b":2}', 1, 8],
    ['{"a" 1}', 1, 6],
    ["{'a':1}", 1, 2],
    ['[1,2', 1, 5],
    ['{"a":01}', 1, 6],
    ['{"a":NaN}', 1, 6],
    ['"a\u0001"', 1, 3],
    ['"\\x"', 1, 2],
    ['{}x', 1, 3],
    ['{\n  "a": 1,\n  "b": tru\n}', 3, 8],
    ['[1]]', 1, 4],
    ['[1}', 1, 3],
  ])('of %j is in line %i, column %i', (text, line, column) => {
    expect(findJsonFault(text)).toMatchObject({ line, column });
  });

  it('tells a text that is cut off from one that is wrong', () => {
    for (const text of ['', '{"a":', '["x', '{"a":1', '[1,']) expect(findJsonFault(text), text).toMatchObject({ isCutOff: true });
    for (const text of ['x', '{"a":}', '[1,]']) expect(findJsonFault(text), text).toMatchObject({ isCutOff: false });
  });

  it('finds one exactly where the parser does', () => {
    const sign = fc.constantFrom(
      ...'{}[],:"\\ \n019-+.eEtrufalsn/\u0001'.split(''),
      'true',
      'null',
      '"a"',
      '\\u00e9',
      '{"a":',
      '[1',
      '1e5',
      '-0',
    );
    const wild = fc.array(sign, { maxLength: 12 }).map((signs) => signs.join(''));
    const nearly = fc
      .tuple(fc.json({ maxDepth: 3 }), fc.nat(60), sign)
      .map(([text, at, extra]) => text.slice(0, at) + extra + text.slice(at));
    fc.assert(
      fc.property(fc.oneof(wild, nearly, fc.json()), (text) => {
        expect(findJsonFault(text) === undefined, text).toBe(isJson(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('of a text in which it lies far behind is not looked for that far', () => {
    expect(findJsonFault('['.repeat(8_000_000))).toBeUndefined();
    expect(findJsonFault(`["${'x'.repeat(8_000_000)}`)).toBeUndefined();
  });
});
