/**
 * Redis's clock, without asking for it at every request: its distance from ours is measured in the background. The measurement errs by half
 * a round trip at most; a distance that jumps is our clock being set, and is taken over at the next measurement.
 */
export interface RedisClock {
  /** Epoch ms by Redis's clock; by our own until the first measurement. */
  nowMs(): number;
  /** One measurement. */
  tick(): Promise<'measured' | 'unreachable'>;
}

export function createRedisClock(deps: { time: () => Promise<readonly (string | number)[]>; now: () => number }): RedisClock {
  let offsetMs = 0;
  return {
    nowMs: () => Math.round(deps.now() + offsetMs),
    async tick() {
      try {
        const before = deps.now();
        const [seconds, microseconds] = await deps.time();
        const middle = (before + deps.now()) / 2;
        offsetMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000 - middle;
        return 'measured';
      } catch {
        return 'unreachable';
      }
    },
  };
}
