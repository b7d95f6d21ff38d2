/**
 * Whether a number of a body is the one that was written. From 2^53 on a double holds only some of the integers, and an external id that arrives as
 * another is worse than one that is refused. Looked at only where there is such a number.
 */
import { findLongIntegers } from '../shared/domain/long-integers.ts';

export type IsExact = (value: number) => boolean;

/** For numbers of this body alone. */
export function createIsExact(body: Buffer): IsExact {
  let changed: ReadonlySet<number> | undefined;
  return (value) => {
    changed ??= changedIntegers(body.toString('utf8'));
    // JSON has no word for infinity: null, which clears a field, would go on.
    return Number.isFinite(value) && !changed.has(value);
  };
}

/** Integers that became others, as what they became. */
function changedIntegers(text: string): Set<number> {
  const changed = new Set<number>();
  for (const { digits } of findLongIntegers(text)) {
    const value = Number(digits);
    if (Number.isFinite(value) && BigInt(digits) !== BigInt(value)) changed.add(value);
  }
  return changed;
}
