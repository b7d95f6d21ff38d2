/**
 * Where another machine's moments lie on this process's clock. An answer tells only that its moment was between question and answer; several
 * answers together tell it as closely as the quickest of them, so that one slow round trip does not make a moment uncertain.
 */

/** Clocks run apart by 100 ppm at most, or are put right that slowly. */
const driftPerMs = 1e-4;

export class ClockBounds {
  #least = Number.NEGATIVE_INFINITY;
  #most = Number.POSITIVE_INFINITY;
  #knownAt = 0;

  /** Takes in one question and answer; all in milliseconds. */
  learn(askedAt: number, answeredAt: number, remoteMs: number): void {
    const drift = (answeredAt - this.#knownAt) * driftPerMs;
    const least = askedAt - remoteMs;
    const most = answeredAt - remoteMs;
    const closerLeast = Math.max(least, this.#least - drift);
    const closerMost = Math.min(most, this.#most + drift);
    // They contradict each other: the other clock was set anew.
    const isSetAnew = closerLeast > closerMost;
    this.#least = isSetAnew ? least : closerLeast;
    this.#most = isSetAnew ? most : closerMost;
    this.#knownAt = answeredAt;
  }

  /** This process's time is then no earlier than this. */
  earliest(remoteMs: number): number {
    return remoteMs + this.#least;
  }

  /** And no later than this. */
  latest(remoteMs: number): number {
    return remoteMs + this.#most;
  }
}
