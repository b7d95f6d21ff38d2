/**
 * Writes to single rows, the same for single calls, collections and bulk jobs: found, checked against lock, condition, fields, unique
 * external ids and duplicate rule in this order, and only then put. Whoever may write several of them wraps them in a transaction.
 */
import { refuseDuplicate } from './duplicate-rule.ts';
import { checkFields } from './field-check.ts';
import { matchKey } from './match-keys.ts';
import { type Org, objectTypeOf } from './org.ts';
import type { Row } from './record-table.ts';
import { errorOf, errors, type SalesforceError } from './salesforce-errors.ts';
import { readId } from './salesforce-ids.ts';

export interface Writer {
  /** The caller's name for itself; empty when it gave none. */
  readonly client: string;
  readonly version: number;
  readonly allowsDuplicates: boolean;
  /** Why a row may not be changed, such as a condition in the call's headers. */
  readonly forbids?: (row: Row) => SalesforceError | undefined;
}

type Values = Readonly<Record<string, unknown>>;

export type Located =
  | { readonly is: 'found'; readonly row: Row }
  | { readonly is: 'malformed' | 'unknown' }
  | { readonly is: 'deleted'; readonly row: Row };

export type Written =
  | { readonly is: 'saved'; readonly id: string; readonly isCreated: boolean }
  | { readonly is: 'failed'; readonly error: SalesforceError }
  /** An id with no row of its own to it: calls and records word this differently. */
  | { readonly is: 'not_found'; readonly because: 'malformed' | 'unknown' | 'deleted' }
  | { readonly is: 'ambiguous'; readonly rows: readonly Row[] };

/** The type's row with the id. */
export function locate(org: Org, typeName: string, id: string): Located {
  const whole = readId(id);
  if (whole === undefined || !whole.startsWith(objectTypeOf(org, typeName).prefix)) return { is: 'malformed' };
  const row = org.table.get(whole);
  if (!row) return { is: 'unknown' };
  return row.isDeleted ? { is: 'deleted', row } : { is: 'found', row };
}

/** The type's rows whose field has the value; `Id` is a field too. */
export function matching(org: Org, typeName: string, field: string, value: string): readonly Row[] {
  if (field !== 'Id') return org.table.withKey(matchKey(org.settings, typeName, field, value));
  const located = locate(org, typeName, value);
  return located.is === 'found' ? [located.row] : [];
}

export function insertRow(org: Org, typeName: string, data: Values, writer: Writer): Written {
  const id = org.makeId(objectTypeOf(org, typeName).prefix);
  const lock = refuseLock(org, id);
  if (lock) return failed(lock);
  const nowMs = stamp(org);
  const blank: Row = { id, type: typeName, fields: {}, createdMs: nowMs, modifiedMs: nowMs, isDeleted: false, client: writer.client };
  return save(org, blank, { data, isInsert: true }, writer);
}

export function updateRow(org: Org, typeName: string, id: string, data: Values, writer: Writer): Written {
  const located = locate(org, typeName, id);
  return located.is === 'found' ? change(org, located.row, data, writer) : { is: 'not_found', because: located.is };
}

/** Updates the row whose `field` has `value`, or makes it unless `mayCreate` is false. */
export function upsertRow(
  org: Org,
  typeName: string,
  { field, value, data, mayCreate }: { field: string; value: string; data: Values; mayCreate: boolean },
  writer: Writer,
): Written {
  const rows = matching(org, typeName, field, value);
  if (rows.length > 1) return { is: 'ambiguous', rows };
  const [row] = rows;
  if (row) return change(org, row, data, writer);
  if (field === 'Id') return updateRow(org, typeName, value, data, writer);
  return mayCreate ? insertRow(org, typeName, { ...data, [field]: value }, writer) : { is: 'not_found', because: 'unknown' };
}

export function deleteRow(org: Org, typeName: string, id: string, writer: Writer): Written {
  const located = locate(org, typeName, id);
  if (located.is !== 'found') return { is: 'not_found', because: located.is };
  const { row } = located;
  const refusal = writer.forbids?.(row) ?? refuseLock(org, row.id);
  if (refusal) return failed(refusal);
  org.table.put({ ...row, isDeleted: true, modifiedMs: stamp(org), client: writer.client });
  return { is: 'saved', id: row.id, isCreated: false };
}

function change(org: Org, row: Row, data: Values, writer: Writer): Written {
  const refusal = writer.forbids?.(row) ?? refuseLock(org, row.id);
  return refusal ? failed(refusal) : save(org, row, { data, isInsert: false }, writer);
}

function save(org: Org, row: Row, { data, isInsert }: { data: Values; isInsert: boolean }, writer: Writer): Written {
  const checked = checkFields(org.settings, row.type, { data, isInsert });
  if (checked.is === 'failed') return checked;
  const { values } = checked;
  const refusal = refuseSameExternalId(org, row, values) ?? refuseSameEmail(org, row, values, writer);
  if (refusal) return failed(refusal);
  const kept = Object.entries({ ...row.fields, ...values }).filter(([, value]) => value !== null);
  org.table.put({ ...row, fields: Object.fromEntries(kept), modifiedMs: stamp(org), client: writer.client });
  return { is: 'saved', id: row.id, isCreated: isInsert };
}

function refuseSameExternalId({ settings, table }: Org, row: Row, values: Values): SalesforceError | undefined {
  if (!settings.unique_external_ids) return undefined;
  for (const field of settings.external_id_fields) {
    if (values[field] == null) continue;
    const other = table.withKey(matchKey(settings, row.type, field, values[field])).find((found) => found.id !== row.id);
    if (other) return errorOf.duplicateValue(field, other.id);
  }
  return undefined;
}

function refuseSameEmail({ settings, table }: Org, row: Row, values: Values, writer: Writer): SalesforceError | undefined {
  const email = values['Email'];
  if (writer.allowsDuplicates || email === row.fields['Email']) return undefined;
  return refuseDuplicate(settings, table, { type: row.type, email, ownId: row.id, version: writer.version });
}

function refuseLock({ settings, random }: Org, id: string): SalesforceError | undefined {
  return settings.lock_rate > 0 && random() < settings.lock_rate ? errorOf.locked(id) : undefined;
}

function stamp({ settings, now }: Org): number {
  return Math.floor(now() / settings.stamp_ms) * settings.stamp_ms;
}

function failed(error: SalesforceError): Written {
  return { is: 'failed', error };
}

/** A failed write as the error of a call of its own. */
export function callError({ settings }: Org, typeName: string, id: string, because: 'malformed' | 'unknown' | 'deleted'): SalesforceError {
  if (because === 'malformed') return errorOf.malformedId(typeName, id);
  return because === 'deleted' ? errorOf.deleted(settings.deleted_status) : errors.notFound;
}

/** What one record among many says of a write that was not done; undefined for one that was. */
export function recordFailure(org: Org, typeName: string, id: string, written: Written): SalesforceError | undefined {
  if (written.is === 'failed') return written.error;
  if (written.is === 'ambiguous') return errorOf.ambiguousExternalId(id);
  if (written.is !== 'not_found') return undefined;
  return written.because === 'unknown' ? errors.unknownReference : callError(org, typeName, id, written.because);
}
