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

/** What has gathered for a queue. */
interface Pending {
  readonly queue: QueueState;
  readonly items: SettlerItem[];
}

export interface SettlerDeps {
  readonly settle: Settle;
  /** Shards that may share a script call have the same. */
  slotOf(shard: number): number;
  /** How much history a queue keeps, entries. */
  keepOf(queue: QueueState): number;
  onWritten(queue: QueueState, written: readonly SettlerItem[]): void;
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
  /** By slot: a node of a cluster that hangs holds up no other's. */
  readonly #writers = new Map<number, Writer>();
  #isClosed = false;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  add(queue: QueueState, item: SettlerItem): void {
    if (!queue.shard.isGone && !this.#isClosed) this.#writerOf(queue.shard).add(queue, item);
  }

  /** Whether anything of the shard is not written yet. */
  isBusyWith(shard: QueueState['shard']): boolean {
    return this.#writerOf(shard).isBusyWith((queue) => queue.shard === shard);
  }

  isBusyWithQueue(queue: QueueState): boolean {
    return this.#writerOf(queue.shard).isBusyWith((other) => other === queue);
  }

  /** Writes what has gathered: one round. */
  async tick(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.tick()));
  }

  close(): void {
    this.#isClosed = true;
    for (const writer of this.#writers.values()) writer.close();
  }

  #writerOf({ shard }: QueueState['shard']): Writer {
    const slot = this.#deps.slotOf(shard);
    let writer = this.#writers.get(slot);
    if (!writer) {
      writer = new Writer(this.#deps);
      this.#writers.set(slot, writer);
    }
    return writer;
  }
}

/** Of the queues that may share a script call. */
class Writer {
  readonly #deps: SettlerDeps;
  #pending = new Map<QueueState, Pending>();
  #writing: Pending[] = [];
  /** Queues that could not be written: each goes by itself, after a while, so that one that never can be holds up no other. */
  #failed = new Map<QueueState, Pending>();
  #retrying = new Map<QueueState, Pending>();
  #timer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #gathered = 0;
  #isWriting = false;
  #isClosed = false;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  add(queue: QueueState, item: SettlerItem): void {
    // What came before it is to be written first.
    if (this.#failed.has(queue) || this.#retrying.has(queue)) return append(this.#failed, queue, [item]);
    append(this.#pending, queue, [item]);
    this.#gathered += sizeOf(item);
    if (this.#gathered >= gatherOperations) this.#scheduleAtOnce();
    else this.#schedule(gatherMs);
  }

  isBusyWith(isMeant: (queue: QueueState) => boolean): boolean {
    for (const waiting of [this.#pending, this.#failed, this.#retrying])
      for (const queue of waiting.keys()) if (isMeant(queue)) return true;
    return this.#writing.some(({ queue }) => isMeant(queue));
  }

  async tick(): Promise<void> {
    if (this.#isWriting || this.#pending.size === 0) return;
    this.#isWriting = true;
    this.#writing = [...this.#pending.values()].filter(({ queue }) => !queue.shard.isGone);
    this.#pending = new Map();
    this.#gathered = 0;
    const failed = (await Promise.all(inBatches(this.#writing).map((batch) => this.#tryToWrite(batch)))).flat();
    this.#writing = [];
    this.#isWriting = false;
    for (const item of failed) {
      this.#failed.set(item.queue, item);
      // It came meanwhile.
      append(this.#failed, item.queue, this.#pending.get(item.queue)?.items ?? none);
      this.#pending.delete(item.queue);
    }
    if (failed.length > 0) this.#scheduleRetry();
    if (this.#pending.size > 0) this.#schedule(0);
  }

  /** One at a time. */
  async #retry(): Promise<void> {
    const tried = this.#failed;
    this.#retrying = tried;
    this.#failed = new Map();
    const alone = [...tried.values()].filter(({ queue }) => !queue.shard.isGone);
    const failed = (await Promise.all(alone.map((item) => this.#tryToWrite([item])))).flat();
    this.#retrying = new Map();
    const since = this.#failed;
    this.#failed = new Map(failed.map((item) => [item.queue, item]));
    for (const { queue, items } of since.values()) {
      if (this.#failed.has(queue) || !tried.has(queue)) append(this.#failed, queue, items);
      else for (const item of items) this.add(queue, item);
    }
    if (this.#failed.size > 0) this.#scheduleRetry();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retryTimer);
    clearImmediate(this.#immediate);
  }

  #scheduleAtOnce(): void {
    if (this.#immediate || this.#isWriting || this.#isClosed) return;
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

  #scheduleRetry(): void {
    if (this.#retryTimer || this.#retrying.size > 0 || this.#isClosed) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      void this.#retry();
    }, retryAfterErrorMs);
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

  #settlementOf({ queue, items }: Pending): Settlement {
    const { shard, epoch } = queue.shard;
    return {
      shard,
      epoch,
      queue: queue.name,
      keep: this.#deps.keepOf(queue),
      finals: gather(items, ({ finals }) => finals),
      retries: gather(items, ({ retries }) => retries),
      settledBefore: gather(items, ({ settledBefore }) => settledBefore),
    };
  }

  /** How many operations of it were written. */
  #written({ queue, items }: Pending, answer: 'ok' | 'lost' | undefined): number {
    if (queue.shard.isGone) return 0;
    if (answer === 'lost') {
      this.#attempt(() => this.#deps.onLost(queue));
      return 0;
    }
    // Lanes go on first: what they leave behind is room for the next entries.
    for (const { whenWritten } of items) if (whenWritten) this.#attempt(whenWritten);
    this.#attempt(() => this.#deps.onWritten(queue, items));
    return sizeOfAll(items);
  }

  /** What is written stays written, whatever comes of it here: nobody may be told of it twice. */
  #attempt(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#deps.onBug(error);
    }
  }
}

function append(to: Map<QueueState, Pending>, queue: QueueState, items: readonly SettlerItem[]): void {
  const pending = to.get(queue);
  // One by one: a list may be longer than what a call takes as arguments.
  if (pending) for (const item of items) pending.items.push(item);
  else to.set(queue, { queue, items: [...items] });
}

const sizeOf = ({ finals = none, retries = none, settledBefore = none }: SettlerItem): number =>
  finals.length + retries.length + settledBefore.length;
const sizeOfAll = (items: readonly SettlerItem[]): number => items.reduce((sum, item) => sum + sizeOf(item), 0);

function gather<T>(items: readonly SettlerItem[], listOf: (item: SettlerItem) => readonly T[] | undefined): readonly T[] {
  return items.length === 1 ? (listOf(items[0] as SettlerItem) ?? none) : items.flatMap((item) => listOf(item) ?? none);
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
    room -= sizeOfAll(item.items);
  }
  return batches;
}
