/** The one place that decides what follows a failed attempt. */
import { backoffMs } from './backoff.ts';
import type { ProviderError } from './provider-error.ts';

export interface FailedAttempt {
  readonly error: ProviderError;
  /** Attempts made, this one included. */
  readonly attempts: number;
  readonly ageMs: number;
  /** The call carried several operations folded into one. */
  readonly isFolded: boolean;
}

export interface RetryLimits {
  readonly maxAttempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxAgeMs: number;
}

export type Decision =
  | { readonly next: 'retry'; readonly delayMs: number; readonly isCharged: boolean }
  /** The folded operations go one by one, so that one bad change costs only itself. */
  | { readonly next: 'unfold' }
  | { readonly next: 'dead_letter'; readonly isRetryable: boolean };

/** An expired token is our own fault: it is refreshed, the call repeated, and nobody charged. */
const freeCodes = new Set(['token_expired', 'credentials_refused', 'token_unavailable']);

export function isRetryable(error: ProviderError): boolean {
  return error.kind === 'rate_limited' || error.kind === 'transient' || error.kind === 'ambiguous' || freeCodes.has(error.code);
}

export function decide(attempt: FailedAttempt, limits: RetryLimits, random: () => number): Decision {
  const { error, attempts, ageMs, isFolded } = attempt;
  if (!isRetryable(error)) return isFolded ? { next: 'unfold' } : { next: 'dead_letter', isRetryable: false };
  const isCharged = !freeCodes.has(error.code);
  if ((isCharged && attempts >= limits.maxAttempts) || ageMs >= limits.maxAgeMs) return { next: 'dead_letter', isRetryable: true };
  return { next: 'retry', delayMs: Math.max(backoffMs(attempts, limits, random), error.retryAfterMs ?? 0), isCharged };
}
