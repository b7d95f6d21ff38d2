/**
 * The part of SOQL that clients of a sync need: fields of one type or COUNT(), conditions with AND, OR, NOT and parentheses, ORDER BY,
 * LIMIT and OFFSET. No joins, functions or date words. A descent by grammar rule; each rule takes its tokens from the front.
 */
import { type Token, tokenize } from './soql-tokens.ts';

export type Value =
  | { readonly is: 'null' }
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: 'boolean'; readonly value: boolean }
  | { readonly is: 'time'; readonly atMs: number };

export const comparisons = ['=', '!=', '<', '>', '<=', '>='] as const;
export type Comparison = (typeof comparisons)[number];

export type Condition =
  | { readonly is: 'compare'; readonly field: string; readonly by: Comparison; readonly value: Value }
  | { readonly is: 'like'; readonly field: string; readonly pattern: string }
  | { readonly is: 'in'; readonly field: string; readonly values: readonly Value[] }
  | { readonly is: 'not'; readonly condition: Condition }
  | { readonly is: 'all' | 'any'; readonly conditions: readonly Condition[] };

export interface Order {
  readonly field: string;
  readonly isDescending: boolean;
  readonly hasNullsLast: boolean;
}

export interface Query {
  /** Undefined for COUNT(). */
  readonly fields: readonly string[] | undefined;
  readonly type: string;
  readonly where: Condition | undefined;
  readonly orders: readonly Order[];
  readonly limit: number | undefined;
  readonly offset: number;
}

export type ParsedQuery = { readonly is: 'query'; readonly query: Query } | { readonly is: 'malformed'; readonly message: string };

export function parseQuery(text: string): ParsedQuery {
  const read = tokenize(text);
  if ('unreadable' in read) return { is: 'malformed', message: `unexpected token: '${read.unreadable}'` };
  const parser = createParser(read.tokens);
  try {
    return { is: 'query', query: parser.query() };
  } catch (error) {
    if (error instanceof UnexpectedToken) return { is: 'malformed', message: error.message };
    throw error;
  }
}

/** Leaves the rules, which are nested as deep as the query is. */
class UnexpectedToken extends Error {}

function createParser(tokens: readonly Token[]) {
  let at = 0;

  const peek = (ahead = 0) => tokens[at + ahead];
  const isWord = (word: string, ahead = 0) => peek(ahead)?.is === 'name' && peek(ahead)?.text.toUpperCase() === word;
  const isSign = (sign: string) => peek()?.is === 'sign' && peek()?.text === sign;

  function fail(): never {
    const token = peek();
    throw new UnexpectedToken(token ? `unexpected token: '${token.text}'` : 'unexpected end of the query');
  }

  function takes(isNext: boolean): boolean {
    if (isNext) at += 1;
    return isNext;
  }

  function expect(isNext: boolean): void {
    if (!takes(isNext)) fail();
  }

  function name(): string {
    const token = peek();
    if (token?.is !== 'name') return fail();
    at += 1;
    return token.text;
  }

  function number(): number {
    const token = peek();
    if (token?.is !== 'number' || !Number.isInteger(token.value) || token.value < 0) return fail();
    at += 1;
    return token.value;
  }

  function list<T>(item: () => T): T[] {
    const items = [item()];
    while (takes(isSign(','))) items.push(item());
    return items;
  }

  function fields(): string[] | undefined {
    if (!isWord('COUNT') || peek(1)?.text !== '(') return list(name);
    at += 2;
    expect(isSign(')'));
    return undefined;
  }

  function value(): Value {
    const token = peek();
    at += 1;
    switch (token?.is) {
      case 'text':
        return { is: 'text', text: token.text };
      case 'number':
        return { is: 'number', value: token.value };
      case 'time':
        return { is: 'time', atMs: token.atMs };
      case 'name': {
        const word = token.text.toLowerCase();
        if (word === 'null') return { is: 'null' };
        if (word === 'true' || word === 'false') return { is: 'boolean', value: word === 'true' };
      }
    }
    at -= 1;
    return fail();
  }

  function comparison(): Condition {
    const field = name();
    if (takes(isWord('LIKE'))) {
      const pattern = value();
      return pattern.is === 'text' ? { is: 'like', field, pattern: pattern.text } : fail();
    }
    const isNegated = takes(isWord('NOT'));
    if (takes(isWord('IN'))) {
      expect(isSign('('));
      const condition: Condition = { is: 'in', field, values: list(value) };
      expect(isSign(')'));
      return isNegated ? { is: 'not', condition } : condition;
    }
    const by = comparisons.find((sign) => !isNegated && isSign(sign));
    if (by === undefined) return fail();
    at += 1;
    return { is: 'compare', field, by, value: value() };
  }

  function single(): Condition {
    if (takes(isWord('NOT'))) return { is: 'not', condition: single() };
    if (!takes(isSign('('))) return comparison();
    const inner = condition();
    expect(isSign(')'));
    return inner;
  }

  /** SOQL wants parentheses where AND and OR meet. */
  function condition(): Condition {
    const first = single();
    const word = isWord('AND') ? 'AND' : 'OR';
    const conditions = [first];
    while (takes(isWord(word))) conditions.push(single());
    return conditions.length === 1 ? first : { is: word === 'AND' ? 'all' : 'any', conditions };
  }

  function order(): Order {
    const field = name();
    const isDescending = takes(isWord('DESC'));
    if (!isDescending) takes(isWord('ASC'));
    if (!takes(isWord('NULLS'))) return { field, isDescending, hasNullsLast: isDescending };
    const hasNullsLast = takes(isWord('LAST'));
    if (!hasNullsLast) expect(isWord('FIRST'));
    return { field, isDescending, hasNullsLast };
  }

  function orders(): Order[] {
    if (!takes(isWord('ORDER'))) return [];
    expect(isWord('BY'));
    return list(order);
  }

  return {
    query(): Query {
      expect(isWord('SELECT'));
      const selected = fields();
      expect(isWord('FROM'));
      const type = name();
      const where = takes(isWord('WHERE')) ? condition() : undefined;
      const sorted = orders();
      const limit = takes(isWord('LIMIT')) ? number() : undefined;
      const offset = takes(isWord('OFFSET')) ? number() : 0;
      if (at < tokens.length) fail();
      return { fields: selected, type, where, orders: sorted, limit, offset };
    },
  };
}
