/**
 * Where a start's ids begin. A simulator forgets its records when it ends, but whoever keeps the ids of those records does not: ids that
 * began anew at every start would make a new record look like an old one. So they begin further on the later the start.
 */

/** More than a simulator can make, so that a later start is always ahead. Of today's clock that is an id of 15 digits, safe in JSON. */
const idsPerMs = 100;

export function firstIdAt(nowMs: number): number {
  return Math.floor(nowMs * idsPerMs);
}
