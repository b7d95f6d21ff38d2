/**
 * The strictest way a provider may count: at most `requests` accepted calls in every window of `perMs`, wherever it begins. Refused
 * calls do not count. A ring of the last `requests` acceptance times is all it takes: a call is within the limit exactly if the
 * oldest of them has left the window.
 */
export interface RollingLimit {
  readonly requests: number;
  readonly perMs: number;
  /** 0 when the call is accepted; else milliseconds until one would be. */
  take(nowMs: number): number;
  /** How many calls would be accepted at this moment. */
  left(nowMs: number): number;
}

export function createRollingLimit(requests: number, perMs: number): RollingLimit {
  const accepted = new Float64Array(requests).fill(Number.NEGATIVE_INFINITY);
  let next = 0;
  return {
    requests,
    perMs,
    take(nowMs) {
      const freeInMs = (accepted[next] as number) + perMs - nowMs;
      if (freeInMs > 0) return freeInMs;
      accepted[next] = nowMs;
      next = (next + 1) % requests;
      return 0;
    },
    left(nowMs) {
      // From `next` on the ring is in order of time, so the ones that have left the window come first.
      let low = 0;
      let high = requests;
      while (low < high) {
        const middle = (low + high) >>> 1;
        const isGone = (accepted[(next + middle) % requests] as number) + perMs - nowMs <= 0;
        if (isGone) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}
