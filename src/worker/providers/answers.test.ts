import { describe, expect, it } from 'vitest';
import { mayHaveBeenCarriedOut, outcomeWithoutAnswer, parseJson, refusalOfStatus, toError } from './answers.ts';

describe('a status', () => {
  it.each([
    [408, 'transient'],
    [425, 'transient'],
    [429, 'rate_limited'],
    [500, 'transient'],
    [502, 'transient'],
    [503, 'transient'],
    [504, 'transient'],
    [520, 'transient'],
    [401, 'auth'],
    [403, 'auth'],
    [404, 'gone'],
    [410, 'gone'],
    [409, 'conflict'],
    [400, 'invalid'],
    [405, 'invalid'],
    [413, 'invalid'],
    [422, 'invalid'],
    [501, 'invalid'],
    [301, 'invalid'],
    [304, 'invalid'],
  ])('%i is %s', (status, kind) => {
    expect(refusalOfStatus(status)).toMatchObject({ kind });
  });

  it('of a redirect is named', () => {
    expect(refusalOfStatus(302)).toEqual({ kind: 'invalid', code: 'redirect' });
  });

  it('means what a kind says, where it says something', () => {
    const exceptions = new Map([[409, { kind: 'transient', code: 'record_locked' } as const]]);
    expect(refusalOfStatus(409, exceptions)).toEqual({ kind: 'transient', code: 'record_locked' });
    expect(refusalOfStatus(410, exceptions)).toMatchObject({ kind: 'gone' });
  });

  it.each([500, 502, 504, 507, 520, 522, 524, 599])('of %i leaves open whether the request was carried out', (status) => {
    expect(mayHaveBeenCarriedOut(status)).toBe(true);
  });

  it.each([200, 400, 408, 429, 477, 501, 503, 505, 521, 523, 525, 526, 530])('of %i does not', (status) => {
    expect(mayHaveBeenCarriedOut(status)).toBe(false);
  });
});

describe('toError', () => {
  it('is a pause for the whole provider where the provider says for how long', () => {
    for (const status of [408, 425, 429, 500, 502, 503, 504]) {
      expect(toError(refusalOfStatus(status), status, '', 7_000)).toMatchObject({
        kind: 'rate_limited',
        code: 'rate_limited',
        retryAfterMs: 7_000,
      });
    }
  });

  it('is none for a final refusal', () => {
    const error = toError({ kind: 'invalid', code: 'rejected' }, 400, 'no', 7_000);
    expect(error).toEqual({ kind: 'invalid', code: 'rejected', message: 'the provider answered 400', providerStatus: 400, answer: 'no' });
  });
});

it('charges the operation for a lost answer, the provider for no connection, and nobody for what was not sent', () => {
  expect(outcomeWithoutAnswer({ status: 'unsent', reason: 'r' })).toEqual({ status: 'unsent', reason: 'r' });
  expect(outcomeWithoutAnswer({ status: 'lost', code: 'timeout', message: 'm' })).toMatchObject({
    error: { kind: 'ambiguous', code: 'timeout' },
  });
  expect(outcomeWithoutAnswer({ status: 'unconnected', code: 'connection_refused', message: 'm' })).toMatchObject({
    error: { kind: 'transient' },
  });
  expect(outcomeWithoutAnswer({ status: 'unconnected', code: 'invalid_request', message: 'm' })).toMatchObject({
    error: { kind: 'invalid' },
  });
});

describe('parseJson', () => {
  it.each([
    ['{"id":1234567890123456789}', { id: '1234567890123456789' }],
    // A double holds it, but is written as 1234567890123456800.
    ['[1234567890123456768]', ['1234567890123456768']],
    ['{"a":[-9007199254740993,9007199254740993.0]}', { a: ['-9007199254740993', '9007199254740993'] }],
    [`[${'9'.repeat(400)}]`, ['9'.repeat(400)]],
  ])('keeps every digit of %s', (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  it.each([
    '{"id":9007199254740991,"big":9007199254740992,"text":"1234567890123456789","a\\"1234567890123456789":0.12345678901234567}',
    '["\\\\",9007199254740992,"\\\\\\"1234567890123456789"]',
    '[1.5e20,12345678901234567.25,1e300]',
  ])('leaves %s as it is', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it('of what is no JSON is undefined, whatever its length', () => {
    expect(parseJson(`{"id":1234567890123456789,"text":"${'x'.repeat(1_000)}`)).toBeUndefined();
    const long = `"${'x'.repeat(4_000_000)}"`;
    expect(parseJson(`{"id":1234567890123456789,"text":${long}}`)).toMatchObject({ id: '1234567890123456789' });
  });
});
