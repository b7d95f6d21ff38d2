/**
 * The patterns of `like`: RE2's syntax, which the language's own definition prescribes for `matches`, found anywhere in the text unless `^`
 * and `$` say otherwise. The engine does not backtrack; its time is bounded by the text's length times the pattern's size.
 */
import { RE2JS } from 're2js';

/** `like` fails on longer texts. */
export const maxPatternText = 255;
const maxPatternLength = 200;
/** Of all counted repetitions, multiplied: the engine writes each out, and 200 characters can ask for 20,000 copies. */
const maxCopies = 1_000;

export interface Pattern {
  /** Instructions of its program. */
  readonly size: number;
  /** Throws on a text of more than `maxPatternText` characters. */
  isIn(text: string): boolean;
}

export type ReadPattern = { readonly status: 'read'; readonly pattern: Pattern } | { readonly status: 'refused'; readonly message: string };

export function readPattern(source: string): ReadPattern {
  if (source.length > maxPatternLength) return { status: 'refused', message: `a pattern has at most ${maxPatternLength} characters` };
  if (countCopies(source) > maxCopies) return { status: 'refused', message: 'its counted repetitions, such as {20}, are too many' };
  try {
    const compiled = RE2JS.compile(source);
    return { status: 'read', pattern: { size: compiled.programSize(), isIn: (text) => compiled.test(bounded(text)) } };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : 'no pattern';
    return { status: 'refused', message: `not a pattern: ${reason.slice(0, 200)}` };
  }
}

function countCopies(source: string): number {
  const counts = [...source.matchAll(/\{(\d{1,9})(?:,(\d{0,9}))?\}/g)].map(([, min, max]) => Math.max(1, Number(min), Number(max ?? 0)));
  return counts.reduce((product, count) => product * count, 1);
}

function bounded(text: string): string {
  if (text.length > maxPatternText) throw new Error(`like looks at texts of at most ${maxPatternText} characters`);
  return text;
}
