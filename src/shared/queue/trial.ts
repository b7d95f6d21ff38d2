/** What must survive an owner about a pending entry: attempts made, when the next is due, what went wrong, and what was sent. */
import type { ErrorView } from './result.ts';

export interface Trial {
  readonly attempts: number;
  /** When the next attempt is due, epoch ms; 0 while one is under way. */
  readonly dueAtMs: number;
  readonly error: ErrorView | undefined;
  /** Epoch of the owner that was about to call when this was written; 0 when the attempt's end is known. */
  readonly startedIn: number;
  /** Rank of the last operation that went in the same call, where the call must be repeated exactly. */
  readonly sealedTo: number;
  /** An attempt may have been carried out that nobody knows the end of. */
  readonly isInDoubt?: boolean;
}

export interface WrittenTrial extends Trial {
  /** Epoch of the owner that wrote it; 1 where that is not known. */
  readonly writtenIn: number;
}

type Packed = readonly [
  attempts: number,
  dueAtMs: number,
  startedIn: number,
  sealedTo: number,
  error?: readonly [string, string, 0 | 1, number | null] | null,
  isInDoubt?: 1 | null,
  writtenIn?: number,
];

/** `epoch`: that of the owner that writes it. */
export function packTrial({ attempts, dueAtMs, error, startedIn, sealedTo, isInDoubt }: Trial, epoch: number): string {
  const packed: unknown[] = [attempts, dueAtMs, startedIn, sealedTo];
  if (error) packed.push([error.code, error.message, error.retryable ? 1 : 0, error.providerStatus ?? null]);
  if (isInDoubt) packed[5] = 1;
  packed[6] = epoch;
  return JSON.stringify(packed);
}

export function parseTrial(text: string): WrittenTrial {
  const [attempts, dueAtMs, startedIn, sealedTo, error, isInDoubt, writtenIn] = JSON.parse(text) as Packed;
  return {
    attempts,
    dueAtMs,
    startedIn,
    sealedTo,
    error: error
      ? { code: error[0], message: error[1], retryable: error[2] === 1, ...(error[3] === null ? {} : { providerStatus: error[3] }) }
      : undefined,
    ...(isInDoubt ? { isInDoubt: true } : {}),
    // A former version wrote an epoch only before a call.
    writtenIn: writtenIn ?? Math.max(1, startedIn),
  };
}
