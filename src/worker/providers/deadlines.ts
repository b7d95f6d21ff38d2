/**
 * Time limits for many things at once that all may take equally long. What starts first is due first, so they stand in a list in
 * the order of their start and one timer, for the head, serves all: adding and removing costs a few pointers. The timer is not
 * moved when the head is removed; it fires, finds nothing due, and is set again.
 */
export interface Timed {
  /** By the clock given to `createDeadlines`; set by `add`. */
  dueMs: number;
  previous: Timed | undefined;
  next: Timed | undefined;
  /** Called once, when the time is up and after the item has left the list. */
  onDue(): void;
}

export interface Deadlines {
  add(item: Timed): void;
  /** Harmless for an item that is not in the list. */
  remove(item: Timed): void;
  /** Those not yet due, the oldest first. */
  items(): Timed[];
}

export function createDeadlines(limitMs: number, monotonicMs: () => number): Deadlines {
  let head: Timed | undefined;
  let tail: Timed | undefined;
  let timer: NodeJS.Timeout | undefined;

  function remove(item: Timed): void {
    if (item.previous === undefined && head !== item) return;
    if (item.previous) item.previous.next = item.next;
    else head = item.next;
    if (item.next) item.next.previous = item.previous;
    else tail = item.previous;
    item.previous = undefined;
    item.next = undefined;
  }

  function arm(delayMs: number): void {
    timer = setTimeout(onTimer, delayMs);
    // What is being waited for keeps the process alive, not the watch over it.
    timer.unref();
  }

  function onTimer(): void {
    timer = undefined;
    const nowMs = monotonicMs();
    while (head && head.dueMs <= nowMs) {
      const item = head;
      remove(item);
      item.onDue();
    }
    if (head && !timer) arm(Math.max(1, Math.ceil(head.dueMs - nowMs)));
  }

  return {
    add(item) {
      item.dueMs = monotonicMs() + limitMs;
      item.previous = tail;
      if (tail) tail.next = item;
      else head = item;
      tail = item;
      if (!timer) arm(limitMs);
    },
    remove,
    items() {
      const items: Timed[] = [];
      for (let item = head; item; item = item.next) items.push(item);
      return items;
    },
  };
}
