import { describe, expect, it } from 'vitest';
import { answered } from '../../../../test/support/played-exchange.ts';
import { budgetsOf } from './budgets.ts';
import { readRefusal } from './errors.ts';

const noon = Date.parse('2026-05-01T12:00:00Z');
const errors = (...items: unknown[]) => ({ errors: items });

describe('a refusal', () => {
  it.each([
    [403, 'unauthorizedOauthScope', 'auth', 'forbidden'],
    [404, 'resourceNotFound', 'gone', 'not_found'],
    [404, 'routeNotFound', 'invalid', 'rejected'],
    [404, undefined, 'gone', 'not_found'],
    [415, 'unsupportedMediaType', 'invalid', 'rejected'],
    [422, 'validationDataTooLongError', 'invalid', 'invalid_field'],
    [429, 'rateLimitExceeded', 'rate_limited', 'rate_limited'],
    [429, undefined, 'rate_limited', 'rate_limited'],
    [500, undefined, 'transient', 'provider_error'],
    [503, 'scheduledServerMaintenance', 'transient', 'maintenance'],
    [503, undefined, 'transient', 'provider_error'],
    [302, undefined, 'invalid', 'redirect'],
  ])('%i %s is %s', (code, id, kind, errorCode) => {
    const { error, duplicate } = readRefusal(answered(code, errors({ id, title: 'T', detail: 'd' })), noon);
    expect(error).toMatchObject({ kind, code: errorCode, providerStatus: code });
    expect(duplicate).toBeUndefined();
  });

  it('says what is wrong with which attribute', () => {
    const body = errors(
      { id: 'validationError', source: { pointer: '/data/attributes/title' }, title: 'Validation Error', detail: 'is too long.' },
      { id: 'x', source: { pointer: '/data' }, details: 'More.' },
      { title: 'Only a title' },
    );
    expect(readRefusal(answered(422, body), noon).error.message).toBe(
      'the provider answered 422: title: is too long.; More.; Only a title',
    );
  });

  it.each([
    ['validationError', 'Contacts email hash has already been taken.', 'said'],
    ['validationDuplicateValueError', 'A Contact with this email_hash already exists.', 'said'],
    [undefined, 'A Contact with this email_hash already exists.', 'said'],
    ['validationDuplicateValueError', '', 'said'],
    ['validationError', 'Contacts contact is using an excluded email address.', 'possible'],
    ['validationError', 'Title has already been taken.', undefined],
  ])('%s “%s”: a duplicate is %s', (id, detail, duplicate) => {
    const refused = readRefusal(answered(422, errors({ id, detail })), noon);
    expect(refused.duplicate).toBe(duplicate);
    expect(refused.error.kind).toBe(duplicate === 'said' ? 'conflict' : 'invalid');
  });

  it('is read whatever its body is', () => {
    for (const body of [undefined, '<html>', null, [], errors(null, 1, { id: 1, source: 'x', detail: {} }), { errors: {} }])
      expect(readRefusal(answered(422, body), noon).error).toMatchObject({ kind: 'invalid', message: 'the provider answered 422' });
  });
});

describe('how long to wait', () => {
  const pauseOf = (code: number, extras: Parameters<typeof answered>[2] = {}, detail = '') =>
    readRefusal(answered(code, errors({ id: 'e', detail }), extras), noon).error.retryAfterMs;
  const reset = (value: string) => ({ headers: { 'x-ratelimit-reset': value } });

  it('is what Retry-After says', () => {
    expect(pauseOf(429, { retryAfterMs: 5_000, ...reset('60') })).toBe(5_000);
    expect(readRefusal(answered(503, undefined, { retryAfterMs: 5_000 }), noon).error).toMatchObject({
      kind: 'rate_limited',
      retryAfterMs: 5_000,
    });
    expect(pauseOf(503)).toBeUndefined();
    expect(pauseOf(422, { retryAfterMs: 5_000 })).toBeUndefined();
  });

  it.each([
    ['seconds since 1970', String(noon / 1_000 + 90)],
    ['milliseconds since 1970', String(noon + 90_000)],
    ['a date', '2026-05-01T12:01:30Z'],
    ['a date without a zone', '2026-05-01T12:01:30'],
    ['an HTTP date', 'Fri, 01 May 2026 12:01:30 GMT'],
    ['seconds from now', '90'],
    ['two of them', '90, 300'],
  ])('else until the hour ends: %s', (_, value) => {
    expect(pauseOf(429, reset(value))).toBe(90_000);
  });

  it('else until the time in its words', () => {
    const words = (time: string) => `You have exceeded your permitted rate limit of 10,000; please try again at ${time}.`;
    expect(pauseOf(429, {}, words('2026-05-01T12:10:00'))).toBe(600_000);
    expect(pauseOf(429, {}, words('2026-05-01T14:10:00+02:00'))).toBe(600_000);
    expect(pauseOf(429, {}, words('2026-05-02T12:10:00Z'))).toBe(3_600_000);
    expect(pauseOf(429, {}, words('2017-01-01T00:00:00'))).toBe(60_000);
  });

  it('is an hour at most, and a minute where nobody says', () => {
    expect(pauseOf(429, reset('86400'))).toBe(3_600_000);
    for (const value of ['', 'soon', '0', '2026-05-01T11:00:00Z']) expect(pauseOf(429, reset(value))).toBe(60_000);
  });
});

describe('the budget', () => {
  const told = (headers: Record<string, string>) => budgetsOf(answered(200, {}, { headers }), noon);

  it('is the hour’s, by the tightest of its numbers', () => {
    const headers = { 'x-ratelimit-limit': '10000, 20000', 'x-ratelimit-remaining': '9999, 19988', 'x-ratelimit-reset': '90' };
    expect(told(headers)).toEqual([{ perMs: 3_600_000, requests: 10_000, remaining: 9_999, resetInMs: 90_000 }]);
  });

  it('is what is told of it', () => {
    expect(told({ 'x-ratelimit-remaining': '3' })).toEqual([{ perMs: 3_600_000, requests: undefined, remaining: 3, resetInMs: undefined }]);
    expect(told({ 'x-ratelimit-remaining': 'few' })).toEqual([]);
    expect(told({})).toEqual([]);
  });
});
