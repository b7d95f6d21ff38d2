/**
 * The strictest way a provider may count: at most `requests` accepted calls in every window of `perMs`, wherever it begins. A ring of
 * the last acceptance times is all it takes.
 */
export function createRollingLimit(requests: number, perMs: number) {
  const accepted = new Float64Array(requests).fill(Number.NEGATIVE_INFINITY);
  let next = 0;
  return {
    /** Whether a call at `nowMs` is within the limit; only then is it counted. */
    take(nowMs: number): boolean {
      if ((accepted[next] as number) + perMs > nowMs) return false;
      accepted[next] = nowMs;
      next = (next + 1) % requests;
      return true;
    },
  };
}
