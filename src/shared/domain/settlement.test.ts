import { expect, test } from 'vitest';
import type { ProviderError, ProviderErrorKind } from './provider-error.ts';
import { type Decision, decide, type FailedAttempt, isRetryable } from './settlement.ts';

const limits = { maxAttempts: 3, baseMs: 100, maxMs: 1_000, maxAgeMs: 60_000 };
const atMost = () => 1;

function after(kind: ProviderErrorKind, part: Partial<FailedAttempt> = {}, error: Partial<ProviderError> = {}): Decision {
  return decide({ error: { kind, code: kind, message: '', ...error }, attempts: 1, ageMs: 0, isFolded: false, ...part }, limits, atMost);
}

const passing = ['rate_limited', 'transient', 'ambiguous'] as const;
const lasting = ['auth', 'invalid', 'conflict', 'gone'] as const;

test.each(passing)('%s is tried again, charged, until attempts or age are used up', (kind) => {
  expect(after(kind)).toEqual({ next: 'retry', delayMs: 100, isCharged: true });
  expect(after(kind, { attempts: 2 })).toEqual({ next: 'retry', delayMs: 200, isCharged: true });
  expect(after(kind, { attempts: 3 })).toEqual({ next: 'dead_letter', isRetryable: true });
  expect(after(kind, { ageMs: 59_999 })).toMatchObject({ next: 'retry' });
  expect(after(kind, { ageMs: 60_000 })).toEqual({ next: 'dead_letter', isRetryable: true });
});

test.each(lasting)('%s ends at once; folded, the operations go one by one', (kind) => {
  expect(after(kind)).toEqual({ next: 'dead_letter', isRetryable: false });
  expect(after(kind, { isFolded: true })).toEqual({ next: 'unfold' });
});

test.each(passing)('%s keeps a folded call together', (kind) => {
  expect(after(kind, { isFolded: true })).toMatchObject({ next: 'retry' });
});

test.each(['token_expired', 'credentials_refused', 'token_unavailable'])(
  '%s is our own fault: never charged, bounded by age alone',
  (code) => {
    expect(after('auth', { attempts: 100 }, { code })).toMatchObject({ next: 'retry', isCharged: false });
    expect(after('auth', { ageMs: 60_000 }, { code })).toEqual({ next: 'dead_letter', isRetryable: true });
  },
);

test('what the provider asks to wait is waited, and no less than the backoff', () => {
  expect(after('rate_limited', {}, { retryAfterMs: 5_000 })).toMatchObject({ delayMs: 5_000 });
  expect(after('rate_limited', { attempts: 2 }, { retryAfterMs: 1 })).toMatchObject({ delayMs: 200 });
});

test('what is worth a retry and what is tried again are the same', () => {
  for (const kind of [...passing, ...lasting]) {
    expect(isRetryable({ kind, code: kind, message: '' })).toBe(after(kind).next === 'retry');
  }
});
