/**
 * What ends a wait early: its caller hangs up, or the process shuts down. The signal of the process gets one listener, whatever waits: with
 * one for each wait, Node warns of a leak at the eleventh and walks through all of them at every wait. Rejected: `AbortSignal.any`, which
 * keeps every signal it made alive as long as the long-lived one (Node 20).
 */
import { setMaxListeners } from 'node:events';

export interface WaitSignal {
  readonly signal: AbortSignal;
  /** Has to be called when the wait is over. */
  release(): void;
}

export function createWaitSignals(stopping: AbortSignal): (request: AbortSignal) => WaitSignal {
  const waits = new Set<AbortController>();
  stopping.addEventListener('abort', () => {
    for (const wait of waits) wait.abort();
  });
  return (request) => {
    const wait = new AbortController();
    // One request may wait for many operations at once.
    setMaxListeners(0, wait.signal);
    const abort = () => wait.abort();
    waits.add(wait);
    request.addEventListener('abort', abort);
    if (stopping.aborted || request.aborted) abort();
    return {
      signal: wait.signal,
      release() {
        waits.delete(wait);
        request.removeEventListener('abort', abort);
      },
    };
  };
}
