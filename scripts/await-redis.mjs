// @ts-check
import { setTimeout as delay } from 'node:timers/promises';

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** Said for the first time after so many tries in vain: a Redis that is just starting is not worth a word. */
const quietTries = 2;

/**
 * Waits until Redis answers. While it does not, says where it is looked for and what is wrong: once, then ever more seldom.
 * @param {object} options
 * @param {() => Promise<unknown>} options.ping rejects while Redis cannot be reached
 * @param {string} options.address for people: without credentials
 * @param {(line: string) => void} options.print
 * @param {() => boolean} options.isStopping
 * @param {(ms: number) => Promise<unknown>} [options.pause]
 * @returns {Promise<void>} settles early when the wait is to stop
 */
export async function awaitRedis({ ping, address, print, isStopping, pause = delay }) {
  let pauseMs = firstPauseMs;
  for (let tries = 1; !isStopping(); tries += 1) {
    const problem = await ping().then(
      () => undefined,
      (error) => reasonOf(error),
    );
    if (problem === undefined) return;
    const hint = tries === quietTries ? ' Waiting for it; REDIS_URL says where it is, and unset starts one here.' : '';
    if (tries >= quietTries) print(`Redis at ${address} cannot be reached: ${problem}.${hint}`);
    await pause(pauseMs);
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
  }
}

/** @param {Error & { cause?: { message?: string } }} error */
function reasonOf(error) {
  return error.cause?.message || error.message;
}
