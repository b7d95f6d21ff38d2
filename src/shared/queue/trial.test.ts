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
  fc.assert(
    fc.property(trial, (trial) => {
      expect(parseTrial(packTrial(trial))).toEqual(trial);
    }),
  );
});
