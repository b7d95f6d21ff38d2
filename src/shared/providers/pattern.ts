/**
 * Regular expressions of payload schemas: written in ECMAScript's syntax (with its flag `u`), run by RE2, which does not backtrack: its time
 * is bounded by the text's length times the pattern's size. `RegExp` says whether a text is a regular expression; what has another meaning
 * in RE2's syntax is then spelled out for it, and what RE2 has no words for is refused.
 * Rejected: an engine that backtracks, behind an analysis of what may take exponential time. It has to guess, it refuses what is harmless,
 * and what takes polynomial time still needs a bound on the text, which makes valid data invalid.
 */
import { RE2JS } from 're2js';

const maxPatternLength = 500;
/** Instructions: a little more than twice what `{0,1000}` takes. Compiling as many takes some tens of milliseconds. */
const maxPatternSize = 5_000;

export interface Pattern {
  /** Instructions of its program. */
  readonly size: number;
  /** Anywhere in the text, unless `^` and `$` say otherwise. */
  isIn(text: string): boolean;
}

export type ReadPattern = { readonly status: 'read'; readonly pattern: Pattern } | { readonly status: 'refused'; readonly message: string };

export function readPattern(source: string): ReadPattern {
  if (source.length > maxPatternLength) return { status: 'refused', message: `a pattern has at most ${maxPatternLength} characters` };
  try {
    new RegExp(source, 'u');
  } catch {
    return { status: 'refused', message: 'is not a regular expression' };
  }
  const { re2, foreign } = translate(source);
  if (foreign !== undefined) return { status: 'refused', message: `uses ${foreign}, which is not allowed here` };
  try {
    const compiled = RE2JS.compile(re2);
    const size = compiled.programSize();
    if (size > maxPatternSize) return { status: 'refused', message: 'repeats too much' };
    return { status: 'read', pattern: { size, isIn: (text) => compiled.test(text) } };
  } catch (error) {
    return { status: 'refused', message: whyRefused(error) };
  }
}

function whyRefused(error: unknown): string {
  const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : 'unknown';
  if (reason.startsWith('invalid repeat count')) return 'repeats more than 1000 times';
  return `cannot be run here: ${reason.slice(0, 200)}`;
}

/** ECMAScript's `\s`. */
const spaces = '\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const noSpaces =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
const anything = '[\\x{0}-\\x{10ffff}]';
const nothing = '[^\\x{0}-\\x{10ffff}]';
const notLineEnd = '[^\\n\\r\\x{2028}\\x{2029}]';

const escapeShape = '\\\\(?:u\\{[0-9a-fA-F]+\\}|u[dD][89abAB]..\\\\u[dD][c-fC-F]..|u.{4}|x..|c.|[pP]\\{[^}]*\\}|[^])';
/** A class, an escape, the beginning of a group, a dot. Of a valid expression: so that a class ends where it seems to. */
const pieces = new RegExp(
  `\\[(?<not>\\^?)(?<members>(?:\\\\[^]|[^\\]\\\\])*)\\]|${escapeShape}|\\((?:\\?(?:<?[=!]|<[^>]*>|:)?)?|\\.`,
  'gu',
);
/** In a class `[` is a character; RE2 would read `[:` as the beginning of a name. */
const memberPieces = new RegExp(`${escapeShape}|\\[`, 'gu');
const surrogate = /\p{Surrogate}/u;

/** `foreign`: what RE2 has no words for. */
function translate(source: string): { re2: string; foreign: string | undefined } {
  let foreign = surrogate.test(source) ? halfPair : undefined;
  const readEscape = (text: string, isInClass: boolean): string => {
    const read = translateEscape(text, isInClass);
    foreign ??= read.foreign;
    return read.re2;
  };
  const re2 = source.replaceAll(pieces, (piece, ...found) => {
    const { not, members } = found.at(-1) as { not?: string; members?: string };
    if (members === '') return not === '^' ? anything : nothing;
    if (members !== undefined)
      return `[${not}${members.replaceAll(memberPieces, (member) => (member === '[' ? '\\[' : readEscape(member, true)))}]`;
    if (piece === '.') return notLineEnd;
    if (piece.startsWith('\\')) return readEscape(piece, false);
    foreign ??= foreignGroup(piece);
    return '(?:';
  });
  return { re2, foreign };
}

const halfPair = 'half of a surrogate pair';

/** Nothing asks what a group has matched, so that all others are the same. */
function foreignGroup(start: string): string | undefined {
  if (/[=!]$/.test(start)) return 'look-ahead or look-behind';
  return start === '(?' ? 'flags of a group' : undefined;
}

function translateEscape(text: string, isInClass: boolean): { re2: string; foreign?: string | undefined } {
  const kind = text[1] as string;
  if (kind === 'k' || /[1-9]/.test(kind)) return { re2: text, foreign: 'a back-reference' };
  if (kind === 's') return { re2: isInClass ? spaces : `[${spaces}]` };
  if (kind === 'S') return { re2: isInClass ? noSpaces : `[${noSpaces}]` };
  if (kind === 'p' || kind === 'P') return { re2: text.replace(/\{(?:Script|sc|General_Category|gc)=/, '{') };
  const code = codeOf(text, isInClass);
  if (code === undefined) return { re2: text };
  return { re2: `\\x{${code.toString(16)}}`, foreign: surrogate.test(String.fromCodePoint(code)) ? halfPair : undefined };
}

/** Undefined for what is the same in RE2, such as `\d`, `\n` and `\.`. */
function codeOf(text: string, isInClass: boolean): number | undefined {
  switch (text[1]) {
    case 'u':
    case 'x':
      return String.fromCodePoint(...(text.match(/[0-9a-fA-F]+/g) ?? []).map((hex) => Number.parseInt(hex, 16))).codePointAt(0);
    case 'c':
      return (text.codePointAt(2) as number) % 32;
    case '0':
      return 0;
    case 'b':
      return isInClass ? 8 : undefined;
    default:
      return undefined;
  }
}
