/**
 * sObject Collections: up to 200 records of one sObject in one request, each with a result of its own, in the order they were sent. An answer
 * that does not have one result for each says nothing about any of them.
 */
import type { SalesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Exchange, ExchangeAnswer, ExchangeRequest } from '../exchange.ts';
import { jsonText } from '../json-members.ts';
import type { CallOutcome, PreparedCall } from '../provider.ts';
import { readErrors } from './errors.ts';
import { idOf, type RecordReply, type Requests, refusedOf } from './requests.ts';
import { type Shape, wireOf } from './wire-call.ts';

/** Salesforce's own bound. */
export const maxCollection = 200;

export type CollectionReply =
  | { readonly status: 'answered'; readonly replies: readonly RecordReply[] }
  /** None of the records has a result. */
  | { readonly status: 'refused'; readonly reply: Extract<RecordReply, { status: 'refused' }> }
  | { readonly status: 'ended'; readonly outcome: CallOutcome };

export interface Collections {
  /** Whether calls of that shape can go together. */
  takes(shape: Shape, object: string): boolean;
  /** All of one sObject and one shape, no record twice. */
  send(calls: readonly PreparedCall[], exchange: Exchange): Promise<CollectionReply>;
}

export function createCollections(
  options: SalesforceOptions,
  requests: Requests,
  readFieldsOf: (object: string) => readonly string[] | undefined,
): Collections {
  const { external_id_field: externalIdField } = options;

  function requestFor(calls: readonly PreparedCall[]): ExchangeRequest {
    const { shape, object } = wireOf(calls[0] as PreparedCall);
    const ids = calls.map((prepared) => wireOf(prepared).id);
    if (shape === 'delete')
      return requests.at('DELETE', `/composite/sobjects?ids=${ids.map(encodeURIComponent).join(',')}&allOrNone=false`);
    if (shape === 'read') {
      return requests.at('POST', `/composite/sobjects/${object}`, { body: { ids, fields: readFieldsOf(object) ?? ['Id'] }, isRead: true });
    }
    const body = { allOrNone: false, records: calls.map(toRecord) };
    if (shape === 'upsert') return requests.at('PATCH', `/composite/sobjects/${object}/${externalIdField}`, { body });
    return requests.at(shape === 'create' ? 'POST' : 'PATCH', '/composite/sobjects', { body });
  }

  /** There is no path here to hold the external id: the record does. */
  function toRecord(prepared: PreparedCall): Record<string, unknown> {
    const { shape, object, id, fields } = wireOf(prepared);
    const key = shape === 'upsert' ? { [externalIdField as string]: prepared.call.recordId } : shape === 'update' ? { id } : {};
    return { attributes: { type: object }, ...key, ...fields };
  }

  return {
    takes(shape, object) {
      if (shape === 'read') return readFieldsOf(object) !== undefined;
      return shape === 'create' || shape === 'update' || shape === 'upsert' || shape === 'delete';
    },

    async send(calls, exchange) {
      const reply = await exchange.request(requestFor(calls));
      if (reply.status === 'ended') return reply;
      if (reply.code < 200 || reply.code >= 300) return { status: 'refused', reply: refusedOf(reply) };
      const isRead = wireOf(calls[0] as PreparedCall).shape === 'read';
      return readReplies(reply, calls.length, isRead) ?? { status: 'ended', outcome: unreadable(isRead) };
    },
  };
}

function readReplies(answer: ExchangeAnswer, count: number, isRead: boolean): CollectionReply | undefined {
  const results = answer.isWhole ? answer.json() : undefined;
  if (!Array.isArray(results) || results.length !== count) return undefined;
  const replies = results.map(isRead ? toReadReply : toReply);
  return replies.every((reply) => reply !== undefined) ? { status: 'answered', replies } : undefined;
}

function toReply(result: unknown): RecordReply | undefined {
  if (typeof result !== 'object' || result === null) return undefined;
  const { success, errors, created } = result as { success?: unknown; errors?: unknown; created?: unknown };
  const id = idOf(result);
  if (success === true) return { status: 'done', code: created === true ? 201 : 200, ...(id === undefined ? {} : { id }) };
  if (success !== false) return undefined;
  return { status: 'refused', code: 200, errors: readErrors(errors), answer: jsonText(errors ?? []) ?? '' };
}

/** A record that is not there leaves its place empty. */
function toReadReply(record: unknown): RecordReply | undefined {
  if (record === null) return { status: 'refused', code: 200, errors: missing, answer: '' };
  const id = idOf(record);
  if (id === undefined) return undefined;
  return { status: 'done', code: 200, id, result: record };
}

const missing = [{ code: 'NOT_FOUND', message: 'the record is not there', fields: [], matches: [] }];

function unreadable(isRead: boolean): CallOutcome {
  const message = 'the answer does not have one result for each record';
  return { status: 'failed', error: { kind: isRead ? 'transient' : 'ambiguous', code: 'malformed_batch_answer', message } };
}
