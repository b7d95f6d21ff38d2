/**
 * Folding: several operations that wait on one record become one call. A group is a prefix of the lane, so order is kept; it holds
 * only what leaves the record as the operations one by one would have left it. The last of a group carries the others.
 *
 * Rejected: folding an update into an earlier call's retry of a create (the repetition must be the very same call), update with
 * upsert (one by one, the update fails where the record is missing and leaves nothing; folded, its fields would appear).
 */
import type { OperationKind } from './operation.ts';
import { isOlder, type Stamp } from './record-state.ts';

export interface Foldable {
  readonly kind: OperationKind;
  readonly stamp: Stamp;
  readonly dataJson: string | undefined;
}

const takesIn: Record<OperationKind, readonly OperationKind[]> = {
  create: ['update', 'upsert', 'delete'],
  update: ['update', 'delete'],
  upsert: ['update', 'upsert', 'delete'],
  delete: ['delete'],
  read: [],
};

/** The data of a group are no longer than this together, characters: providers refuse bodies that are too large, each in its own way. */
const maxFoldedLength = 1_000_000;

/** How many operations from the head of the lane go as one call: at least 1. `stamp.ms` must not go back within a group. */
export function foldLength(lane: readonly Foldable[], isCoalescing: boolean): number {
  if (!isCoalescing) return 1;
  let length = 1;
  let chars = dataLength(lane[0]);
  for (; length < lane.length; length++) {
    const last = lane[length - 1] as Foldable;
    const next = lane[length] as Foldable;
    chars += dataLength(next);
    if (chars > maxFoldedLength || isOlder(next.stamp, last.stamp) || !takesIn[kindOf(lane, length)].includes(next.kind)) break;
  }
  return length;
}

const dataLength = (operation: Foldable | undefined): number => operation?.dataJson?.length ?? 0;

/** The kind of the call that the first `length` operations make together. */
export function kindOf(lane: readonly Foldable[], length: number): OperationKind {
  const last = (lane[length - 1] as Foldable).kind;
  return last === 'delete' ? 'delete' : (lane[0] as Foldable).kind;
}

/** Field by field, the later winning. */
export function mergeData(group: readonly (string | undefined)[]): string | undefined {
  if (group.length === 1) return group[0];
  const merged: Record<string, unknown> = Object.create(null);
  for (const dataJson of group) Object.assign(merged, dataJson === undefined ? {} : JSON.parse(dataJson));
  return JSON.stringify(merged);
}
