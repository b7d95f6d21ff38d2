import { describe, expect, it } from 'vitest';
import { answered } from '../../../../test/support/played-exchange.ts';
import { budgetsOf } from './budgets.ts';
import { readRecordRefusal, readRefusal } from './errors.ts';

const noon = Date.parse('2026-05-01T12:00:00Z');

describe('a refusal', () => {
  it.each([
    [400, 'VALIDATION_ERROR', 'invalid', 'invalid_field'],
    [400, undefined, 'invalid', 'rejected'],
    [403, 'MISSING_SCOPES', 'auth', 'forbidden'],
    [404, 'OBJECT_NOT_FOUND', 'gone', 'not_found'],
    [404, undefined, 'gone', 'not_found'],
    [409, 'CONFLICT', 'conflict', 'conflict'],
    [414, undefined, 'invalid', 'rejected'],
    [423, undefined, 'transient', 'record_locked'],
    [429, 'RATE_LIMITS', 'rate_limited', 'rate_limited'],
    [477, undefined, 'rate_limited', 'account_moving'],
    [500, undefined, 'transient', 'provider_error'],
    [502, undefined, 'transient', 'provider_error'],
    [503, undefined, 'transient', 'provider_error'],
    [521, undefined, 'transient', 'provider_error'],
    [526, undefined, 'transient', 'provider_error'],
    [301, undefined, 'invalid', 'redirect'],
  ])('%i %s is %s', (code, category, kind, errorCode) => {
    const { error } = readRefusal(answered(code, { status: 'error', message: 'm', category }), noon);
    expect(error).toMatchObject({ kind, code: errorCode, providerStatus: code });
  });

  it('of a category that is named like a member of every object is one that nobody knows', () => {
    const { error } = readRefusal(answered(400, { category: 'constructor', message: 'm' }), noon);
    expect(error).toMatchObject({ kind: 'invalid', code: 'rejected' });
  });

  it('of values names the properties, from the details', () => {
    const body = {
      category: 'VALIDATION_ERROR',
      message: 'Property values were not valid: [{"name":"other"}]',
      errors: [{ message: 'Property "x" does not exist', code: 'PROPERTY_DOESNT_EXIST', context: { propertyName: ['x'] } }],
    };
    const { error } = readRefusal(answered(400, body), noon);
    expect(error.message).toBe('the provider refuses x: Property "x" does not exist');
    expect(error.answer).toContain('PROPERTY_DOESNT_EXIST');
  });

  it('of values names the properties, from the message', () => {
    const message = 'Property values were not valid: [{"isValid":false,"error":"INVALID_EMAIL","name":"email"},{"name":"x"}]';
    expect(readRefusal(answered(400, { category: 'VALIDATION_ERROR', message }), noon).error.message).toMatch(
      /^the provider refuses email, x: /,
    );
  });

  it('is read whatever its body is', () => {
    for (const body of [
      undefined,
      '<html>',
      [],
      null,
      { errors: 'x', context: 1 },
      { errors: [null, { context: { propertyName: [{}] } }] },
    ])
      expect(readRefusal(answered(400, body), noon).error).toMatchObject({ kind: 'invalid', code: 'rejected' });
  });

  it('has the other record’s id, from the context or the message', () => {
    expect(readRefusal(answered(409, { message: 'Contact already exists. Existing ID: 12345' }), noon).existingId).toBe('12345');
    expect(readRecordRefusal({ category: 'CONFLICT', context: { existingId: ['123'] } }, 207).existingId).toBe('123');
    expect(readRefusal(answered(409, { message: 'Contact already exists' }), noon).existingId).toBeUndefined();
  });

  it('is a conflict where a value is another record’s, whatever the category', () => {
    const conflict = { existingId: '123', error: { kind: 'conflict', code: 'conflict' } };
    expect(readRecordRefusal({ category: 'VALIDATION_ERROR', context: { existingId: ['123'] } }, 207)).toMatchObject(conflict);
    const message = 'Cannot set PropertyValueCoordinates{propertyName=n, value=7} on 9. 123 already has that value.';
    const errors = [{ message, code: 'CONFLICTING_UNIQUE_VALUE', context: { propertyName: ['n'] } }];
    expect(readRefusal(answered(400, { category: 'VALIDATION_ERROR', message, errors }), noon)).toMatchObject(conflict);
  });

  it('is not read from the text about a bad value, which quotes what was sent', () => {
    const message = '5 already has that value. Existing ID: 5 was not one of the allowed options: [a]';
    const errors = [{ message, code: 'INVALID_OPTION', context: { propertyName: ['n'] } }];
    const refused = readRefusal(answered(400, { category: 'VALIDATION_ERROR', message: `Not valid: ${message}`, errors }), noon);
    expect(refused.error).toMatchObject({ kind: 'invalid', code: 'invalid_field' });
  });
});

describe('how long to wait', () => {
  const pauseOf = (code: number, body?: unknown, retryAfterMs?: number, nowMs = noon) =>
    readRefusal(answered(code, body, retryAfterMs === undefined ? {} : { retryAfterMs }), nowMs).error.retryAfterMs;

  it('is what the answer says', () => {
    expect(pauseOf(429, { policyName: 'TEN_SECONDLY_ROLLING' }, 3_000)).toBe(3_000);
    expect(pauseOf(477, undefined, 7_200_000)).toBe(7_200_000);
    expect(readRefusal(answered(503, undefined, { retryAfterMs: 5_000 }), noon).error).toMatchObject({
      kind: 'rate_limited',
      retryAfterMs: 5_000,
    });
  });

  it('follows from the limit that was passed', () => {
    expect(pauseOf(429, { policyName: 'TEN_SECONDLY_ROLLING' })).toBe(10_000);
    expect(pauseOf(429, { policyName: 'SECONDLY' })).toBe(1_000);
    expect(pauseOf(429, { message: 'You have reached your secondly limit.' })).toBe(1_000);
    expect(pauseOf(429, '')).toBe(10_000);
    expect(pauseOf(423)).toBe(2_000);
    expect(pauseOf(477)).toBe(60_000);
    expect(pauseOf(500)).toBeUndefined();
  });

  it('is until midnight for the day’s, but looked at again within the hour', () => {
    expect(pauseOf(429, { policyName: 'DAILY' })).toBe(3_600_000);
    expect(pauseOf(429, { policyName: 'DAILY' }, undefined, Date.parse('2026-05-01T23:59:00Z'))).toBe(60_000);
    expect(readRefusal(answered(429, { message: 'You have reached your daily limit.' }), noon).error.code).toBe('daily_limit');
  });
});

describe('one record of a batch', () => {
  it.each([
    ['VALIDATION_ERROR', 'invalid'],
    ['CONFLICT', 'conflict'],
    ['OBJECT_NOT_FOUND', 'gone'],
    ['INTERNAL_ERROR', 'transient'],
    ['SOMETHING_NEW', 'invalid'],
    ['constructor', 'invalid'],
    [undefined, 'invalid'],
  ])('%s is %s', (category, kind) => {
    expect(readRecordRefusal({ category, message: 'm' }, 207).error).toMatchObject({ kind, providerStatus: 207 });
  });
});

describe('budgets', () => {
  const header = (name: string) => `x-hubspot-ratelimit-${name}`;

  it('are the day’s and the rolling window’s', () => {
    const headers = {
      [header('daily')]: '250000',
      [header('daily-remaining')]: '249000',
      [header('interval-milliseconds')]: '10000',
      [header('max')]: '100',
      [header('remaining')]: '0',
    };
    expect(budgetsOf(answered(200, {}, { headers }))).toEqual([
      { perMs: 10_000, requests: 100, remaining: 0, resetInMs: undefined },
      { perMs: 86_400_000, requests: 250_000, remaining: 249_000, resetInMs: undefined },
    ]);
  });

  it('are those that are told', () => {
    expect(budgetsOf(answered(200, {}, { headers: { [header('remaining')]: '7' } }))).toEqual([
      { perMs: 10_000, requests: undefined, remaining: 7, resetInMs: undefined },
    ]);
    expect(budgetsOf(answered(200, {}, { headers: { [header('remaining')]: 'many' } }))).toEqual([]);
    expect(budgetsOf(answered(200))).toEqual([]);
  });
});
