import { describe, expect, it } from 'vitest';
import { classifyStatus, createTimestampFormatter, idOf } from './answers.ts';

describe('classifyStatus', () => {
  it.each([200, 201, 202, 204, 207, 299])('accepts %i', (status) => {
    expect(classifyStatus('update', status)).toBe('accepted');
  });

  it('refuses as the one table says', () => {
    expect(classifyStatus('update', 503)).toEqual({ kind: 'transient', code: 'provider_error' });
    expect(classifyStatus('create', 422)).toEqual({ kind: 'invalid', code: 'rejected' });
  });

  it('takes a delete of what is not there for done, and nothing else', () => {
    expect(classifyStatus('delete', 404)).toBe('accepted');
    expect(classifyStatus('delete', 410)).toMatchObject({ kind: 'gone' });
    expect(classifyStatus('read', 404)).toMatchObject({ kind: 'gone' });
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
