/**
 * Collects what is to be written about finished attempts, and writes it many at a time. A batch whose answer was lost is written
 * again: the script may run twice. While Redis is away nothing is forgotten, and nothing more is called.
 */
import type { FinalSettlement, RetrySettlement, Settle, SettledEntry, Settlement } from '../../shared/queue/settle.ts';
import type { QueueState } from './shard-state.ts';

/** Long enough to gather a batch, short enough not to be felt by a record with a queue of its own. */
const gatherMs = 2;
/** So many make a batch: they are written at the end of this turn of the event loop, so that nothing waits in memory for a timer. */
const gatherOperations = 32;
/** A batch is closed at so many: while Redis writes the second, the lanes of the first go on. */
const batchOperations = 400;
const retryAfterErrorMs = 100;
const none: readonly never[] = [];

interface Pending {
  readonly queue: QueueState;
  readonly finals: FinalSettlement[];
  readonly retries: RetrySettlement[];
  readonly settledBefore: SettledEntry[];
  readonly whenWritten: (() => void)[];
}

export interface SettlerDeps {
  readonly settle: Settle;
  /** How much history a queue keeps, entries. */
  keepOf(queue: QueueState): number;
  onWritten(queue: QueueState, written: { finals: readonly FinalSettlement[]; settledBefore: number }): void;
  onLost(queue: QueueState): void;
  onBatch(operations: number): void;
  onError(error: unknown): void;
  /** What was to happen after the writing failed: a bug. */
  onBug(error: unknown): void;
}

export interface SettlerItem {
  readonly finals?: readonly FinalSettlement[];
  readonly retries?: readonly RetrySettlement[];
  readonly settledBefore?: readonly SettledEntry[];
  /** Called once it is written; never when the shard is lost. */
  readonly whenWritten?: () => void;
}

export class Settler {
  readonly #deps: SettlerDeps;
  #pending = new Map<QueueState, Pending>();
  #writing: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #gathered = 0;
  #isWriting = false;
  #hasFailed = false;
  #isClosed = false;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  add(queue: QueueState, { finals = none, retries = none, settledBefore = none, whenWritten }: SettlerItem): void {
    if (queue.shard.isGone) return;
    let pending = this.#pending.get(queue);
    if (!pending) {
      pending = { queue, finals: [], retries: [], settledBefore: [], whenWritten: [] };
      this.#pending.set(queue, pending);
    }
    pending.finals.push(...finals);
    pending.retries.push(...retries);
    pending.settledBefore.push(...settledBefore);
    if (whenWritten) pending.whenWritten.push(whenWritten);
    this.#gathered += finals.length + retries.length + settledBefore.length;
    if (this.#gathered >= gatherOperations) this.#scheduleAtOnce();
    else this.#schedule(gatherMs);
  }

  /** Whether anything of the shard is not written yet. */
  isBusyWith(shard: QueueState['shard']): boolean {
    for (const queue of this.#pending.keys()) if (queue.shard === shard) return true;
    return this.#writing.some(({ queue }) => queue.shard === shard);
  }

  isBusyWithQueue(queue: QueueState): boolean {
    return this.#pending.has(queue) || this.#writing.some((item) => item.queue === queue);
  }

  /** Writes what has gathered: one round. */
  async tick(): Promise<void> {
    if (this.#isWriting || this.#pending.size === 0) return;
    this.#isWriting = true;
    this.#writing = [...this.#pending.values()].filter(({ queue }) => !queue.shard.isGone);
    this.#pending = new Map();
    this.#gathered = 0;
    // After a failure each queue is written by itself, so that one that cannot be written holds up no other.
    const batches = this.#hasFailed ? this.#writing.map((item) => [item]) : inBatches(this.#writing);
    const failed = (await Promise.all(batches.map((batch) => this.#tryToWrite(batch)))).flat();
    this.#writing = [];
    this.#isWriting = false;
    this.#hasFailed = failed.length > 0;
    this.#putBack(failed);
    if (this.#pending.size > 0) this.#schedule(this.#hasFailed ? retryAfterErrorMs : 0);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #scheduleAtOnce(): void {
    if (this.#immediate || this.#isWriting || this.#hasFailed || this.#isClosed) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      void this.tick();
    });
  }

  #schedule(afterMs: number): void {
    if (this.#timer || this.#isWriting || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.tick();
    }, afterMs);
  }

  /** Returns what could not be written. */
  async #tryToWrite(batch: readonly Pending[]): Promise<readonly Pending[]> {
    let answers: readonly ('ok' | 'lost')[];
    try {
      answers = await this.#deps.settle(batch.map((item) => this.#settlementOf(item)));
    } catch (error) {
      this.#deps.onError(error);
      return batch;
    }
    const operations = batch.reduce((sum, item, i) => sum + this.#written(item, answers[i]), 0);
    this.#attempt(() => this.#deps.onBatch(operations));
    return [];
  }

  #settlementOf({ queue, finals, retries, settledBefore }: Pending): Settlement {
    const { shard, epoch } = queue.shard;
    return { shard, epoch, queue: queue.name, keep: this.#deps.keepOf(queue), finals, retries, settledBefore };
  }

  /** How many operations of it were written. */
  #written({ queue, finals, retries, settledBefore, whenWritten }: Pending, answer: 'ok' | 'lost' | undefined): number {
    if (queue.shard.isGone) return 0;
    if (answer === 'lost') {
      this.#attempt(() => this.#deps.onLost(queue));
      return 0;
    }
    // Lanes go on first: what they leave behind is room for the next entries.
    for (const goOn of whenWritten) this.#attempt(goOn);
    this.#attempt(() => this.#deps.onWritten(queue, { finals, settledBefore: settledBefore.length }));
    return finals.length + retries.length + settledBefore.length;
  }

  /** What is written stays written, whatever comes of it here: nobody may be told of it twice. */
  #attempt(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#deps.onBug(error);
    }
  }

  /** What could not be written goes before what came meanwhile. */
  #putBack(failed: readonly Pending[]): void {
    for (const item of failed) {
      const newer = this.#pending.get(item.queue);
      if (newer) {
        item.finals.push(...newer.finals);
        item.retries.push(...newer.retries);
        item.settledBefore.push(...newer.settledBefore);
        item.whenWritten.push(...newer.whenWritten);
      }
      this.#pending.set(item.queue, item);
    }
  }
}

function inBatches(items: readonly Pending[]): Pending[][] {
  const batches: Pending[][] = [];
  let room = 0;
  for (const item of items) {
    if (room <= 0) {
      batches.push([]);
      room = batchOperations;
    }
    batches.at(-1)?.push(item);
    room -= item.finals.length + item.retries.length + item.settledBefore.length;
  }
  return batches;
}
