/**
 * The entries that a queue has here. A list through the entries themselves: queues are many, most of them have one entry or none, and a Map for each
 * would cost more than all else that a queue needs.
 */
import type { Held } from './lane.ts';

export class HeldEntries {
  #first: Held | undefined;
  size = 0;

  /** The entry is not in the list. */
  add(held: Held): void {
    if (this.#first) this.#first.previousHeld = held;
    held.nextHeld = this.#first;
    this.#first = held;
    this.size++;
  }

  /** False for an entry that is not in the list. */
  remove(held: Held): boolean {
    const { previousHeld, nextHeld } = held;
    if (!previousHeld && this.#first !== held) return false;
    if (previousHeld) previousHeld.nextHeld = nextHeld;
    else this.#first = nextHeld;
    if (nextHeld) nextHeld.previousHeld = previousHeld;
    // What has left refers to no other: as old garbage it would keep it alive.
    held.previousHeld = undefined;
    held.nextHeld = undefined;
    this.size--;
    return true;
  }

  /** Looks through all of them. */
  hasRank(rank: number): boolean {
    for (let held = this.#first; held; held = held.nextHeld) if (held.rank === rank) return true;
    return false;
  }

  /** Empties the list, and returns what was in it. */
  takeAll(): Held[] {
    const all: Held[] = [];
    for (let held = this.#first; held; held = this.#first) {
      this.remove(held);
      all.push(held);
    }
    return all;
  }
}
