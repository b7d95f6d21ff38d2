/** Exponential backoff with full jitter: uniform between 0 and min(max, base * 2^(attempt-1)), milliseconds. */
export function backoffMs(attempt: number, policy: { readonly baseMs: number; readonly maxMs: number }, random: () => number): number {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(random() * ceiling);
}
