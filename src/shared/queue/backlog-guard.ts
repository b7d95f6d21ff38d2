/**
 * The bound on what a provider may have waiting, kept at the door. Every reply of enqueue tells a queue's count, so the sum that an API
 * knows is exact for what it sent and lags for what others sent or workers finished; before anything is refused the
 * counts are read anew. Several APIs at once may pass the bound by what they have under way in that moment.
 */
import { parseQueueName } from '../domain/operation.ts';

export interface QueueCounts {
  readonly open: number;
  readonly deadLetters: number;
}

export interface BacklogGuard {
  /** Takes a place for one operation, by what is known now. */
  tryEnter(provider: string): boolean;
  /** The same after reading the counts anew (at most every `refreshMs`). */
  enterAfterRefresh(provider: string): Promise<boolean>;
  /** Gives places back that were not used. */
  leave(queue: string, places: number): void;
  /** What Redis said after `places` operations were written. */
  learn(shard: number, queue: string, counts: QueueCounts, places: number): void;
}

export interface BacklogGuardDeps {
  readonly maxBacklog: number;
  readonly maxDeadLetters: number;
  /** All queues of a provider, as `shard queue` to counts. */
  readCounts(provider: string): Promise<ReadonlyMap<string, QueueCounts>>;
  now(): number;
}

const refreshMs = 50;

interface Known {
  queues: Map<string, QueueCounts>;
  open: number;
  deadLetters: number;
  entering: number;
  readAt: number;
  reading: Promise<void> | undefined;
  /** What was learnt while a reading was under way: newer than what it read. */
  learntMeanwhile: Map<string, QueueCounts>;
}

export function createBacklogGuard({ maxBacklog, maxDeadLetters, readCounts, now }: BacklogGuardDeps): BacklogGuard {
  const providers = new Map<string, Known>();

  const knownOf = (provider: string): Known => {
    let known = providers.get(provider);
    if (!known) {
      known = {
        queues: new Map(),
        open: 0,
        deadLetters: 0,
        entering: 0,
        readAt: Number.NEGATIVE_INFINITY,
        reading: undefined,
        learntMeanwhile: new Map(),
      };
      providers.set(provider, known);
    }
    return known;
  };

  const set = (known: Known, name: string, counts: QueueCounts) => {
    const before = known.queues.get(name);
    known.open += counts.open - (before?.open ?? 0);
    known.deadLetters += counts.deadLetters - (before?.deadLetters ?? 0);
    known.queues.set(name, counts);
  };

  const refresh = async (provider: string, known: Known) => {
    known.learntMeanwhile = new Map();
    const counts = await readCounts(provider);
    known.queues = new Map();
    known.open = 0;
    known.deadLetters = 0;
    for (const [name, count] of [...counts, ...known.learntMeanwhile]) set(known, name, count);
    known.readAt = now();
  };

  const tryEnter = (provider: string) => {
    const known = knownOf(provider);
    if (known.open + known.entering >= maxBacklog || known.deadLetters >= maxDeadLetters) return false;
    known.entering++;
    return true;
  };

  return {
    tryEnter,
    async enterAfterRefresh(provider) {
      const known = knownOf(provider);
      if (now() - known.readAt >= refreshMs) {
        known.reading ??= refresh(provider, known).finally(() => {
          known.reading = undefined;
        });
        await known.reading;
      }
      return tryEnter(provider);
    },
    leave(queue, places) {
      knownOf(parseQueueName(queue).provider).entering -= places;
    },
    learn(shard, queue, counts, places) {
      const known = knownOf(parseQueueName(queue).provider);
      known.entering -= places;
      set(known, `${shard} ${queue}`, counts);
      if (known.reading) known.learntMeanwhile.set(`${shard} ${queue}`, counts);
    },
  };
}
