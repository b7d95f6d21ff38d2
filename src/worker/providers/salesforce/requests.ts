/** Salesforce's requests, one function each, and how an answer about one record is read. */
import type { SalesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Exchange, ExchangeAnswer, ExchangeRequest } from '../exchange.ts';
import { encodeSegment } from '../path-segment.ts';
import type { Call, CallOutcome, PreparedCall } from '../provider.ts';
import { readErrors, type SalesforceError } from './errors.ts';
import type { OwnWrites } from './own-writes.ts';
import { type WireCall, wireOf } from './wire-call.ts';

/** What became of one record: in a call of its own, a collection, or a job. */
export type RecordReply =
  | {
      readonly status: 'done';
      readonly code: number;
      readonly id?: string;
      readonly result?: unknown;
      /** By Salesforce's clock; of a call of its own. */
      readonly atMs?: number;
    }
  | {
      readonly status: 'refused';
      readonly code: number;
      readonly errors: readonly SalesforceError[];
      readonly answer: string;
      readonly retryAfterMs?: number | undefined;
    }
  | { readonly status: 'ended'; readonly outcome: CallOutcome };

export interface Requests {
  /** The one request of the call's shape. */
  record(prepared: PreparedCall): ExchangeRequest;
  /**
   * A change to the record with that id, by a call that was not addressed to it. `isOurs`: an earlier attempt may have made it, so that its
   * last edit is not somebody else's.
   */
  link(prepared: PreparedCall, id: string, isOurs: boolean): ExchangeRequest;
  /** Fields of the call's record, by its id or by external id. */
  look(prepared: PreparedCall, fields: readonly string[]): ExchangeRequest;
  /** The same of a record with an id, refused if there was a foreign edit. */
  lookUnlessEdited(prepared: PreparedCall): ExchangeRequest;
  query(soql: string): ExchangeRequest;
  /** Below the API's version, with the headers that all have. */
  at(method: ExchangeRequest['method'], path: string, more?: Partial<ExchangeRequest>): ExchangeRequest;
}

export interface RequestRules {
  /** What reads ask for; undefined for everything. */
  readFieldsOf(object: string): readonly string[] | undefined;
  readonly ownWrites: Pick<OwnWrites, 'lastMs'>;
}

export function createRequests(options: SalesforceOptions, { readFieldsOf, ownWrites }: RequestRules): Requests {
  const { external_id_field: externalIdField, protect_foreign_edits: isProtecting } = options;
  const base = `/services/data/${options.api_version}`;
  const headers = {
    'sforce-call-options': `client=${options.client_name}`,
    ...(options.allow_duplicates ? { 'sforce-duplicate-rule-header': 'allowSave=true' } : {}),
  };

  const at: Requests['at'] = (method, path, more = {}) => ({
    method,
    path: base + path,
    ...more,
    headers: { ...headers, ...more.headers },
  });

  function byId({ object }: WireCall, id: string): string {
    return `/sobjects/${object}/${encodeSegment(id) ?? '-'}`;
  }

  function byExternalId({ object }: WireCall, call: Call): string {
    return `/sobjects/${object}/${externalIdField}/${encodeSegment(call.recordId) ?? '-'}`;
  }

  /** HTTP dates have whole seconds: an edit later in the same second is not seen. */
  function guardOf({ timestampMs }: Call, id: string): Pick<ExchangeRequest, 'headers'> {
    if (!isProtecting) return {};
    const sinceMs = Math.max(timestampMs, ownWrites.lastMs(id) ?? timestampMs);
    return { headers: { 'if-unmodified-since': new Date(sinceMs).toUTCString() } };
  }

  function read(path: string, object: string): ExchangeRequest {
    const fields = readFieldsOf(object);
    return at('GET', fields ? `${path}?fields=${fields.join(',')}` : path, { isRead: true });
  }

  return {
    at,

    record(prepared) {
      const wire = wireOf(prepared);
      const { call } = prepared;
      switch (wire.shape) {
        case 'create':
          return at('POST', `/sobjects/${wire.object}`, { body: wire.fields });
        case 'upsert':
          return at('PATCH', byExternalId(wire, call), { body: wire.fields, ...guardOf(call, '') });
        case 'update':
          return at('PATCH', byId(wire, wire.id), { body: wire.fields, ...guardOf(call, wire.id) });
        case 'update_by_external_id':
          return at('PATCH', `${byExternalId(wire, call)}?updateOnly=true`, { body: wire.fields, ...guardOf(call, '') });
        case 'delete':
        case 'delete_by_external_id':
          return at('DELETE', byId(wire, wire.id), guardOf(call, wire.id));
        case 'read':
          return read(byId(wire, wire.id), wire.object);
        case 'read_by_external_id':
          return read(byExternalId(wire, call), wire.object);
      }
    },

    link(prepared, id, isOurs) {
      const wire = wireOf(prepared);
      const { call } = prepared;
      // From then on it is found by our id as well.
      const body = externalIdField === null ? wire.fields : { ...wire.fields, [externalIdField]: call.recordId };
      return at('PATCH', byId(wire, id), { body, ...(isOurs ? {} : guardOf(call, id)) });
    },

    look(prepared, fields) {
      const wire = wireOf(prepared);
      const path = wire.id === '' ? byExternalId(wire, prepared.call) : byId(wire, wire.id);
      return at('GET', `${path}?fields=${fields.map(encodeURIComponent).join(',')}`, { isRead: true });
    },

    lookUnlessEdited(prepared) {
      const wire = wireOf(prepared);
      return at('GET', `${byId(wire, wire.id)}?fields=Id`, { isRead: true, ...guardOf(prepared.call, wire.id) });
    },

    query(soql) {
      return at('GET', `/query?q=${encodeURIComponent(soql)}`, { isRead: true });
    },
  };
}

/** Sends a request about one record. */
export async function ask(exchange: Exchange, request: ExchangeRequest): Promise<RecordReply> {
  const reply = await exchange.request(request);
  if (reply.status === 'ended') return reply;
  return reply.code >= 200 && reply.code < 300 ? doneOf(reply, request) : refusedOf(reply);
}

function doneOf(answer: ExchangeAnswer, request: ExchangeRequest): RecordReply {
  const value = answer.isWhole ? answer.json() : undefined;
  const id = idOf(value);
  const result = request.method === 'GET' ? { result: value ?? { truncated: true, text: answer.text } } : {};
  const atMs = Date.parse(answer.header('date') ?? '');
  return { status: 'done', code: answer.code, ...(id === undefined ? {} : { id }), ...result, ...(Number.isNaN(atMs) ? {} : { atMs }) };
}

export function refusedOf(answer: ExchangeAnswer): Extract<RecordReply, { status: 'refused' }> {
  return {
    status: 'refused',
    code: answer.code,
    errors: readErrors(answer.json()),
    answer: answer.text,
    retryAfterMs: answer.retryAfterMs,
  };
}

/** `Id` of a record, `id` of a result. */
export function idOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, Id } = value as { id?: unknown; Id?: unknown };
  const text = id ?? Id;
  return typeof text === 'string' && text !== '' && text.length <= 255 ? text : undefined;
}
