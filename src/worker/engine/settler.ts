/**
 * Collects what is to be written about finished attempts, and writes it many at a time. A batch whose answer was lost is written
 * again: the script may run twice. While Redis is away nothing is forgotten, and nothing more is called.
 */
import type { FinalSettlement, RetrySettlement, Settle, SettledEntry } from '../../shared/queue/settle.ts';
import type { QueueState } from './shard-state.ts';

/** Long enough to gather a batch at full speed, short enough not to be felt by a record with a queue of its own. */
const gatherMs = 2;
const retryAfterErrorMs = 100;

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
  #isWriting = false;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  add(queue: QueueState, { finals = [], retries = [], settledBefore = [], whenWritten }: SettlerItem): void {
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
    this.#schedule(gatherMs);
  }

  /** Whether anything of the shard is not written yet. */
  isBusyWith(shard: QueueState['shard']): boolean {
    for (const queue of this.#pending.keys()) if (queue.shard === shard) return true;
    return this.#writing.some(({ queue }) => queue.shard === shard);
  }

  /** Writes what has gathered: one round. */
  async tick(): Promise<void> {
    if (this.#isWriting || this.#pending.size === 0) return;
    this.#isWriting = true;
    this.#writing = [...this.#pending.values()];
    this.#pending = new Map();
    try {
      await this.#write(this.#writing.filter(({ queue }) => !queue.shard.isGone));
      this.#writing = [];
      this.#isWriting = false;
      if (this.#pending.size > 0) this.#schedule(0);
    } catch (error) {
      this.#deps.onError(error);
      this.#putBack();
      this.#isWriting = false;
      this.#schedule(retryAfterErrorMs);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #schedule(afterMs: number): void {
    if (this.#timer || this.#isWriting) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.tick();
    }, afterMs);
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const answers = await this.#deps.settle(
      batch.map(({ queue, finals, retries, settledBefore }) => ({
        shard: queue.shard.shard,
        epoch: queue.shard.epoch,
        queue: queue.name,
        keep: this.#deps.keepOf(queue),
        finals,
        retries,
        settledBefore,
      })),
    );
    let operations = 0;
    batch.forEach(({ queue, finals, retries, settledBefore, whenWritten }, i) => {
      if (answers[i] === 'lost') return this.#deps.onLost(queue);
      if (queue.shard.isGone) return;
      operations += finals.length + retries.length + settledBefore.length;
      // Lanes go on first: what they leave behind is room for the next entries.
      for (const call of whenWritten) call();
      this.#deps.onWritten(queue, { finals, settledBefore: settledBefore.length });
    });
    this.#deps.onBatch(operations);
  }

  /** What could not be written goes before what came meanwhile. */
  #putBack(): void {
    for (const item of this.#writing) {
      const newer = this.#pending.get(item.queue);
      if (newer) {
        item.finals.push(...newer.finals);
        item.retries.push(...newer.retries);
        item.settledBefore.push(...newer.settledBefore);
        item.whenWritten.push(...newer.whenWritten);
      }
      this.#pending.set(item.queue, item);
    }
    this.#writing = [];
  }
}
