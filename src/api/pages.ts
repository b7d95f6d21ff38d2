/** Lists in pages: `{"items": [...], "next_cursor": string | null}`. */
import { z } from '@hono/zod-openapi';

export const maxPage = 500;
export const maxCursorLength = 1_000;
const defaultPage = 50;

/** A parameter of 1 to `maxLength` characters that may be left out. */
export function queryText(maxLength: number) {
  const message = `expected 1 to ${maxLength} characters`;
  return z.string().min(1, message).max(maxLength, message).optional();
}

const limitText = z
  .string()
  .regex(/^[1-9][0-9]{0,2}$/, `expected a whole number from 1 to ${maxPage}`)
  .refine((text) => Number(text) <= maxPage, `expected at most ${maxPage}`)
  .optional()
  .openapi({ type: 'integer', minimum: 1, maximum: maxPage, default: defaultPage, description: 'Most items in one answer.' });

const cursorText = queryText(maxCursorLength).openapi({ description: 'Where to go on: `next_cursor` of the answer before.' });

/** The members of a query that pages through a list. */
export const pageQuery = { limit: limitText, cursor: cursorText };

export function pageLimit(query: { limit?: string | undefined }): number {
  return query.limit === undefined ? defaultPage : Number(query.limit);
}

/** A page of what is in the order of its names. */
export function pageByName<T>(
  all: readonly T[],
  nameOf: (item: T) => string,
  query: { limit?: string | undefined; cursor?: string | undefined },
): { items: readonly T[]; nextCursor: string | undefined } {
  const limit = pageLimit(query);
  const after = query.cursor === undefined ? '' : Buffer.from(query.cursor, 'base64url').toString('utf8');
  const rest = all.filter((item) => nameOf(item) > after);
  const items = rest.slice(0, limit);
  const last = rest.length > limit ? items.at(-1) : undefined;
  return { items, nextCursor: last && Buffer.from(nameOf(last)).toString('base64url') };
}

export function listAnswer(items: readonly unknown[], nextCursor: string | undefined) {
  return { items, next_cursor: nextCursor ?? null };
}

export function listSchema(item: Readonly<Record<string, unknown>>) {
  return {
    type: 'object',
    required: ['items', 'next_cursor'],
    properties: { items: { type: 'array', items: item }, next_cursor: { type: ['string', 'null'] } },
  };
}
