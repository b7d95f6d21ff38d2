import fc from 'fast-check';
import { expect, test } from 'vitest';
import { finalStatuses, operationKinds } from '../domain/operation.ts';
import { type Outcome, packOutcome, parseOutcome, resultField } from './result.ts';

fc.configureGlobal({ seed: 7 });

const text = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.constantFrom('a\tb', '\t', '100%', '%09', '\ud800', '😀', '{"r":1}'));
const orNothing = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const outcome: fc.Arbitrary<Outcome> = fc
  .record({
    status: fc.constantFrom(...finalStatuses),
    kind: fc.constantFrom(...operationKinds),
    entity: fc.oneof(text, fc.constant('contact')),
    recordId: fc.oneof(
      text,
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
      fc.constantFrom('~', '~~', '~0123456789012345678901'),
    ),
    acceptedAtMs: fc.integer({ min: 1, max: 9_999_999_999_999 }),
    tookMs: fc.nat(10_000_000_000),
    attempts: fc.nat(1_000),
    providerRecordId: orNothing(text),
    carriedBy: orNothing(fc.constant('1763000000000-7')),
    result: orNothing(fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown)),
    error: orNothing(fc.record({ code: text, message: text, retryable: fc.boolean(), providerStatus: orNothing(fc.nat(599)) })),
  })
  .map(({ tookMs, ...rest }) => ({ ...rest, completedAtMs: rest.acceptedAtMs + tookMs }));

test('an outcome comes back as it was packed, whatever its texts hold', () => {
  fc.assert(
    fc.property(outcome, (outcome) => {
      expect(parseOutcome(packOutcome(outcome), outcome.acceptedAtMs)).toEqual(outcome);
    }),
  );
});

const plain: Outcome = {
  status: 'succeeded',
  kind: 'update',
  entity: 'contact',
  recordId: '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b',
  acceptedAtMs: 1_763_000_000_000,
  completedAtMs: 1_763_000_000_250,
  attempts: 1,
};

test('an ordinary outcome is at most 64 bytes, with a provider’s id or a carrier, too, so that its bucket stays packed', () => {
  const ordinary: Partial<Outcome>[] = [
    {},
    { providerRecordId: '0035g00000ABCDEFGH' },
    { status: 'coalesced', carriedBy: '1763000000000-99999999' },
  ];
  for (const part of ordinary) expect(Buffer.byteLength(packOutcome({ ...plain, ...part }))).toBeLessThanOrEqual(64);
});

test('the result of another operation with the same rank is not taken for this one', () => {
  expect(parseOutcome(packOutcome(plain), plain.acceptedAtMs + 1)).toBeUndefined();
});

test('half a character in an entity does not throw', () => {
  const packed = Buffer.from(packOutcome({ ...plain, entity: 'a\ud800' })).toString();
  expect(parseOutcome(packed, plain.acceptedAtMs)?.entity).toBe('a\ufffd');
});

test('an end before the acceptance, by another clock, counts as no time at all', () => {
  const packed = packOutcome({ ...plain, completedAtMs: plain.acceptedAtMs - 5 });
  expect(parseOutcome(packed, plain.acceptedAtMs)?.completedAtMs).toBe(plain.acceptedAtMs);
});

test('a hundred ranks share a bucket, each with a field of its own', () => {
  const fields = Array.from({ length: 100 }, (_, i) => resultField(1_000 + i));
  expect(new Set(fields).size).toBe(100);
});
