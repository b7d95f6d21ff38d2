import { describe, expect, it } from 'vitest';
import { providerErrorCodes } from '../error-codes.ts';
import { readBulkError, readErrors, toProviderError } from './errors.ts';

function classify(code: string, { status = 400, message = 'text', isMaking = false, fields = [] as string[] } = {}) {
  const errors = readErrors([{ errorCode: code, message, fields }]);
  return toProviderError({ isMaking, status, errors, answer: '[]' });
}

describe('an error code', () => {
  it.each([
    ['UNABLE_TO_LOCK_ROW', 400, 'transient', 'record_locked'],
    ['SERVER_UNAVAILABLE', 503, 'transient', 'provider_error'],
    ['REQUEST_RUNNING_TOO_LONG', 400, 'transient', 'provider_error'],
    ['QUERY_TIMEOUT', 400, 'transient', 'provider_error'],
    ['TOO_MANY_APEX_REQUESTS', 400, 'transient', 'provider_error'],
    ['INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE', 400, 'transient', 'provider_error'],
    ['UNKNOWN_EXCEPTION', 500, 'transient', 'provider_error'],
    ['ALL_OR_NONE_OPERATION_ROLLED_BACK', 200, 'transient', 'batch_rolled_back'],
    ['PROCESSING_HALTED', 200, 'transient', 'batch_rolled_back'],
    ['ENTITY_IS_DELETED', 404, 'gone', 'gone'],
    ['ENTITY_IS_DELETED', 200, 'gone', 'gone'],
    ['NOT_FOUND', 404, 'gone', 'not_found'],
    ['DUPLICATES_DETECTED', 400, 'conflict', 'duplicate_record'],
    ['DUPLICATE_VALUE', 400, 'conflict', 'duplicate_record'],
    ['DUPLICATE_EXTERNAL_ID', 400, 'conflict', 'multiple_matches'],
    ['ENTITY_IS_LOCKED', 400, 'conflict', 'approval_locked'],
    ['REQUIRED_FIELD_MISSING', 400, 'invalid', 'missing_field'],
    ['INVALID_FIELD', 400, 'invalid', 'invalid_field'],
    ['INVALID_FIELD_FOR_INSERT_UPDATE', 400, 'invalid', 'invalid_field'],
    ['STRING_TOO_LONG', 400, 'invalid', 'invalid_field'],
    ['FIELD_CUSTOM_VALIDATION_EXCEPTION', 400, 'invalid', 'invalid_field'],
    ['INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', 400, 'invalid', 'invalid_field'],
    ['INVALID_EMAIL_ADDRESS', 400, 'invalid', 'invalid_field'],
    ['INVALID_CROSS_REFERENCE_KEY', 400, 'invalid', 'invalid_field'],
    ['MALFORMED_ID', 400, 'invalid', 'invalid_field'],
    ['INSUFFICIENT_ACCESS_OR_READONLY', 403, 'invalid', 'forbidden'],
    ['CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', 400, 'invalid', 'rejected'],
    ['CANNOT_UPDATE_CONVERTED_LEAD', 400, 'invalid', 'rejected'],
    ['STORAGE_LIMIT_EXCEEDED', 400, 'invalid', 'storage_full'],
    ['MALFORMED_QUERY', 400, 'invalid', 'rejected'],
    ['JSON_PARSER_ERROR', 400, 'invalid', 'rejected'],
    ['EXCEEDED_ID_LIMIT', 400, 'invalid', 'rejected'],
    ['SOMETHING_NEW', 400, 'invalid', 'rejected'],
    ['SOMETHING_NEW', 200, 'invalid', 'rejected'],
    ['SOMETHING_NEW', 500, 'transient', 'provider_error'],
  ])('%s at %d is %s, %s', (code, status, kind, own) => {
    expect(classify(code, { status })).toMatchObject({ kind, code: own });
    expect(providerErrorCodes).toHaveProperty(own);
  });

  it('of a limit says how long to wait, by which limit it is', () => {
    expect(classify('REQUEST_LIMIT_EXCEEDED', { status: 403, message: 'TotalRequests Limit exceeded.' })).toMatchObject({
      kind: 'rate_limited',
      code: 'daily_limit',
      retryAfterMs: 900_000,
    });
    for (const message of ['ConcurrentRequests (Concurrent API Requests) Limit exceeded.', 'ConcurrentPerOrgLongTxn Limit exceeded.'])
      expect(classify('REQUEST_LIMIT_EXCEEDED', { status: 403, message })).toMatchObject({
        code: 'concurrency_limit',
        retryAfterMs: 5_000,
      });
  });

  it('is looked for in a trigger’s failure', () => {
    const message = 'CopyTitle: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW';
    expect(classify('CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', { message })).toMatchObject({ kind: 'transient', code: 'record_locked' });
  });

  it('NOT_FOUND is no news of the record where it is about the external id field, or where the record was to be made', () => {
    const message = 'Provided external ID field does not exist or is not accessible: Ext__c';
    expect(classify('NOT_FOUND', { status: 404, message })).toMatchObject({ kind: 'invalid', code: 'rejected' });
    expect(classify('NOT_FOUND', { status: 404, isMaking: true })).toMatchObject({ kind: 'invalid', code: 'not_found' });
  });
});

describe('a status without a code', () => {
  it.each([
    [300, 'conflict', 'multiple_matches'],
    [412, 'conflict', 'foreign_edit'],
    [420, 'transient', 'provider_error'],
    [429, 'rate_limited', 'rate_limited'],
    [414, 'invalid', 'rejected'],
    [502, 'transient', 'provider_error'],
  ])('%d is %s, %s', (status, kind, code) => {
    expect(toProviderError({ isMaking: false, status, errors: [], answer: '' })).toMatchObject({ kind, code, providerStatus: status });
  });
});

describe('the message', () => {
  it('names the field, once', () => {
    expect(classify('REQUIRED_FIELD_MISSING', { message: 'Required fields are missing: [LastName]', fields: ['LastName'] }).message).toBe(
      'REQUIRED_FIELD_MISSING: Required fields are missing: [LastName]',
    );
    expect(classify('INVALID_EMAIL_ADDRESS', { message: 'invalid email address: x', fields: ['Email'] }).message).toBe(
      'INVALID_EMAIL_ADDRESS: invalid email address: x (Email)',
    );
  });
});

describe('the records in the way', () => {
  const report = (id: string) => ({
    matchResults: [{ entityType: 'Contact', matchRecords: [{ record: { attributes: { type: 'Contact' }, Id: id } }, { record: null }] }],
  });

  it.each(['duplicateResut', 'duplicateResult'])('are read from %s', (name) => {
    const [error] = readErrors([{ errorCode: 'DUPLICATES_DETECTED', message: 'Use one', [name]: report('003000000000001AAA') }]);
    expect(error?.matches).toEqual([{ id: '003000000000001AAA', object: 'Contact' }]);
  });

  it('are read from the words of DUPLICATE_VALUE', () => {
    const message = 'duplicate value found: Ext__c duplicates value on record with id: 003000000000001';
    expect(readErrors([{ statusCode: 'DUPLICATE_VALUE', message }])[0]?.matches).toEqual([{ id: '003000000000001', object: undefined }]);
  });

  it.each([[undefined], [null], ['x'], [{ message: 'x' }], [[null, 1, 'x']]])('and errors are none in %j', (value) => {
    expect(readErrors(value)).toEqual([]);
  });
});

it('a job’s error is taken apart', () => {
  expect(readBulkError('UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: 001:--')).toMatchObject({
    code: 'UNABLE_TO_LOCK_ROW',
    message: 'unable to obtain exclusive access to this record or 1 records: 001',
    fields: [],
  });
  expect(readBulkError('REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --')).toMatchObject({
    code: 'REQUIRED_FIELD_MISSING',
    fields: ['LastName'],
  });
  expect(readBulkError('INVALID_FIELD:no end')).toMatchObject({ code: 'INVALID_FIELD', message: 'no end' });
  expect(readBulkError('something else')).toMatchObject({ code: '', message: 'something else' });
});
