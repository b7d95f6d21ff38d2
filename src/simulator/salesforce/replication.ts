/** getUpdated and getDeleted: the ids that changed within a time, whose seconds are ignored, and how far that time is covered. */
import type { Reply } from '../simulated-provider.ts';
import type { ApiCall } from './api-call.ts';
import type { Row } from './record-table.ts';
import { readDateTime, toDateTime } from './salesforce-dates.ts';
import { errorOf, errorReply } from './salesforce-errors.ts';

interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** `/sobjects/{Type}/updated/?start=&end=` */
export function updatedRecords(call: ApiCall, typeName: string): Reply {
  const span = readSpan(call, call.org.settings.updated_max_ms);
  if ('reply' in span) return span.reply;
  const ids = changedIn(call, typeName, span).filter((row) => !row.isDeleted);
  return { status: 200, body: { ids: ids.map(({ id }) => id), latestDateCovered: toDateTime(span.endMs) } };
}

/** `/sobjects/{Type}/deleted/?start=&end=` */
export function deletedRecords(call: ApiCall, typeName: string): Reply {
  const { org } = call;
  const span = readSpan(call, org.settings.deleted_max_ms);
  if ('reply' in span) return span.reply;
  const rows = changedIn(call, typeName, span).filter((row) => row.isDeleted);
  const body = {
    deletedRecords: rows.map(({ id, modifiedMs }) => ({ id, deletedDate: toDateTime(modifiedMs) })),
    earliestDateAvailable: toDateTime(org.now() - org.settings.deleted_max_ms),
    latestDateCovered: toDateTime(span.endMs),
  };
  return { status: 200, body };
}

function changedIn({ org }: ApiCall, typeName: string, { startMs, endMs }: Span): Row[] {
  return [...org.table.all(typeName)].filter(({ modifiedMs }) => modifiedMs >= startMs && modifiedMs < endMs);
}

function readSpan({ org, request }: ApiCall, maxMs: number): Span | { readonly reply: Reply } {
  const start = readDateTime(request.query.get('start') ?? '');
  const end = readDateTime(request.query.get('end') ?? '');
  if (start === undefined || end === undefined) return refused('start and end are required, as dates with a time and an offset');
  if (start >= end) return refused('startDate must be before endDate');
  if (start < org.now() - maxMs) return refused(`startDate may be at most ${maxMs / 86_400_000} days ago`);
  const step = org.settings.replication_step_ms;
  const floor = (atMs: number) => Math.floor(atMs / step) * step;
  return { startMs: floor(start), endMs: floor(Math.min(end, org.now())) };
}

function refused(message: string): { reply: Reply } {
  return { reply: errorReply(errorOf.replicationDate(message)) };
}
