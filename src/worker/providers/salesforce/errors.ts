/**
 * What Salesforce's refusals mean: one table by error code. Single calls say `errorCode`, the collections `statusCode`, bulk jobs a text that
 * begins with the code; here they are one. A code that is not in the table is judged by the answer's HTTP status.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import { mayHaveBeenCarriedOut, type Refusal, type Refusals, refusalOfStatus, rejected, toError } from '../answers.ts';
import type { ProviderErrorCode } from '../error-codes.ts';

export interface SalesforceError {
  /** Upper case with underscores; empty where the answer names none. */
  readonly code: string;
  readonly message: string;
  readonly fields: readonly string[];
  /** Ids of records that stand in the way, with the sObject where it is said. */
  readonly matches: readonly { readonly id: string; readonly object: string | undefined }[];
}

const transient = (code: ProviderErrorCode): Refusal => ({ kind: 'transient', code });
const invalid = (code: ProviderErrorCode): Refusal => ({ kind: 'invalid', code });
const conflict = (code: ProviderErrorCode): Refusal => ({ kind: 'conflict', code });

const refusals: ReadonlyMap<string, Refusal> = new Map(
  Object.entries({
    // May pass
    UNABLE_TO_LOCK_ROW: transient('record_locked'),
    SERVER_UNAVAILABLE: transient('provider_error'),
    REQUEST_RUNNING_TOO_LONG: transient('provider_error'),
    QUERY_TIMEOUT: transient('provider_error'),
    TOO_MANY_APEX_REQUESTS: transient('provider_error'),
    INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE: transient('provider_error'),
    UNKNOWN_EXCEPTION: transient('provider_error'),
    INVALID_QUERY_LOCATOR: transient('provider_error'),
    ALL_OR_NONE_OPERATION_ROLLED_BACK: transient('batch_rolled_back'),
    PROCESSING_HALTED: transient('batch_rolled_back'),
    // Credentials
    INVALID_SESSION_ID: { kind: 'auth', code: 'unauthorized' },
    INVALID_AUTH_HEADER: { kind: 'auth', code: 'unauthorized' },
    API_DISABLED_FOR_ORG: { kind: 'auth', code: 'forbidden' },
    // The record's state
    ENTITY_IS_DELETED: { kind: 'gone', code: 'gone' },
    NOT_FOUND: { kind: 'gone', code: 'not_found' },
    DUPLICATES_DETECTED: conflict('duplicate_record'),
    DUPLICATE_VALUE: conflict('duplicate_record'),
    DUPLICATE_EXTERNAL_ID: conflict('multiple_matches'),
    ENTITY_IS_LOCKED: conflict('approval_locked'),
    // The payload
    REQUIRED_FIELD_MISSING: invalid('missing_field'),
    MISSING_ARGUMENT: invalid('missing_field'),
    INVALID_FIELD: invalid('invalid_field'),
    INVALID_FIELD_FOR_INSERT_UPDATE: invalid('invalid_field'),
    STRING_TOO_LONG: invalid('invalid_field'),
    NUMBER_OUTSIDE_VALID_RANGE: invalid('invalid_field'),
    FIELD_CUSTOM_VALIDATION_EXCEPTION: invalid('invalid_field'),
    INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: invalid('invalid_field'),
    INVALID_EMAIL_ADDRESS: invalid('invalid_field'),
    INVALID_CROSS_REFERENCE_KEY: invalid('invalid_field'),
    INVALID_TYPE_ON_FIELD_IN_RECORD: invalid('invalid_field'),
    MALFORMED_ID: invalid('invalid_field'),
    // Never
    INSUFFICIENT_ACCESS_OR_READONLY: invalid('forbidden'),
    INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY: invalid('forbidden'),
    CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: invalid('rejected'),
    CANNOT_UPDATE_CONVERTED_LEAD: invalid('rejected'),
    STORAGE_LIMIT_EXCEEDED: invalid('storage_full'),
    MALFORMED_QUERY: invalid('rejected'),
    JSON_PARSER_ERROR: invalid('rejected'),
    EXCEEDED_ID_LIMIT: invalid('rejected'),
  }),
);

const byStatus: Refusals = new Map([
  [300, conflict('multiple_matches')],
  [412, conflict('foreign_edit')],
  [420, transient('provider_error')],
]);

/** The daily limit opens bit by bit over 24 hours; asking again is itself a call. Concurrency frees itself within a call's length. */
const dailyPauseMs = 15 * 60_000;
const concurrencyPauseMs = 5_000;
const noError: SalesforceError = { code: '', message: '', fields: [], matches: [] };

export interface Refused {
  /** The request was to make the record: its not being there is no news then. */
  readonly isMaking: boolean;
  /** Of the answer as a whole: 200 where a record of a batch was refused. */
  readonly status: number;
  readonly errors: readonly SalesforceError[];
  /** What is kept for the dead letter, masked. */
  readonly answer: string;
  readonly retryAfterMs?: number | undefined;
}

export function toProviderError({ isMaking, status, errors, answer, retryAfterMs }: Refused): ProviderError {
  const first = errors[0] ?? noError;
  const message = messageOf(first, status);
  if (first.code === 'REQUEST_LIMIT_EXCEEDED') {
    const isConcurrency = /concurrent/i.test(first.message);
    const refusal: Refusal = { kind: 'rate_limited', code: isConcurrency ? 'concurrency_limit' : 'daily_limit' };
    return {
      ...toError(refusal, status, answer),
      message,
      retryAfterMs: retryAfterMs ?? (isConcurrency ? concurrencyPauseMs : dailyPauseMs),
    };
  }
  return { ...toError(refusalOf(first, isMaking, status), status, answer, retryAfterMs), message };
}

/**
 * Of a plain create, which is not safe to repeat: what stands between us and Salesforce gave up waiting, or failed while passing the answer on.
 * A refusal of Salesforce's own, 503 among them, has errors, and nothing was done. A pause that comes with the doubt still holds.
 */
export function unlessCarriedOut(error: ProviderError, { status, errors }: Pick<Refused, 'status' | 'errors'>): ProviderError {
  if (errors.length > 0 || !(status === 503 || mayHaveBeenCarriedOut(status))) return error;
  if (error.kind === 'transient') return { ...error, kind: 'ambiguous' };
  return error.kind === 'rate_limited' ? { ...error, isInDoubt: true } : error;
}

function refusalOf({ code, message }: SalesforceError, isMaking: boolean, status: number): Refusal {
  // A trigger's failure hides what it failed over.
  if (code === 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY' && message.includes('UNABLE_TO_LOCK_ROW')) return transient('record_locked');
  if (code === 'NOT_FOUND' && isExternalIdFieldMissing(message)) return invalid('rejected');
  const known = refusals.get(code);
  if (known) return known.kind === 'gone' && isMaking ? invalid('not_found') : known;
  // Below 300 it is a record's refusal in an answer of 200.
  return status < 300 ? rejected : refusalOfStatus(status, byStatus);
}

function isExternalIdFieldMissing(message: string): boolean {
  return /external id field/i.test(message);
}

function messageOf({ code, message, fields }: SalesforceError, status: number): string {
  if (code === '' && status === 300) return 'several records have this external id';
  if (code === '' && message === '') return `the provider answered ${status}`;
  const unnamed = fields.filter((field) => !message.includes(field));
  return `${code}${code && message ? ': ' : ''}${message}${unnamed.length > 0 ? ` (${unnamed.join(', ')})` : ''}`;
}

/** The errors of an answer, or of one record's result: an array of objects. Empty where it is none. */
export function readErrors(value: unknown): SalesforceError[] {
  return Array.isArray(value) ? value.filter(isObject).map(readError) : [];
}

function readError(error: Record<string, unknown>): SalesforceError {
  const message = textOf(error['message']);
  return {
    code: textOf(error['errorCode'] ?? error['statusCode']),
    message,
    fields: Array.isArray(error['fields']) ? error['fields'].filter((field) => typeof field === 'string') : [],
    matches: [...readMatches(error['duplicateResut'] ?? error['duplicateResult']), ...matchesInText(message)],
  };
}

/** A bulk job's: `CODE:message:fields --`. */
export function readBulkError(text: string): SalesforceError {
  const shape = /^([A-Z][A-Z0-9_]*):([\s\S]*?)(?::([\w, ]*?) ?--)?$/.exec(text.trim());
  if (!shape) return { ...noError, message: text };
  const [, code = '', message = '', fields = ''] = shape;
  return { code, message, fields: fields.split(/[ ,]+/).filter((field) => field !== ''), matches: matchesInText(message) };
}

/** The duplicate rule's report; in captures its name has lost a letter, elsewhere not. */
function readMatches(report: unknown): SalesforceError['matches'] {
  const results = isObject(report) && Array.isArray(report['matchResults']) ? report['matchResults'].filter(isObject) : [];
  return results.flatMap((result) => {
    const records = Array.isArray(result['matchRecords']) ? result['matchRecords'].filter(isObject) : [];
    return records.flatMap(({ record }) => {
      if (!isObject(record) || typeof record['Id'] !== 'string') return [];
      const attributes = isObject(record['attributes']) ? record['attributes'] : {};
      const object = attributes['type'] ?? result['entityType'];
      return [{ id: record['Id'], object: typeof object === 'string' ? object : undefined }];
    });
  });
}

function matchesInText(message: string): SalesforceError['matches'] {
  const id = /\bon record with id:\s*([A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?)\b/i.exec(message)?.[1];
  return id === undefined ? [] : [{ id, object: undefined }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
