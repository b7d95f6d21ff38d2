import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Change, operationKinds } from '../domain/operation.ts';
import { formatHeader, kindCode, kindOfCode, parseEntry, parseOperation, withDoubt } from './entry.ts';

fc.configureGlobal({ seed: 7 });

const odd = ['"', '\\', '\n\t\u0000', 'é😀', '{}[]', '__proto__', ' ', '0'];
const text = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }), fc.constantFrom(...odd));
const place = { shard: 3, queue: 'crm:Ünit', ms: 1_763_000_000_000, rank: 42 };

const anyChange: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom(...operationKinds),
  provider: fc.constant('crm'),
  tenant: fc.constant('Ünit'),
  entity: fc.oneof(text, fc.constant('contact')),
  recordId: text,
  timestampMs: fc.nat(253_402_300_799_999),
  source: fc.oneof(text, fc.constant('api')),
  dataJson: fc.option(fc.json(), { nil: undefined }),
});

test('an operation comes back as it was submitted, whatever its texts hold', () => {
  fc.assert(
    fc.property(anyChange, (change) => {
      expect(parseOperation(place, formatHeader(change), change.dataJson ?? '')).toEqual({ ...change, place });
    }),
  );
});

test('a doubt comes and goes, and changes nothing else', () => {
  fc.assert(
    fc.property(anyChange, (change) => {
      const header = formatHeader(change);
      const inDoubt = withDoubt(header, true);
      for (const [text, isInDoubt] of [
        [header, false],
        [inDoubt, true],
        [withDoubt(inDoubt, false), false],
      ] as const) {
        expect(parseEntry(text, '').isInDoubt).toBe(isInDoubt);
        expect(parseOperation(place, text, change.dataJson ?? '')).toEqual({ ...change, place });
      }
      expect(withDoubt(inDoubt, true)).toBe(inDoubt);
      expect(withDoubt(header, false)).toBe(header);
    }),
  );
});

test('defaults take no room', () => {
  const change = { kind: 'update', provider: 'crm', tenant: 'default', entity: 'contact', source: 'api' } as const;
  expect(formatHeader({ ...change, recordId: 'r', timestampMs: 5, dataJson: '{}' })).toBe('["u","r",5]');
});

test('a foreign entry throws with the name of its place', () => {
  expect(() => parseOperation(place, '["z","r",1]', '')).toThrow('1763000000000-42 of crm:Ünit');
  expect(() => parseOperation(place, 'no json', '')).toThrow();
});

test('every kind has a code of its own', () => {
  expect(operationKinds.map((kind) => kindOfCode(kindCode(kind)))).toEqual([...operationKinds]);
  expect(kindOfCode('z')).toBeUndefined();
});
