import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isOlder, packRecordState, parseRecordState, type RecordState, type Stamp } from './record-state.ts';

fc.configureGlobal({ seed: 7 });

const stamp: fc.Arbitrary<Stamp> = fc.record({ ms: fc.maxSafeNat(), rank: fc.maxSafeNat() });
const oddText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('a|b', '100%', '%7C', '!', '|', '\t\n\u0000', 'a\u001fb', '\ud800', '__proto__'),
);
const state: fc.Arbitrary<RecordState> = fc.record({
  stamp,
  isDeleted: fc.boolean(),
  providerRecordId: fc.option(
    oddText.filter((text) => text !== ''),
    { nil: undefined },
  ),
  fields: fc.option(
    fc.array(fc.tuple(oddText, stamp)).map((pairs) => new Map(pairs)),
    { nil: undefined },
  ),
});

test('a record state comes back as it was packed, whatever characters the provider uses', () => {
  fc.assert(
    fc.property(state, (state) => {
      expect(parseRecordState(packRecordState(state))).toEqual(state);
    }),
  );
});

test('a record state holds none of the characters that separate texts, whatever the provider’s ids and the fields are', () => {
  fc.assert(
    fc.property(state, (state) => {
      expect(packRecordState(state)).not.toContain('\u001f');
    }),
  );
});

test('half a character in a provider’s id does not throw', () => {
  const packed = packRecordState({ stamp: { ms: 1, rank: 1 }, isDeleted: false, providerRecordId: 'a\ud800|', fields: undefined });
  expect(parseRecordState(Buffer.from(packed).toString()).providerRecordId).toBe('a\ufffd|');
});

test('the state of a record without provider id and fields takes no more than its stamp', () => {
  const plain = { stamp: { ms: 1_763_721_903_123, rank: 1_000 }, isDeleted: false, providerRecordId: undefined, fields: undefined };
  expect(packRecordState(plain).length).toBeLessThanOrEqual(13);
  expect(packRecordState({ ...plain, isDeleted: true })).toBe(`${packRecordState(plain)}!`);
});

test('of two stamps exactly one is older, unless they are the same', () => {
  fc.assert(
    fc.property(stamp, stamp, (a, b) => {
      const isSame = a.ms === b.ms && a.rank === b.rank;
      expect([isOlder(a, b), isOlder(b, a)].filter(Boolean)).toHaveLength(isSame ? 0 : 1);
    }),
  );
  expect(isOlder({ ms: 5, rank: 1 }, { ms: 5, rank: 2 })).toBe(true);
});
