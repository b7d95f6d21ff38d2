/** The operators of HubSpot's search on one value. Text is compared without regard to case; numbers and times by what they mean. */

export const operators = [
  'LT',
  'LTE',
  'GT',
  'GTE',
  'EQ',
  'NEQ',
  'BETWEEN',
  'IN',
  'NOT_IN',
  'HAS_PROPERTY',
  'NOT_HAS_PROPERTY',
  'CONTAINS_TOKEN',
  'NOT_CONTAINS_TOKEN',
] as const;

export interface Filter {
  readonly operator: (typeof operators)[number];
  readonly value?: string | undefined;
  readonly highValue?: string | undefined;
  readonly values?: readonly string[] | undefined;
}

/** A record without a value matches what says that something is not so, and nothing else. */
export function matches(held: string | undefined, { operator, value = '', highValue = '', values = [] }: Filter): boolean {
  const isWithout = operator === 'NEQ' || operator === 'NOT_IN' || operator === 'NOT_HAS_PROPERTY' || operator === 'NOT_CONTAINS_TOKEN';
  if (held === undefined) return isWithout;
  switch (operator) {
    case 'HAS_PROPERTY':
      return true;
    case 'NOT_HAS_PROPERTY':
      return false;
    case 'BETWEEN':
      return compareValues(held, value) >= 0 && compareValues(held, highValue) <= 0;
    case 'IN':
    case 'NOT_IN':
      return values.some((one) => compareValues(held, one) === 0) === (operator === 'IN');
    case 'CONTAINS_TOKEN':
    case 'NOT_CONTAINS_TOKEN':
      return hasToken(held, value) === (operator === 'CONTAINS_TOKEN');
    default:
      return holds(operator, compareValues(held, value));
  }
}

function holds(operator: 'LT' | 'LTE' | 'GT' | 'GTE' | 'EQ' | 'NEQ', order: number): boolean {
  const truths = { LT: order < 0, LTE: order <= 0, GT: order > 0, GTE: order >= 0, EQ: order === 0, NEQ: order !== 0 };
  return truths[operator];
}

/** Below zero when `a` comes first; what is absent comes last. */
export function compareValues(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  return left < right ? -1 : left > right ? 1 : 0;
}

function numberOf(value: string): number {
  if (/^-?\d+(?:\.\d+)?$/.test(value)) return Number(value);
  return /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?$/.test(value) ? Date.parse(value) : Number.NaN;
}

/** `*` stands for any characters at either end of a token. */
function hasToken(held: string, sought: string): boolean {
  const wanted = sought.toLowerCase().replace(/^\*+|\*+$/g, '');
  const [isOpenBefore, isOpenAfter] = [sought.startsWith('*'), sought.endsWith('*')];
  return [held.toLowerCase(), ...held.toLowerCase().split(/[^\p{L}\p{N}]+/u)].some((token) => {
    if (isOpenBefore && isOpenAfter) return token.includes(wanted);
    if (isOpenBefore) return token.endsWith(wanted);
    return isOpenAfter ? token.startsWith(wanted) : token === wanted;
  });
}
