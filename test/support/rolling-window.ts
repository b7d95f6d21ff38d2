/**
 * The most calls that any window of `windowMs` held, wherever it begins: half-open windows [t, t + windowMs), as a provider that
 * forgets a call exactly `windowMs` after it counts them. Times in any order and unit, as long as it is the window's.
 */
export function maxInWindow(timesMs: readonly number[], windowMs: number): number {
  const sorted = Float64Array.from(timesMs).sort();
  let most = 0;
  let first = 0;
  for (let last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
