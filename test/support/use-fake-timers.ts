/** Timers that only the tests of a file let pass. */
import { afterEach, beforeEach, vi } from 'vitest';

/** Registers the hooks; each test has timers of its own. Without options everything that tells or waits for time is faked. */
export function useFakeTimers(options?: Parameters<typeof vi.useFakeTimers>[0]): void {
  beforeEach(() => {
    vi.useFakeTimers(options);
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}
