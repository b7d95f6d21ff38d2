import { setTimeout as delay } from 'node:timers/promises';

/**
 * Repeats `attempt` until it neither throws nor returns false, and gives its result. The default limit is generous: it says when a
 * test has failed, never how fast the machine has to be.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 20_000, intervalMs = 20 }: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      const result = await attempt();
      if (result !== false) return result as Exclude<T, false>;
      if (performance.now() > deadline) throw new Error('still false');
    } catch (cause) {
      if (performance.now() > deadline) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`not so after ${timeoutMs} ms: ${reason}`, { cause });
      }
    }
    await delay(intervalMs);
  }
}
