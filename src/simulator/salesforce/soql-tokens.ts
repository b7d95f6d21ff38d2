/** The words of a query: names, texts, numbers, points in time, and signs. */
import { readDateTime } from './salesforce-dates.ts';

export type Token =
  /** Also a keyword: which it is depends on where it stands. */
  | { readonly is: 'name'; readonly text: string }
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'number'; readonly text: string; readonly value: number }
  | { readonly is: 'time'; readonly text: string; readonly atMs: number }
  | { readonly is: 'sign'; readonly text: string };

const pattern =
  /\s*(?:(?<time>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2}))?)|(?<number>[+-]?\d+(?:\.\d+)?)|(?<name>[A-Za-z][\w.]*)|'(?<text>(?:[^'\\]|\\.)*)'|(?<sign><=|>=|!=|<>|[=<>(),]))/sy;

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

/** The query's tokens, or the place from which on it cannot be read. */
export function tokenize(query: string): { readonly tokens: readonly Token[] } | { readonly unreadable: string } {
  const text = query.trimEnd();
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const token = readToken(pattern.exec(text)?.groups);
    if (token === undefined) return { unreadable: text.slice(start, start + 40).trim() };
    tokens.push(token);
  }
  return { tokens };
}

function readToken(groups: Readonly<Record<string, string | undefined>> | undefined): Token | undefined {
  if (!groups) return undefined;
  const { time, number, name, text, sign } = groups;
  if (time !== undefined) {
    const atMs = readDateTime(time);
    return atMs === undefined ? undefined : { is: 'time', text: time, atMs };
  }
  if (number !== undefined) return { is: 'number', text: number, value: Number(number) };
  if (name !== undefined) return { is: 'name', text: name };
  if (sign !== undefined) return { is: 'sign', text: sign === '<>' ? '!=' : sign };
  return { is: 'text', text: readEscapes(text ?? '') };
}

/** `\%` and `\_` keep their backslash: only LIKE knows what they mean. */
function readEscapes(text: string): string {
  return text.replace(/\\(.)/gs, (whole, character: string) => {
    if (character === '%' || character === '_') return whole;
    return escapes[character.toLowerCase()] ?? character;
  });
}
