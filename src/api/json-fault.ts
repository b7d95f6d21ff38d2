/**
 * Where a text stops being JSON. The parser's own words name the place only sometimes, differ from one version of Node to the next, and quote the
 * body; so a text that it has refused is gone through again, token by token. What is open is a list: depth costs nothing.
 */

export interface JsonFault {
  /** Both from 1; columns are UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** What there is is right, but it is not all. */
  readonly isCutOff: boolean;
}

/** Longer texts are looked at so far: each token takes a moment, and a body may be all brackets. */
const maxScanned = 262_144;

/** Undefined where no fault is found, or none near enough to the beginning. */
export function findJsonFault(text: string): JsonFault | undefined {
  const at = scan(text.slice(0, maxScanned));
  if (at === undefined || at >= maxScanned) return undefined;
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n'), isCutOff: at === text.length };
}

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end';

/** The index of what cannot be there, the length where a text is cut off; undefined where it is JSON. */
function scan(text: string): number | undefined {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    at = skipGap(text, at);
    const sign = text[at];
    if (expected === ', or end') {
      const inner = open.at(-1);
      if (inner === undefined) return at === text.length ? undefined : at;
      if (sign === ',') expected = inner === '[' ? 'value' : 'name';
      else if (sign === (inner === '[' ? ']' : '}')) open.pop();
      else return at;
      at += 1;
    } else if (expected === ':') {
      if (sign !== ':') return at;
      expected = 'value';
      at += 1;
    } else if ((expected === 'value or ]' && sign === ']') || (expected === 'name or }' && sign === '}')) {
      open.pop();
      expected = ', or end';
      at += 1;
    } else if (expected === 'name' || expected === 'name or }') {
      const { end, isWhole } = skipString(text, at);
      if (!isWhole) return end;
      expected = ':';
      at = end;
    } else if (sign === '{' || sign === '[') {
      open.push(sign);
      expected = sign === '{' ? 'name or }' : 'value or ]';
      at += 1;
    } else {
      const { end, isWhole } = sign === '"' ? skipString(text, at) : skipWord(text, at);
      if (!isWhole) return end;
      expected = ', or end';
      at = end;
    }
  }
}

const gap = /[ \t\n\r]*/y;
const word = /(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![A-Za-z0-9_.+-])/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function endOf(shape: RegExp, text: string, at: number): number | undefined {
  shape.lastIndex = at;
  return shape.test(text) ? shape.lastIndex : undefined;
}

const skipGap = (text: string, at: number): number => endOf(gap, text, at) as number;

/** Neither a quote, a backslash nor a control character; NaN, past the end, is none. */
const isPlain = (code: number): boolean => code >= 0x20 && code !== 0x22 && code !== 0x5c;

/** Where it ends, or where it breaks off. */
interface Skipped {
  readonly end: number;
  readonly isWhole: boolean;
}

/** A number or a literal; `01`, `nul` and `1x` are none. */
function skipWord(text: string, at: number): Skipped {
  const end = endOf(word, text, at);
  return { end: end ?? at, isWhole: end !== undefined };
}

function skipString(text: string, from: number): Skipped {
  if (text[from] !== '"') return { end: from, isWhole: false };
  let at = from + 1;
  for (;;) {
    while (isPlain(text.charCodeAt(at))) at += 1;
    if (text[at] === '"') return { end: at + 1, isWhole: true };
    const afterEscape = endOf(escaped, text, at);
    if (afterEscape === undefined) return { end: at, isWhole: false };
    at = afterEscape;
  }
}
