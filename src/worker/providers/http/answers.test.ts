import { describe, expect, it } from 'vitest';
import { classifyStatus, createTimestampFormatter, idOf, outcomeWithoutAnswer, toError } from './answers.ts';

describe('classifyStatus', () => {
  it.each([200, 201, 202, 204, 207, 299])('accepts %i', (status) => {
    expect(classifyStatus('update', status)).toBe('accepted');
  });

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
    expect(classifyStatus('update', status)).toMatchObject({ kind });
  });

  it('takes a delete of what is not there for done, and nothing else', () => {
    expect(classifyStatus('delete', 404)).toBe('accepted');
    expect(classifyStatus('delete', 410)).toMatchObject({ kind: 'gone' });
    expect(classifyStatus('read', 404)).toMatchObject({ kind: 'gone' });
  });

  it('names a redirect', () => {
    expect(classifyStatus('read', 302)).toEqual({ kind: 'invalid', code: 'redirect' });
  });
});

describe('toError', () => {
  it('is a pause for the whole provider where the provider says for how long', () => {
    for (const status of [408, 425, 429, 500, 502, 503, 504]) {
      const refusal = classifyStatus('update', status);
      if (refusal === 'accepted') throw new Error('accepted');
      expect(toError(refusal, status, '', 7_000)).toMatchObject({ kind: 'rate_limited', code: 'rate_limited', retryAfterMs: 7_000 });
    }
  });

  it('is none for a final refusal', () => {
    const error = toError({ kind: 'invalid', code: 'rejected' }, 400, 'no', 7_000);
    expect(error).toEqual({ kind: 'invalid', code: 'rejected', message: 'the provider answered 400', providerStatus: 400, answer: 'no' });
  });

  it('keeps a few kilobytes of the answer', () => {
    expect(toError({ kind: 'invalid', code: 'rejected' }, 400, 'x'.repeat(10_000)).answer).toHaveLength(4_096);
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

it('reads ids that can be kept', () => {
  expect([{ id: 'a' }, { id: 7 }, { id: '' }, { id: null }, { id: {} }, { id: 'x'.repeat(256) }, null, 'id', undefined].map(idOf)).toEqual([
    'a',
    '7',
    ...Array.from({ length: 7 }, () => undefined),
  ]);
});

it('formats timestamps, and has none for what is no date', () => {
  const format = createTimestampFormatter();
  expect([0, 0, 1_767_225_600_000, 9e15, 0].map(format)).toEqual([
    '1970-01-01T00:00:00.000Z',
    '1970-01-01T00:00:00.000Z',
    '2026-01-01T00:00:00.000Z',
    undefined,
    '1970-01-01T00:00:00.000Z',
  ]);
});
