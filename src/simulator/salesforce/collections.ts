/**
 * sObject Collections: one call, many records, an answer of 200 with a result for each in request order. A call that is malformed as a
 * whole fails as a whole; with `allOrNone` one bad record takes all others back.
 */
import type { Reply } from '../simulated-provider.ts';
import { type ApiCall, readBody } from './api-call.ts';
import { type Org, typeNameOf } from './org.ts';
import { project, resolveFields } from './row-view.ts';
import { deleteRow, insertRow, locate, recordFailure, updateRow, upsertRow, type Written } from './row-writer.ts';
import { errorOf, errorReply, errors, recordError, type SalesforceError } from './salesforce-errors.ts';
import { readId } from './salesforce-ids.ts';
import { matchFields } from './settings.ts';

type Values = Readonly<Record<string, unknown>>;

/** What became of one record. */
type Result = { readonly error: SalesforceError } | { readonly id: string; readonly isCreated: boolean };

/** Create and update: `/composite/sobjects`. */
export function writeCollection(call: ApiCall): Reply {
  const read = readRecords(call);
  if ('reply' in read) return read.reply;
  const isInsert = call.request.method === 'POST';
  const repeated = isInsert ? new Set<number>() : repeats(read.records, (record) => readId(String(idOf(record))));
  return carryOut(call, read, (record, index) => {
    const typeName = typeOf(call.org, record);
    if (typeName === undefined) return { error: errorOf.unknownType(String(typeNameIn(record) ?? '')) };
    if (isInsert) return idOf(record) === undefined ? insert(call, typeName, record) : { error: errors.idInInsert };
    const id = idOf(record);
    if (typeof id !== 'string' || id === '') return { error: errors.noIdInUpdate };
    if (repeated.has(index)) return { error: errorOf.duplicateInCall('id', id) };
    return resultOf(call, typeName, id, updateRow(call.org, typeName, id, withoutId(record), call.writer));
  });
}

/** Upsert: `PATCH /composite/sobjects/{Type}/{field}`. */
export function upsertCollection(call: ApiCall, typeName: string, fieldName: string): Reply {
  const field = ['Id', ...matchFields(call.org.settings)].find((known) => known.toLowerCase() === fieldName.toLowerCase());
  if (field === undefined) return errorReply(errors.noSuchExternalId);
  const read = readRecords(call);
  if ('reply' in read) return read.reply;
  const valueIn = (record: Values) => (field === 'Id' ? idOf(record) : record[field]);
  const repeated = repeats(read.records, (record) => (valueIn(record) == null ? undefined : String(valueIn(record))));
  const withCreated = true;
  return carryOut(call, { ...read, withCreated }, (record, index) => {
    const named = typeNameIn(record);
    if (named !== undefined && typeOf(call.org, record) !== typeName) return { error: errorOf.unknownType(String(named)) };
    const value = valueIn(record);
    if (field !== 'Id' && idOf(record) !== undefined) return { error: errors.idInInsert };
    if (value == null || value === '') {
      return field === 'Id' ? insert(call, typeName, withoutId(record)) : { error: errors.noIdInUpsert };
    }
    if (repeated.has(index)) return { error: errorOf.duplicateInCall('external id', String(value)) };
    const { [field]: _, ...data } = withoutId(record);
    const upsert = { field, value: String(value), data, mayCreate: true };
    return resultOf(call, typeName, String(value), upsertRow(call.org, typeName, upsert, call.writer));
  });
}

/** Delete: `DELETE /composite/sobjects?ids=`; the ids say what types they are of. */
export function deleteCollection(call: ApiCall): Reply {
  const { org, request } = call;
  const ids = listIn(request.query.get('ids'));
  const refusal = refuseCount(ids.length, org.settings.max_collection);
  if (refusal) return refusal;
  const isAllOrNone = request.query.get('allOrNone') === 'true';
  const repeated = repeats(ids, (id) => readId(id));
  return carryOut(call, { records: ids, isAllOrNone }, (id, index) => {
    const typeName = Object.keys(org.settings.objects).find((name) => id.startsWith(org.settings.objects[name]?.prefix ?? ' '));
    if (typeName === undefined) return { error: errorOf.malformedId('Record', id) };
    if (repeated.has(index)) return { error: errorOf.duplicateInCall('id', id) };
    return resultOf(call, typeName, id, deleteRow(org, typeName, id, call.writer));
  });
}

/** Read: `/composite/sobjects/{Type}`, by GET or POST; null for a row that is not there. */
export function readCollection(call: ApiCall, typeName: string): Reply {
  const { org, request } = call;
  const body = request.method === 'POST' ? readBody(request) : undefined;
  if (body?.is === 'refused') return body.reply;
  const ids = body ? textsIn(body.data['ids']) : listIn(request.query.get('ids'));
  const names = body ? textsIn(body.data['fields']) : listIn(request.query.get('fields'));
  const refusal = refuseCount(ids.length, org.settings.max_collection_read);
  if (refusal) return refusal;
  if (names.length === 0) return errorReply(errorOf.missingFields(['fields']));
  const resolved = resolveFields(org, typeName, names);
  if (resolved.is === 'unknown') return errorReply(errorOf.noSuchColumn(typeName, resolved.field));
  const rows = ids.map((id, index) => (call.failRecord(index) ? undefined : locate(org, typeName, id)));
  return {
    status: 200,
    body: rows.map((located) => (located?.is === 'found' ? project(located.row, resolved.fields, call.version) : null)),
  };
}

interface Records<T> {
  readonly records: readonly T[];
  readonly isAllOrNone: boolean;
  readonly withCreated?: boolean;
}

function readRecords(call: ApiCall): Records<Values> | { readonly reply: Reply } {
  const body = readBody(call.request);
  if (body.is === 'refused') return { reply: body.reply };
  const { records: given } = body.data;
  const { max_collection, max_collection_chunks } = call.org.settings;
  if (!Array.isArray(given)) return { reply: errorReply(errors.noRecords) };
  const refusal = refuseCount(given.length, max_collection);
  if (refusal) return { reply: refusal };
  if (given.some((record) => typeof record !== 'object' || record === null || Array.isArray(record))) {
    return { reply: errorReply(errorOf.badJson('Cannot deserialize a record: an object was expected')) };
  }
  const records = given as Values[];
  const chunks = records.filter((record, index) => typeNameIn(record) !== typeNameIn(records[index - 1])).length;
  if (chunks > max_collection_chunks) {
    return {
      reply: errorReply(errorOf.limit(`The request holds ${chunks} chunks of one type; at most ${max_collection_chunks} may follow`)),
    };
  }
  return { records, isAllOrNone: body.data['allOrNone'] === true };
}

function refuseCount(given: number, max: number): Reply | undefined {
  if (given === 0) return errorReply(errors.noRecords);
  return given > max ? errorReply(errorOf.tooManyRecords(max)) : undefined;
}

function carryOut<T>(
  call: ApiCall,
  { records, isAllOrNone, withCreated = false }: Records<T>,
  write: (record: T, index: number) => Result,
): Reply {
  let results: Result[] = [];
  call.org.table.transaction(() => {
    results = records.map((record, index) => {
      const error = call.failRecord(index);
      return error ? { error } : write(record, index);
    });
    return !(isAllOrNone && results.some((result) => 'error' in result));
  });
  const isRolledBack = isAllOrNone && results.some((result) => 'error' in result);
  const told = isRolledBack ? results.map((result) => ('error' in result ? result : { error: errors.rolledBack })) : results;
  return { status: 200, body: told.map((result) => toWire(result, withCreated)) };
}

function toWire(result: Result, withCreated: boolean): Values {
  if ('error' in result) return { success: false, errors: [recordError(result.error)] };
  return { id: result.id, success: true, errors: [], ...(withCreated && { created: result.isCreated }) };
}

function insert(call: ApiCall, typeName: string, record: Values): Result {
  return resultOf(call, typeName, '', insertRow(call.org, typeName, record, call.writer));
}

function resultOf({ org }: ApiCall, typeName: string, id: string, written: Written): Result {
  if (written.is === 'saved') return { id: written.id, isCreated: written.isCreated };
  return { error: recordFailure(org, typeName, id, written) as SalesforceError };
}

/** Where something comes a second time. */
function repeats<T>(records: readonly T[], keyOf: (record: T) => string | undefined): Set<number> {
  const seen = new Set<string>();
  const repeated = new Set<number>();
  for (const [index, record] of records.entries()) {
    const key = keyOf(record);
    if (key === undefined) continue;
    if (seen.has(key)) repeated.add(index);
    seen.add(key);
  }
  return repeated;
}

function typeNameIn(record: Values | undefined): unknown {
  return (record?.['attributes'] as { type?: unknown } | undefined)?.type;
}

function typeOf(org: Org, record: Values): string | undefined {
  const name = typeNameIn(record);
  return typeof name === 'string' ? typeNameOf(org, name) : undefined;
}

function idOf(record: Values): unknown {
  return record['id'] ?? record['Id'];
}

function withoutId({ id: _, Id: __, ...data }: Values): Values {
  return data;
}

function listIn(text: string | null): string[] {
  return text === null || text === '' ? [] : text.split(',').map((part) => part.trim());
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
