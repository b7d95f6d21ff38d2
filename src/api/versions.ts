/** Versions of what is stored, as HTTP has them: `ETag` in an answer, `If-Match` with a write that must not undo another's. */
import type { WriteOptions } from '../shared/redis/versioned-records.ts';
import { type ApiContext, type HeaderDeclaration, invalid } from './route.ts';

export const ifMatchHeader: HeaderDeclaration = {
  name: 'If-Match',
  description: 'The `ETag` of an answer: only where that version is still the stored one. `*`: only where there is one.',
  schema: { type: 'string', pattern: '^(\\*|"[0-9]{1,15}")$' },
};

/** A strong tag: the version says all. */
export const etagOf = (version: number): string => `"${version}"`;

/** The version a writer has seen; `any`: it is only not to create anything. Undefined where nothing is asked for. */
export function readIfMatch(c: ApiContext): WriteOptions['ifVersion'] {
  const given = c.req.header('if-match');
  if (given === undefined) return undefined;
  if (given === '*') return 'any';
  const version = /^"([0-9]{1,15})"$/.exec(given)?.[1];
  if (version === undefined) throw invalid([{ path: 'If-Match', message: 'expected a version in quotes, such as "3"' }]);
  return Number(version);
}

/** Of what the header asks for and the version that a body was compared with, whichever says more. */
export function bindTo(given: WriteOptions['ifVersion'], compared: number | undefined): WriteOptions {
  return { ifVersion: typeof given === 'number' ? given : (compared ?? given) };
}
