/**
 * Lanes whose call a worker died in. They go one at a time, and alone in their batch: when the next worker dies, only one of them can be
 * charged, and soon it is the one to blame. All others go on beside them as always: they are not written down as called, so no death is
 * charged to them. Rejected: letting suspects go side by side, which sent the neighbours of a poison operation to the dead letters
 * with it.
 */
import type { Lane } from './lane.ts';
import type { QueueState } from './shard-state.ts';

export class SingleFile {
  #first: Lane | undefined;
  /** Whose calls the first was to be one of: its lane may come to another account, and take its turn there. */
  #account = '';
  #waiting: Lane[] = [];

  /** True when it is the lane's turn; otherwise `next` gives it back when it is. */
  enter(lane: Lane): boolean {
    if (lane !== this.#first && this.#isTaken) {
      this.#waiting.push(lane);
      return false;
    }
    this.#setFirst(lane);
    return true;
  }

  /** No lane waits for its turn. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether the lane's call must go alone. */
  isFirst(lane: Lane): boolean {
    return lane === this.#first && this.#isTaken;
  }

  /** The lane whose turn it is now, once. */
  next(): Lane | undefined {
    if (this.#waiting.length === 0 || this.#isTaken) return undefined;
    this.#waiting = this.#waiting.filter(({ queue }) => queue.isOpen);
    const next = this.#waiting.shift();
    if (next) this.#setFirst(next);
    return next;
  }

  /** Takes out and returns the lanes of a queue that wait for their turn. */
  withdraw(queue: QueueState): Lane[] {
    const waiting = this.#waiting.filter((lane) => lane.queue === queue);
    this.#waiting = this.#waiting.filter((lane) => lane.queue !== queue);
    return waiting;
  }

  #setFirst(lane: Lane): void {
    this.#first = lane;
    this.#account = lane.queue.account;
  }

  /** From the first lane's turn until the end of its call is written, or its shard is another's: a death before that charges it again. */
  get #isTaken(): boolean {
    if (this.#first && holdsUp(this.#first, this.#account)) return true;
    this.#first = undefined;
    return false;
  }
}

function holdsUp({ queue, state, waiting }: Lane, account: string): boolean {
  if (!queue.isOpen) return false;
  const hasCrashed = waiting.some((held) => held.hasCrashed);
  // It came to another account: of what it does now, only a call that began before that is this one's.
  if (queue.account !== account) return state === 'in_flight' && hasCrashed;
  const isUnderWay = state === 'ready' || state === 'marking' || state === 'in_flight';
  return state === 'settling' || (isUnderWay && hasCrashed);
}
