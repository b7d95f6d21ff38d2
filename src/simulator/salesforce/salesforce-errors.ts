/**
 * What Salesforce answers when it refuses: always an array, with `errorCode` for a call and `statusCode` for one record of many. The
 * wording is that of captured answers where there are some.
 */
import type { Reply, ToldFailure } from '../simulated-provider.ts';

export interface SalesforceError {
  /** Of a call that fails with it. */
  readonly httpStatus: number;
  readonly code: string;
  readonly message: string;
  /** Undefined leaves the member out of a call's error; a record's error has an empty one. */
  readonly fields?: readonly string[];
  /** Further members. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** The answer to a call that was refused. */
export function errorReply({ httpStatus, code, message, fields, extra }: SalesforceError): Reply {
  return { status: httpStatus, body: [{ ...extra, message, errorCode: code, ...(fields && { fields }) }] };
}

/** The error of one record among many. */
export function recordError({ code, message, fields = [], extra }: SalesforceError) {
  return { ...extra, statusCode: code, message, fields };
}

function refused(code: string, message: string, fields?: readonly string[]): SalesforceError {
  return { httpStatus: 400, code, message, ...(fields && { fields }) };
}

export const errors = {
  sessionExpired: { httpStatus: 401, code: 'INVALID_SESSION_ID', message: 'Session expired or invalid' },
  badAuthHeader: { httpStatus: 401, code: 'INVALID_AUTH_HEADER', message: 'INVALID_HEADER_TYPE' },
  notFound: { httpStatus: 404, code: 'NOT_FOUND', message: 'The requested resource does not exist' },
  wrongMethod: { httpStatus: 405, code: 'METHOD_NOT_ALLOWED', message: 'HTTP Method not allowed. Allowed are HEAD,GET,POST,PATCH,DELETE' },
  noSuchExternalId: { httpStatus: 404, code: 'NOT_FOUND', message: 'Provided external ID field does not exist or is not accessible' },
  tooLongUri: { httpStatus: 414, code: 'URI_TOO_LONG', message: 'URI too long' },
  notJson: refused('JSON_PARSER_ERROR', 'The HTTP entity body is required, but this request has no entity body.'),
  dailyLimit: { httpStatus: 403, code: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' },
  precondition: { httpStatus: 412, code: 'PRECONDITION_FAILED', message: 'The record was modified after the time of the request header' },
  idInInsert: refused('INVALID_FIELD_FOR_INSERT_UPDATE', 'cannot specify Id in an insert call', ['Id']),
  noIdInUpdate: refused('MISSING_ARGUMENT', 'Id not specified in an update call', []),
  noIdInUpsert: refused('MISSING_ARGUMENT', 'External ID not specified in an upsert call', []),
  noRecords: refused('REQUIRED_FIELD_MISSING', 'At least 1 record is required'),
  unknownReference: refused('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id', []),
  rolledBack: refused(
    'ALL_OR_NONE_OPERATION_ROLLED_BACK',
    'Record rolled back because not all records were valid and the request was using AllOrNone header',
    [],
  ),
  badLocator: refused('INVALID_QUERY_LOCATOR', 'invalid query locator'),
} satisfies Record<string, SalesforceError>;

export const errorOf = {
  concurrency: (message: string): SalesforceError => ({ httpStatus: 403, code: 'REQUEST_LIMIT_EXCEEDED', message }),
  deleted: (httpStatus: number): SalesforceError => ({ httpStatus, code: 'ENTITY_IS_DELETED', message: 'entity is deleted', fields: [] }),
  badHeader: (name: string, value: string) => refused('BAD_REQUEST', `Invalid value for header ${name}: ${value}`),
  badJson: (message: string) => refused('JSON_PARSER_ERROR', message),
  missingFields: (fields: readonly string[]) =>
    refused('REQUIRED_FIELD_MISSING', `Required fields are missing: [${fields.join(', ')}]`, fields),
  noSuchColumn: (type: string, field: string) => refused('INVALID_FIELD', `No such column '${field}' on sobject of type ${type}`),
  notWritable: (field: string) =>
    refused(
      'INVALID_FIELD_FOR_INSERT_UPDATE',
      `Unable to create/update fields: ${field}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.`,
      [field],
    ),
  externalIdInBody: (field: string) => refused('INVALID_FIELD', `The ${field} field should not be specified in the sobject data.`, [field]),
  malformedId: (type: string, id: string) => refused('MALFORMED_ID', `${type} ID: id value of incorrect type: ${id}`, ['Id']),
  unknownType: (type: string) => refused('INVALID_TYPE', `sObject type '${type}' is not supported.`, []),
  tooLong: (field: string, value: string, length: number) =>
    refused('STRING_TOO_LONG', `${field}: data value too large: ${value} (max length=${length})`, [field]),
  wrongValue: (field: string, kind: string, value: unknown) =>
    refused('INVALID_TYPE_ON_FIELD_IN_RECORD', `${field}: value not of required type: ${JSON.stringify(value)} is no ${kind}`, [field]),
  badEmail: (field: string, value: unknown) => refused('INVALID_EMAIL_ADDRESS', `${field}: invalid email address: ${value}`, [field]),
  duplicateValue: (field: string, id: string) =>
    refused('DUPLICATE_VALUE', `duplicate value found: ${field} duplicates value on record with id: ${id}`, []),
  duplicateInCall: (what: string, value: string) => refused('DUPLICATE_VALUE', `Duplicate ${what} specified: ${value}`, []),
  ambiguousExternalId: (field: string) =>
    refused('DUPLICATE_EXTERNAL_ID', `${field}: more than one record found for external id field`, [field]),
  locked: (id: string) => refused('UNABLE_TO_LOCK_ROW', `unable to obtain exclusive access to this record or 1 records: ${id}`, []),
  tooManyRecords: (max: number) =>
    refused('EXCEEDED_ID_LIMIT', `record limit reached. cannot submit more than ${max} records into this call`),
  limit: (message: string) => refused('LIMIT_EXCEEDED', message),
  malformedQuery: (message: string) => refused('MALFORMED_QUERY', message),
  replicationDate: (message: string) => refused('INVALID_REPLICATION_DATE', message),
  job: (code: 'INVALIDJOB' | 'INVALIDJOBSTATE' | 'INVALIDBATCH', message: string) => refused(code, message),
};

const toldDefaults: Readonly<Record<number, readonly [code: string, message: string]>> = {
  401: [errors.sessionExpired.code, errors.sessionExpired.message],
  403: [errors.dailyLimit.code, errors.dailyLimit.message],
  404: [errors.notFound.code, errors.notFound.message],
  412: [errors.precondition.code, errors.precondition.message],
  429: [errors.dailyLimit.code, errors.dailyLimit.message],
  500: ['UNKNOWN_EXCEPTION', 'An unexpected error occurred. Please include this ErrorId if you contact support: 1-1 (told to fail)'],
};

/** A failure that the control routes asked for, in Salesforce's words. */
export function toldError({ status, code, message }: ToldFailure): SalesforceError {
  const [usualCode, usualMessage] =
    toldDefaults[status] ??
    (status === 420 || status >= 500
      ? ['SERVER_UNAVAILABLE', 'Server Unavailable']
      : ['FIELD_CUSTOM_VALIDATION_EXCEPTION', 'told to fail']);
  const words = code === undefined || code === usualCode ? usualMessage : 'told to fail';
  return { httpStatus: status, code: code ?? usualCode, message: message ?? words };
}
