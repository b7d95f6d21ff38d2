/** Which rows a query's conditions hold for, and in what order they come. Texts are compared without regard to case, as SOQL does. */
import type { Row } from './record-table.ts';
import { fieldValue } from './row-view.ts';
import { readDateTime } from './salesforce-dates.ts';
import { readId } from './salesforce-ids.ts';
import type { Comparison, Condition, Order, Value } from './soql-parser.ts';

type Test = (row: Row) => boolean;

/** The condition as a test. Its fields have the names that the rows know. */
export function testOf(condition: Condition): Test {
  switch (condition.is) {
    case 'all': {
      const tests = condition.conditions.map(testOf);
      return (row) => tests.every((test) => test(row));
    }
    case 'any': {
      const tests = condition.conditions.map(testOf);
      return (row) => tests.some((test) => test(row));
    }
    case 'not': {
      const test = testOf(condition.condition);
      return (row) => !test(row);
    }
    case 'like':
      return likeTest(condition.field, condition.pattern);
    case 'in': {
      const tests = condition.values.map((value) => compareTest(condition.field, '=', value));
      return (row) => tests.some((test) => test(row));
    }
    case 'compare':
      return compareTest(condition.field, condition.by, condition.value);
  }
}

function compareTest(field: string, by: Comparison, value: Value): Test {
  const right = field === 'Id' && value.is === 'text' ? (readId(value.text)?.toLowerCase() ?? value.text) : rightSide(value);
  return (row) => {
    const left = leftSide(fieldValue(row, field), value);
    if (by === '=') return left === right;
    if (by === '!=') return left !== right;
    // Nothing is smaller or greater than null.
    if (left === null || right === null) return false;
    if (by === '<') return left < right;
    if (by === '>') return left > right;
    return by === '<=' ? left <= right : left >= right;
  };
}

type Side = string | number | boolean | null;

function rightSide(value: Value): Side {
  switch (value.is) {
    case 'null':
      return null;
    case 'text':
      return value.text.toLowerCase();
    case 'time':
      return value.atMs;
    default:
      return value.value;
  }
}

/** What the row holds, in the form of what it is compared with. */
function leftSide(held: unknown, { is }: Value): Side {
  if (held === null || held === undefined) return null;
  if (is === 'time') return readDateTime(String(held)) ?? null;
  if (is === 'number') return Number(held);
  if (is === 'boolean') return held === true;
  return String(held).toLowerCase();
}

function likeTest(field: string, pattern: string): Test {
  const source = pattern.replace(/\\([%_])|([%_])|([.*+?^${}()|[\]\\])/g, (_, escaped, wild, special) => {
    if (escaped !== undefined) return escaped;
    return wild === undefined ? `\\${special}` : wild === '%' ? '.*' : '.';
  });
  const expression = new RegExp(`^${source}$`, 'is');
  return (row) => {
    const held = fieldValue(row, field);
    return held !== null && expression.test(String(held));
  };
}

/** For sorting: points in time are texts whose order is that of time. */
export function comparatorOf(orders: readonly Order[]): (a: Row, b: Row) => number {
  return (a, b) => {
    for (const order of orders) {
      const difference = compareBy(order, fieldValue(a, order.field), fieldValue(b, order.field));
      if (difference !== 0) return difference;
    }
    return 0;
  };
}

function compareBy({ isDescending, hasNullsLast }: Order, a: unknown, b: unknown): number {
  if (a === null || b === null) {
    if (a === b) return 0;
    return (a === null) === hasNullsLast ? 1 : -1;
  }
  const [left, right] = typeof a === 'number' && typeof b === 'number' ? [a, b] : [String(a).toLowerCase(), String(b).toLowerCase()];
  if (left === right) return 0;
  return left < right === isDescending ? 1 : -1;
}

/** A value that every row has for which the condition holds: a field with which it can be looked up instead of searched. */
export function lookupIn(condition: Condition, fields: readonly string[]): { field: string; values: readonly string[] } | undefined {
  if (condition.is === 'all') {
    for (const part of condition.conditions) {
      const found = lookupIn(part, fields);
      if (found) return found;
    }
    return undefined;
  }
  const values = condition.is === 'in' ? condition.values : condition.is === 'compare' && condition.by === '=' ? [condition.value] : [];
  if (!('field' in condition) || !fields.includes(condition.field) || values.length === 0) return undefined;
  const texts = values.flatMap((value) => (value.is === 'text' ? [value.text] : []));
  return texts.length === values.length ? { field: condition.field, values: texts } : undefined;
}
