/**
 * How many calls start in one turn of the event loop. A worker that has more to do than its processor can would otherwise start all it may at
 * once, and meet all their answers at once: turns grow until everything in memory is old before it ends, which costs twice as much. Who has more
 * to start goes on in the next turn, in order, a few calls at a time, so that nobody waits for long behind one that has much.
 */

/** Starts calls while it may. */
export interface Starter {
  /** Set by the pacer. */
  isInQueue: boolean;
  /** Lanes that could be called now. */
  readonly lanesReady: number;
  pump(): void;
}

/** Some milliseconds of work. */
const startsPerTurn = 32;
/** Of one starter, while others wait. */
const startsPerVisit = 4;
/** The work of a call that carries many groups: of so many as of one more call. */
const groupsPerStart = 8;

export class StartPacer {
  /** Who waited has started what it could. */
  readonly #onTurn: () => void;
  #queue: Starter[] = [];
  #left = startsPerTurn;
  #visiting: Starter | undefined;
  #visitEndsAt = 0;
  #isScheduled = false;

  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  /** Whether a call may start in this turn. */
  mayStart(starter: Starter): boolean {
    return starter === this.#visiting ? this.#left > this.#visitEndsAt : this.#left > 0 && this.#queue.length === 0;
  }

  /** The starter is pumped again in a later turn, after those that came before it. */
  wait(starter: Starter): void {
    if (!starter.isInQueue) {
      starter.isInQueue = true;
      this.#queue.push(starter);
    }
    if (!this.#visiting) this.#schedule();
  }

  started(groups: number): void {
    this.#left -= 1 + Math.floor(groups / groupsPerStart);
  }

  /** Lanes that wait for nothing but their turn, counted up to `most`. */
  lanesWaiting(most: number): number {
    let lanes = 0;
    for (const { lanesReady } of this.#queue) {
      lanes += lanesReady;
      if (lanes >= most) return most;
    }
    return lanes;
  }

  #turn(): void {
    this.#isScheduled = false;
    this.#left = startsPerTurn;
    let next = 0;
    for (; this.#left > 0 && next < this.#queue.length; next++) {
      const starter = this.#queue[next] as Starter;
      starter.isInQueue = false;
      this.#visiting = starter;
      this.#visitEndsAt = Math.max(0, this.#left - startsPerVisit);
      starter.pump();
    }
    this.#visiting = undefined;
    this.#queue = this.#queue.slice(next);
    if (this.#queue.length > 0) this.#schedule();
    this.#onTurn();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }
}
