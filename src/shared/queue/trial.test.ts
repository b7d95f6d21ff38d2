import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packTrial, parseTrial, type Trial } from './trial.ts';

fc.configureGlobal({ seed: 7 });

test('a trial comes back as it was written', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\t|"', '\ud800', '😀'));
  const trial: fc.Arbitrary<Trial> = fc.record({
    attempts: fc.nat(),
    dueAtMs: fc.maxSafeNat(),
    startedIn: fc.nat(),
    sealedTo: fc.maxSafeNat(),
    error: fc.option(
      fc
        .record({ code: text, message: text, retryable: fc.boolean(), status: fc.option(fc.nat(599), { nil: undefined }) })
        .map(({ status, ...error }) => (status === undefined ? error : { ...error, providerStatus: status })),
      { nil: undefined },
    ),
  });
  const doubt = fc.constantFrom({}, { isInDoubt: true });
  fc.assert(
    fc.property(trial, doubt, fc.integer({ min: 1 }), (trial, doubt, epoch) => {
      expect(parseTrial(packTrial({ ...trial, ...doubt }, epoch))).toEqual({ ...trial, ...doubt, writtenIn: epoch });
    }),
  );
});

test('what a former version wrote tells its epoch where it was written before a call', () => {
  expect(parseTrial('[2,99,0,0,["busy","m",1,503]]').writtenIn).toBe(1);
  expect(parseTrial('[2,0,7,0,null,1]')).toMatchObject({ startedIn: 7, isInDoubt: true, writtenIn: 7 });
});
