import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPattern } from './pattern.ts';

function read(source: string) {
  const read = readPattern(source);
  if (read.status === 'refused') throw new Error(`${source}: ${read.message}`);
  return read.pattern;
}

const texts = [
  ...[
    '',
    'a',
    'b',
    'A',
    'ab',
    'aab',
    'abab',
    'a b',
    'a-b',
    'a/b',
    'a.b',
    '0',
    '42',
    '2026-03-01',
    '[',
    ']',
    '-',
    '^',
    '$',
    '\\',
    '{',
    '}',
    '&',
    ':',
  ],
  ...[
    '\0',
    '\b',
    '\t',
    '\n',
    '\v',
    '\r',
    'a\nb',
    '\u001f',
    '\u0085',
    '\u00a0',
    '\u1680',
    '\u180e',
    '\u2003',
    '\u2028',
    '\u202f',
    '\u3000',
    '\ufeff',
  ],
  ...[
    'é',
    'ß',
    'ſ',
    'K',
    'я',
    'Ω',
    '中',
    '٣',
    '²',
    'ł',
    '😀',
    '😀😀',
    'a 😀 b',
    '\ud83d',
    '\ude00',
    '\ude00\ud83d',
    'ada@example.com',
    '+491701234567',
  ],
];

describe('readPattern', () => {
  it.each([
    ['plain', 'a', 'a.b', 'a|b', '', '|a', '^', '$', '^$', '^a$', 'a$|^b', '^[a-z0-9]+(-[a-z0-9]+)*$', '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$'],
    [
      'repeated',
      'a*',
      '^a+?b',
      '^a{2}b?$',
      '^a{1,}$',
      '^(?:a|ab)*$',
      '^(a*)*b$',
      '^(|a)+$',
      '^(?:){3}a',
      '^.{0,255}$',
      '^\\+?[0-9]{7,15}$',
    ],
    ['groups', '(a)(b)', '^(?:a|b)+$', '(?<year>\\d{4})-(?<$m_ß>\\d\\d)', '((((a))))', '\\(|[)(]'],
    ['characters', '^.$', '^..$', '^\\d$', '^\\D$', '^\\w$', '^\\W$', '^\\s$', '^\\S$', '\\bb\\b', '^\\B', 'a\\B', '\\B'],
    ['classes', '^[\\s]$', '^[\\S]$', '^[^\\s]$', '^[^\\S]$', '^[\\s\\S]$', '^[\\d\\s]$', '^[\\w-]$', '^[-a]$', '^[a\\-z]$', '^[--/]$'],
    [
      'odd classes',
      '[]',
      '[^]',
      '^[^]$',
      '^[[]$',
      '^[\\]]$',
      '^[[:alpha:]$',
      '^[a^]$',
      '^[.]$',
      '^[$]$',
      '^[(?=]$',
      '^[&&a]$',
      '^[\\b]$',
      '^[\\\\]$',
    ],
    ['escapes', '\\/', '[\\/]', '\\^', '\\$', '\\*', '\\+', '\\?', '\\(', '\\)', '\\.', '\\\\', '\\{', '\\[', '\\]', '\\}', '\\|'],
    [
      'codes',
      '^\\u0061$',
      '^\\u{61}$',
      '^\\x61$',
      '^\\u{1F600}$',
      '^\\ud83d\\ude00$',
      '^[\\ud83d\\ude00]$',
      '^[\\u{1F600}]$',
      '^😀$',
      '^[😀]{2}$',
    ],
    ['controls', '^\\t$', '^\\n$', '^\\v$', '^\\f$', '^\\r$', '^\\0$', '^\\cI$', '^[\\cJ]$', '^[\\0-\\x1f]$', '[\\u2028]'],
    [
      'properties',
      '^\\p{L}$',
      '^\\P{L}$',
      '^\\p{Lu}$',
      '^[\\p{L}\\d]$',
      '^[^\\p{L}]$',
      '^\\p{N}$',
      '^\\p{gc=Nd}$',
      '^\\p{Zs}$',
      '^\\p{Cc}$',
      '^\\p{S}$',
    ],
    ['scripts', '^\\p{Script=Greek}$', '^\\p{sc=Cyrillic}$', '^\\p{Script=Han}$', '^\\p{Alphabetic}$', '^\\p{White_Space}$', '^\\p{Any}$'],
  ])('finds what RegExp finds: %s', (_, ...patterns) => {
    for (const pattern of patterns) {
      const native = new RegExp(pattern, 'u');
      const found = read(pattern);
      for (const text of texts) expect([pattern, text, found.isIn(text)]).toEqual([pattern, text, native.test(text)]);
    }
  });

  it('knows the same white space as RegExp, whatever the character', () => {
    const [space, other, inClass] = [read('^\\s$'), read('^\\S$'), read('^[\\S]$')];
    const wrong = [];
    for (let code = 0; code <= 0xffff; code += 1) {
      const text = String.fromCharCode(code);
      const isSpace = /^\s$/u.test(text);
      if (space.isIn(text) !== isSpace || other.isIn(text) === isSpace || inClass.isIn(text) === isSpace) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  it('finds what RegExp finds, in whatever is put together of such pieces', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '.',
      '\\d',
      '\\w',
      '\\s',
      '\\S',
      '[ab]',
      '[^a]',
      '[\\s\\S]',
      '[]',
      '[^]',
      '\\u{1F600}',
      '\\b',
      '^',
      '$',
      '\\p{L}',
    );
    const times = fc.constantFrom('', '', '*', '+?', '{2}', '{0,2}');
    const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
      pattern: fc.array(tie('piece'), { minLength: 1, maxLength: 4 }).chain((pieces) => fc.constantFrom(pieces.join(''), pieces.join('|'))),
      piece: fc.oneof(
        { maxDepth: 3 },
        atom,
        fc.tuple(tie('pattern'), fc.constantFrom('(', '(?:', '(?<n>'), times).map(([inner, start, n]) => `${start}${inner})${n}`),
      ),
    }));
    const text = fc
      .array(fc.constantFrom('a', 'b', '1', ' ', '\n', '\u00a0', 'é', '😀', '\ud83d'), { maxLength: 6 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, text, (source, given) => {
        const readAs = readPattern(source);
        fc.pre(readAs.status === 'read');
        expect(readAs.status === 'read' && readAs.pattern.isIn(given)).toBe(new RegExp(source, 'u').test(given));
      }),
      { numRuns: 500 },
    );
  });

  // Each of these takes a backtracking engine longer than anybody waits: the last two with exponential, the others with polynomial time.
  it.each([
    ['^[A-Za-z]+ ?[A-Za-z]* ?[A-Za-z]* ?[A-Za-z]* ?[A-Za-z]*$', 'a'],
    ['^\\w*\\d*\\w*\\d*\\w*\\d*$', '1'],
    ['^(\\w+\\s?)*$', 'a'],
    ['^([Ā-ſ]ł*)+$', 'ł'],
  ])('comes to an end with %s', (pattern, character) => {
    expect(read(pattern).isIn(`${character.repeat(65_000)}!`)).toBe(false);
    expect(read(pattern).isIn(character.repeat(65_000))).toBe(true);
  });

  it.each([
    ['(a)\\1', 'a back-reference'],
    ['(?<x>a)\\k<x>', 'a back-reference'],
    ['(?=a)b', 'look-ahead'],
    ['a(?!b)', 'look-ahead'],
    ['(?<!a)b', 'look-behind'],
    ['(?<=a)b', 'look-behind'],
    ['\\ud83d', 'surrogate'],
    ['\\u{d83d}\\u{de00}', 'surrogate'],
    ['[\ud83d]', 'surrogate'],
    ['\\p{Script_Extensions=Greek}', '\\p{Script_Extensions=Greek}'],
    ['\\p{Letter}', '\\p{Letter}'],
    ['[', 'not a regular expression'],
    ['\\A', 'not a regular expression'],
    ['[[:alpha:]]', 'not a regular expression'],
    ['a'.repeat(501), 'at most 500'],
    ['a{1001}', 'more than 1000 times'],
    ['(a{40}){40}', 'more than 1000 times'],
    ['(?:ab?){1000}'.repeat(3), 'repeats too much'],
  ])('refuses %s', (pattern, reason) => {
    expect(readPattern(pattern)).toEqual({ status: 'refused', message: expect.stringContaining(reason) });
  });
});
