/**
 * Large bodies are worked on a few at a time, in the order of their coming. Parsed, operations take several times the memory of their text, and as
 * objects they would only wait side by side for the next call to Redis, through one garbage collection after the other.
 */
import { ProblemError } from '../shared/domain/problem.ts';

export type InTurn = <T>(bytes: number, work: () => Promise<T>) => Promise<T>;

export interface InTurnDeps {
  /** Of bodies that are worked on at once; but always one. */
  readonly maxBytes: number;
  /** Who has waited for longer while no work has succeeded is refused: those before it hang or fail, and it would, too. */
  readonly maxWaitMs: number;
  /** Monotonic, ms. */
  readonly now: () => number;
}

export function createInTurn({ maxBytes, maxWaitMs, now }: InTurnDeps): InTurn {
  const waiting: { readonly bytes: number; readonly begin: () => void }[] = [];
  let underWay = 0;
  let hasBegun = false;
  let succeededAt = Number.NEGATIVE_INFINITY;
  /** One in a turn of the event loop: what the one before has made of its body is on its way to Redis meanwhile. */
  const beginNext = () => {
    const [next] = waiting;
    if (!next || hasBegun || (underWay > 0 && underWay + next.bytes > maxBytes)) return;
    waiting.shift();
    underWay += next.bytes;
    hasBegun = true;
    setImmediate(() => {
      hasBegun = false;
      beginNext();
    });
    next.begin();
  };
  return async (bytes, work) => {
    const cameAt = now();
    await new Promise<void>((begin) => {
      waiting.push({ bytes, begin });
      beginNext();
    });
    try {
      if (now() - Math.max(cameAt, succeededAt) > maxWaitMs)
        throw new ProblemError('unavailable', { detail: 'too many large bodies at once' });
      const done = await work();
      succeededAt = now();
      return done;
    } finally {
      underWay -= bytes;
      beginNext();
    }
  };
}
