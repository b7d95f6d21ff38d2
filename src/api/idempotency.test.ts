import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fingerprintOperation } from './idempotency.ts';

function fingerprint(data: unknown): string {
  return fingerprintOperation({
    change: {
      kind: 'update',
      provider: 'crm',
      tenant: 'default',
      entity: 'contact',
      recordId: 'c1',
      timestampMs: 0,
      source: 'api',
      dataJson: JSON.stringify(data),
    },
    hasTimestamp: false,
    isRecordIdGenerated: false,
    idempotencyKey: 'k',
  });
}

it('the order of members makes no other operation', () => {
  expect(fingerprint({ b: [{ y: 1, x: 2 }], a: 1 })).toBe(fingerprint({ a: 1, b: [{ x: 2, y: 1 }] }));
});

it.each([
  [{ a: 1 }, [['a', 1]]],
  [{}, []],
  [[[['a', 1]]], [{ a: 1 }]],
  [{ list: [['a', 1]] }, [['a', 1]]],
])('an object and a list of its members are two operations: %j and %j', (one, other) => {
  expect(fingerprint({ tags: one })).not.toBe(fingerprint({ tags: other }));
});

it('different data has different fingerprints', () => {
  // Few names and values, so that objects and lists of pairs come to look alike.
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.constantFrom('a', 'list', 1, null), tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 2 }),
    object: fc.dictionary(fc.constantFrom('a', 'list'), tie('value'), { noNullPrototype: true }),
  }));
  fc.assert(
    fc.property(value, value, (one, other) => {
      expect(fingerprint({ one }) === fingerprint({ one: other })).toBe(isDeepStrictEqual(one, other));
    }),
    { numRuns: 2_000 },
  );
});

it('an operation that was first sent to an earlier version is still the same one', () => {
  const data = {
    name: 'Ada',
    tags: ['vip', 'new'],
    address: { zip: 'N1', city: 'London' },
    empty: {},
    phones: [{ kind: 'home', number: '1' }],
  };
  expect(fingerprint(data)).toBe('2HKdsFJgYYyDLSqaQhIAfG');
});
