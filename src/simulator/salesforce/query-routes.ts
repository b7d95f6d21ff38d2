/** `/query` and `/queryAll` with their pages. A query's rows are taken once; its later pages come from what was kept then. */
import { headerOf } from '../request-reading.ts';
import type { Reply } from '../simulated-provider.ts';
import type { ApiCall } from './api-call.ts';
import { keyedFields } from './match-keys.ts';
import { type Org, typeNameOf } from './org.ts';
import type { Row } from './record-table.ts';
import { project, resolveField, resolveFields } from './row-view.ts';
import { matching } from './row-writer.ts';
import { errorOf, errorReply, errors, type SalesforceError } from './salesforce-errors.ts';
import { comparatorOf, lookupIn, testOf } from './soql-filter.ts';
import { type Condition, type Order, parseQuery, type Query } from './soql-parser.ts';

/** Results that are still being paged through; the oldest are forgotten first. */
const maxCursors = 100;

type Records = readonly Record<string, unknown>[];

export interface QueryRoutes {
  run(call: ApiCall, includesDeleted: boolean): Reply;
  /** The page that a `nextRecordsUrl` names by its last segment. */
  more(call: ApiCall, locator: string): Reply;
  clear(): void;
}

export function createQueryRoutes(): QueryRoutes {
  const cursors = new Map<string, Records>();

  function page(call: ApiCall, { cursor, records, start }: { cursor: string; records: Records; start: number }): Reply {
    const end = start + pageSize(call);
    const isDone = end >= records.length;
    const resource = call.segments[0];
    const body = {
      totalSize: records.length,
      done: isDone,
      ...(!isDone && { nextRecordsUrl: `/services/data/v${call.version}.0/${resource}/${cursor}-${end}` }),
      records: records.slice(start, end),
    };
    return { status: 200, body };
  }

  function keep(cursor: string, records: Records): void {
    cursors.set(cursor, records);
    if (cursors.size > maxCursors) cursors.delete(cursors.keys().next().value as string);
  }

  return {
    run(call, includesDeleted) {
      const outcome = select(call, includesDeleted);
      if (outcome.is === 'failed') return errorReply(outcome.error);
      if (outcome.is === 'count') return { status: 200, body: { totalSize: outcome.count, done: true, records: [] } };
      const { records } = outcome;
      const cursor = call.org.makeId('01g');
      if (records.length > pageSize(call)) keep(cursor, records);
      return page(call, { cursor, records, start: 0 });
    },
    more(call, locator) {
      const [, cursor = '', start] = /^(\w+)-(\d+)$/.exec(locator) ?? [];
      const records = cursors.get(cursor);
      return records ? page(call, { cursor, records, start: Number(start) }) : errorReply(errors.badLocator);
    },
    clear: () => cursors.clear(),
  };
}

function pageSize({ org, request }: ApiCall): number {
  const { query_page, min_query_page, max_query_page } = org.settings;
  const asked = /batchSize\s*=\s*(\d+)/i.exec(headerOf(request, 'sforce-query-options'))?.[1];
  return asked === undefined ? query_page : Math.min(max_query_page, Math.max(min_query_page, Number(asked)));
}

type Selected =
  | { readonly is: 'records'; readonly records: Records }
  | { readonly is: 'count'; readonly count: number }
  | { readonly is: 'failed'; readonly error: SalesforceError };

function select({ org, request, version }: ApiCall, includesDeleted: boolean): Selected {
  const parsed = parseQuery(request.query.get('q') ?? '');
  if (parsed.is === 'malformed') return failed(errorOf.malformedQuery(parsed.message));
  const { query } = parsed;
  const typeName = typeNameOf(org, query.type);
  if (typeName === undefined) return failed(errorOf.unknownType(query.type));
  const named = resolveNames(org, typeName, query);
  if ('unknown' in named) return failed(errorOf.noSuchColumn(typeName, named.unknown));
  if (query.offset > org.settings.max_query_offset)
    return failed({ ...errorOf.malformedQuery('Maximum SOQL offset exceeded'), code: 'NUMBER_OUTSIDE_VALID_RANGE' });
  const rows = rowsFor(org, typeName, named.where, includesDeleted).sort(comparatorOf(named.orders));
  const chosen = rows.slice(query.offset, query.limit === undefined ? undefined : query.offset + query.limit);
  if (named.fields === undefined) return { is: 'count', count: chosen.length };
  const { fields } = named;
  return { is: 'records', records: chosen.map((row) => project(row, fields, version)) };
}

function rowsFor(org: Org, typeName: string, where: Condition | undefined, includesDeleted: boolean): Row[] {
  // Deleted rows have no keys, so only the living can be looked up.
  const lookup = where && !includesDeleted ? lookupIn(where, ['Id', ...keyedFields(org.settings)]) : undefined;
  const candidates = lookup ? lookedUp(org, typeName, lookup) : org.table.all(typeName);
  const test = where ? testOf(where) : () => true;
  const rows: Row[] = [];
  for (const row of candidates) if ((includesDeleted || !row.isDeleted) && test(row)) rows.push(row);
  return rows;
}

function lookedUp(org: Org, typeName: string, { field, values }: { field: string; values: readonly string[] }): Row[] {
  return [...new Set(values.flatMap((value) => matching(org, typeName, field, value)))];
}

interface Named {
  readonly fields: readonly string[] | undefined;
  readonly where: Condition | undefined;
  readonly orders: readonly Order[];
}

/** The query with the fields' own names. */
function resolveNames(org: Org, typeName: string, { fields, where, orders }: Query): Named | { readonly unknown: string } {
  let unknown: string | undefined;
  const nameOf = (field: string) => {
    const name = resolveField(org, typeName, field);
    if (name === undefined) unknown ??= field;
    return name ?? field;
  };
  const selected = fields && resolveFields(org, typeName, fields);
  if (selected?.is === 'unknown') return { unknown: selected.field };
  const named: Named = {
    fields: selected?.fields,
    where: where && renamed(where, nameOf),
    orders: orders.map((order) => ({ ...order, field: nameOf(order.field) })),
  };
  return unknown === undefined ? named : { unknown };
}

function renamed(condition: Condition, nameOf: (field: string) => string): Condition {
  if ('field' in condition) return { ...condition, field: nameOf(condition.field) };
  if (condition.is === 'not') return { ...condition, condition: renamed(condition.condition, nameOf) };
  return { ...condition, conditions: condition.conditions.map((part) => renamed(part, nameOf)) };
}

function failed(error: SalesforceError): Selected {
  return { is: 'failed', error };
}
