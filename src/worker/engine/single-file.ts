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
  #waiting: Lane[] = [];

  /** True when it is the lane's turn; otherwise `next` gives it back when it is. */
  enter(lane: Lane): boolean {
    if (lane !== this.#first && this.#isTaken) {
      this.#waiting.push(lane);
      return false;
    }
    this.#first = lane;
    return true;
  }

  /** Whether the lane's call must go alone. */
  isFirst(lane: Lane): boolean {
    return lane === this.#first && this.#isTaken;
  }

  /** The lane whose turn it is now, once. */
  next(): Lane | undefined {
    if (this.#waiting.length === 0 || this.#isTaken) return undefined;
    this.#waiting = this.#waiting.filter(({ queue }) => queue.isOpen);
    this.#first = this.#waiting.shift();
    return this.#first;
  }

  /** Takes out and returns the lanes of a queue that wait for their turn. */
  withdraw(queue: QueueState): Lane[] {
    const waiting = this.#waiting.filter((lane) => lane.queue === queue);
    this.#waiting = this.#waiting.filter((lane) => lane.queue !== queue);
    return waiting;
  }

  /** From the first lane's turn until the end of its call is written, or its shard is another's: a death before that charges it again. */
  get #isTaken(): boolean {
    if (!this.#first) return false;
    const { queue, state, waiting } = this.#first;
    if (queue.isOpen && state === 'settling') return true;
    const isUnderWay = state === 'ready' || state === 'marking' || state === 'in_flight';
    if (queue.isOpen && isUnderWay && waiting.some(({ hasCrashed }) => hasCrashed)) return true;
    this.#first = undefined;
    return false;
  }
}
