/**
 * A lane: one record's operations for one provider, in order, inside its shard's owner. It is in one state at a time:
 *
 *   idle ──► ready ──► (marking) ──► in_flight ──► settling ──► idle, or backoff ──► ready
 *
 * The next call of a record starts only once the end of the last one is written: a crash in between would otherwise
 * let the next owner repeat an older change after a newer one. Rejected: settling behind the calls' back, which is faster for one hot
 * record and wrong.
 */
import { type ConflictMode, judge } from '../../shared/domain/conflict.ts';
import { foldLength } from '../../shared/domain/fold.ts';
import type { OperationKind } from '../../shared/domain/operation.ts';
import { isOlder, type RecordState, type Stamp } from '../../shared/domain/record-state.ts';
import type { ErrorView } from '../../shared/queue/result.ts';
import type { QueueState } from './shard-state.ts';

/** An operation in a worker's memory. */
export interface Held {
  readonly ms: number;
  readonly rank: number;
  readonly kind: OperationKind;
  readonly entity: string;
  readonly recordId: string;
  readonly timestampMs: number;
  /** Decides conflicts: the change's own time, then the order of acceptance. */
  readonly stamp: Stamp;
  readonly dataJson: string | undefined;
  /** The entry's header as it lies in the stream, for a dead letter. */
  readonly header: string;
  readonly bytes: number;
  /** Attempts made. */
  attempts: number;
  /** A former owner's retry is due then, epoch milliseconds of Redis's clock; 0 for none. */
  dueAtMs: number;
  /** A worker died holding it: before its next call, that is written down. */
  isSuspect: boolean;
  isMarked: boolean;
  /** An attempt may have been carried out that nobody knows the end of. */
  isInDoubt: boolean;
  /** A worker died during its call: this call may be the reason, so no other of that kind goes beside it. */
  hasCrashed: boolean;
  /** Redis has a trial of it. */
  hasTrial: boolean;
  /** Times a bug of ours stopped it; bounded, but never charged as attempts. */
  faults: number;
  lastError: ErrorView | undefined;
}

export type LaneState = 'idle' | 'ready' | 'marking' | 'in_flight' | 'settling' | 'backoff';

export class Lane {
  readonly queue: QueueState;
  readonly digest: string;
  /** In order of acceptance; the head is what comes next. */
  waiting: Held[] = [];
  state: LaneState = 'idle';
  applied: RecordState | undefined;
  /** Operations up to this rank go one by one: folded, they were refused. */
  unfoldTo = 0;
  /** No operation beyond this rank goes with those before it: in company that began in doubt, it was refused. */
  foldTo = 0;
  /** Operations up to this rank make one call again, exactly as it was attempted. */
  sealedTo = 0;
  /** The worker's monotonic clock, whole milliseconds: a number with a fraction would be an object of its own. */
  readyAt = 0;
  /** Calls in a row that were handed over and did not start. */
  unsent = 0;
  cancelWait: (() => void) | undefined;
  /** The table's. */
  nextInBucket: Lane | undefined;

  constructor(queue: QueueState, digest: string, applied: RecordState | undefined) {
    this.queue = queue;
    this.digest = digest;
    this.applied = applied;
  }

  /** Removes and returns operations at the head that newer changes have overtaken. */
  dropStale(mode: ConflictMode): Held[] {
    let stale = 0;
    while (this.#isStale(this.waiting[stale], mode)) stale++;
    return stale === 0 ? [] : this.waiting.splice(0, stale);
  }

  isHeadStale(mode: ConflictMode): boolean {
    return this.#isStale(this.waiting[0], mode);
  }

  #isStale(held: Held | undefined, mode: ConflictMode): boolean {
    const { applied } = this;
    return (
      held !== undefined && applied !== undefined && isOlder(held.stamp, applied.stamp) && judge(held, applied, mode).status === 'stale'
    );
  }

  /** How many operations from the head go as the next call. */
  groupLength(isCoalescing: boolean, mode: ConflictMode): number {
    const head = this.waiting[0] as Held;
    if (this.waiting.length === 1 || head.rank <= this.unfoldTo) return 1;
    if (head.rank <= this.sealedTo) return this.#countUpTo(this.sealedTo);
    // A create that may have been carried out is repeated as it was.
    if (head.kind === 'create' && (head.attempts > 0 || head.isSuspect || head.isInDoubt)) return 1;
    // Field mode: what is left of an overtaken change goes alone.
    if (mode === 'field' && this.applied && isOlder(head.stamp, this.applied.stamp)) return 1;
    const length = foldLength(this.waiting, isCoalescing);
    return head.rank <= this.foldTo ? Math.min(length, this.#countUpTo(this.foldTo)) : length;
  }

  /** The first so many, in order: to be looked at, before the lane changes. */
  headGroup(length: number): readonly Held[] {
    return length === this.waiting.length ? this.waiting : this.waiting.slice(0, length);
  }

  #countUpTo(rank: number): number {
    return this.waiting.filter((held) => held.rank <= rank).length;
  }
}
