/** Conditional requests on rows: HTTP dates compared with the time of the last change, to the second. */
import { headerOf } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import type { Row } from './record-table.ts';
import { readHttpDate } from './salesforce-dates.ts';
import { errorOf, errorReply, errors, type SalesforceError } from './salesforce-errors.ts';

export type Condition =
  | { readonly is: 'read'; readonly forbids: (row: Row) => SalesforceError | undefined }
  | { readonly is: 'malformed'; readonly reply: Reply };

/** What `If-Unmodified-Since` forbids a write to do. */
export function readWriteCondition(request: SimulatedRequest): Condition {
  const name = 'If-Unmodified-Since';
  const value = headerOf(request, name.toLowerCase());
  if (value === '') return { is: 'read', forbids: () => undefined };
  const atMs = readHttpDate(value);
  if (atMs === undefined) return { is: 'malformed', reply: errorReply(errorOf.badHeader(name, value)) };
  return { is: 'read', forbids: (row) => (isAfter(row, atMs) ? errors.precondition : undefined) };
}

/** The answer that the conditions of a read call for instead of the row; undefined when there is none, or it cannot be read. */
export function refuseRead(request: SimulatedRequest, row: Row): Reply | undefined {
  const modified = readHttpDate(headerOf(request, 'if-modified-since'));
  if (modified !== undefined && !isAfter(row, modified)) return { status: 304 };
  const unmodified = readHttpDate(headerOf(request, 'if-unmodified-since'));
  return unmodified !== undefined && isAfter(row, unmodified) ? errorReply(errors.precondition) : undefined;
}

function isAfter(row: Row, atMs: number): boolean {
  return Math.floor(row.modifiedMs / 1_000) * 1_000 > atMs;
}
