/** Calls for one row: `/sobjects/{Type}`, `/sobjects/{Type}/{id}`, `/sobjects/{Type}/{field}/{value}`. */
import type { Reply } from '../simulated-provider.ts';
import { type ApiCall, multipleChoices, readBody } from './api-call.ts';
import { readWriteCondition, refuseRead } from './conditions.ts';
import type { Row } from './record-table.ts';
import { allFields, project, resolveFields } from './row-view.ts';
import { callError, deleteRow, insertRow, locate, matching, updateRow, upsertRow, type Writer, type Written } from './row-writer.ts';
import { errorOf, errorReply, errors } from './salesforce-errors.ts';
import { matchFields } from './settings.ts';

export function createRecord(call: ApiCall, typeName: string): Reply {
  const body = readBody(call.request);
  if (body.is === 'refused') return body.reply;
  if (body.data['Id'] !== undefined) return errorReply(errors.idInInsert);
  const written = insertRow(call.org, typeName, body.data, call.writer);
  if (written.is !== 'saved') return refusal(call, typeName, '', written);
  return { status: 201, body: { id: written.id, success: true, errors: [] } };
}

/** Read, update and delete by id. */
export function recordById(call: ApiCall, typeName: string, id: string): Reply {
  const { org, request } = call;
  switch (request.method) {
    case 'GET': {
      const located = locate(org, typeName, id);
      if (located.is === 'found') return readRow(call, located.row);
      return errorReply(located.is === 'malformed' ? callError(org, typeName, id, located.is) : errors.notFound);
    }
    case 'PATCH':
      return patch(call, (data, writer) => {
        const written = updateRow(org, typeName, id, data, writer);
        return written.is === 'saved' ? { status: 204 } : refusal(call, typeName, id, written);
      });
    case 'DELETE':
      return remove(call, typeName, id);
    default:
      return errorReply(errors.wrongMethod);
  }
}

/** Read, upsert and delete by the value of an external id. */
export function recordByValue(call: ApiCall, typeName: string, { field: name, value }: { field: string; value: string }): Reply {
  const { org, request } = call;
  const field = ['Id', ...matchFields(org.settings)].find((known) => known.toLowerCase() === name.toLowerCase());
  if (field === undefined || value === '') return errorReply(errors.noSuchExternalId);
  if (request.method === 'PATCH') return upsertByValue(call, typeName, { field, value });
  const rows = matching(org, typeName, field, value);
  if (rows.length > 1) return multipleChoices(rows, call.version);
  const [row] = rows;
  if (!row) return errorReply(errors.notFound);
  if (request.method === 'GET') return readRow(call, row);
  return request.method === 'DELETE' ? remove(call, typeName, row.id) : errorReply(errors.wrongMethod);
}

function upsertByValue(call: ApiCall, typeName: string, { field, value }: { field: string; value: string }): Reply {
  const { org, request, version } = call;
  return patch(call, (data, writer) => {
    const named = Object.keys(data).find((name) => name.toLowerCase() === field.toLowerCase());
    if (named !== undefined) return errorReply(errorOf.externalIdInBody(named));
    const mayCreate = request.query.get('updateOnly') !== 'true';
    const written = upsertRow(org, typeName, { field, value, data, mayCreate }, writer);
    if (written.is !== 'saved') return refusal(call, typeName, value, written);
    // Before version 46 an upsert that updated said nothing.
    if (!written.isCreated && version < 46) return { status: 204 };
    const body = { id: written.id, success: true, errors: [], ...(version >= 46 && { created: written.isCreated }) };
    return { status: written.isCreated ? 201 : 200, body };
  });
}

function patch(call: ApiCall, write: (data: Record<string, unknown>, writer: Writer) => Reply): Reply {
  const condition = readWriteCondition(call.request);
  if (condition.is === 'malformed') return condition.reply;
  const body = readBody(call.request);
  return body.is === 'refused' ? body.reply : write(body.data, { ...call.writer, forbids: condition.forbids });
}

function remove(call: ApiCall, typeName: string, id: string): Reply {
  const condition = call.org.settings.conditional_deletes ? readWriteCondition(call.request) : undefined;
  if (condition?.is === 'malformed') return condition.reply;
  const writer = condition ? { ...call.writer, forbids: condition.forbids } : call.writer;
  const written = deleteRow(call.org, typeName, id, writer);
  return written.is === 'saved' ? { status: 204 } : refusal(call, typeName, id, written);
}

function readRow(call: ApiCall, row: Row): Reply {
  const refused = refuseRead(call.request, row);
  if (refused) return refused;
  const asked = call.request.query.get('fields');
  const names = asked === null ? allFields(call.org, row) : asked.split(',').map((name) => name.trim());
  const resolved = resolveFields(call.org, row.type, names);
  if (resolved.is === 'unknown') return errorReply(errorOf.noSuchColumn(row.type, resolved.field));
  const headers = { 'last-modified': new Date(row.modifiedMs).toUTCString() };
  return { status: 200, headers, body: project(row, resolved.fields, call.version) };
}

function refusal({ org, version }: ApiCall, typeName: string, id: string, written: Exclude<Written, { is: 'saved' }>): Reply {
  if (written.is === 'ambiguous') return multipleChoices(written.rows, version);
  return errorReply(written.is === 'failed' ? written.error : callError(org, typeName, id, written.because));
}
