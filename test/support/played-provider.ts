/** What a provider was asked, and answers that a test gives when it likes. */
import type { Call, CallOutcome } from '../../src/worker/providers/provider.ts';
import { accepted, type Bench, type PlayedWorker, type WorkerOptions } from './engine.ts';
import { eventually } from './eventually.ts';

export interface PlayedCall {
  readonly calls: readonly Call[];
  readonly startedAt: number;
  end(outcomes?: readonly CallOutcome[]): void;
}

export interface PlayedProvider {
  /** Every call, in the order they came. */
  readonly seen: PlayedCall[];
  /** The single operations in them. */
  readonly operations: readonly Call[];
  /** Records that were ever in two calls at once. */
  readonly overlaps: readonly string[];
  readonly underWay: number;
  /** Calls wait for `end` while this holds; they are accepted otherwise. */
  holds: (call: Call) => boolean;
  answers: (call: Call) => CallOutcome;
  answer(calls: readonly Call[]): Promise<readonly CallOutcome[]>;
  /** Waits until so many calls have come. */
  calls(count: number): Promise<readonly PlayedCall[]>;
}

export function createPlayedProvider(part: Partial<Pick<PlayedProvider, 'holds' | 'answers'>> = {}): PlayedProvider {
  const seen: PlayedCall[] = [];
  const open = new Map<string, number>();
  const overlaps: string[] = [];
  const provider: PlayedProvider = {
    seen,
    overlaps,
    holds: () => false,
    answers: () => accepted,
    get operations() {
      return seen.flatMap(({ calls }) => calls);
    },
    get underWay() {
      return [...open.values()].reduce((a, b) => a + b, 0);
    },
    answer(calls) {
      return new Promise((resolve) => {
        for (const { recordId } of calls) {
          open.set(recordId, (open.get(recordId) ?? 0) + 1);
          if ((open.get(recordId) as number) > 1) overlaps.push(recordId);
        }
        const end = (outcomes?: readonly CallOutcome[]) => {
          for (const { recordId } of calls) open.set(recordId, (open.get(recordId) as number) - 1);
          resolve(outcomes ?? calls.map((call) => provider.answers(call)));
        };
        seen.push({ calls, startedAt: Date.now(), end });
        if (!calls.some((call) => provider.holds(call))) end();
      });
    },
    calls: (count) => eventually(() => seen.length >= count && seen, { intervalMs: 2 }),
    ...part,
  };
  return provider;
}

/** A worker whose calls the provider gets; a worker that crashes hangs for ever on what it holds. */
export function startWith(bench: Bench, provider: PlayedProvider, options: Partial<WorkerOptions> = {}): PlayedWorker {
  return bench.startWorker({ answer: provider.answer, ...options });
}
