/**
 * Waiting for an operation's end without asking again and again: who waits leaves the operation's name in its shard, and settling
 * announces the names it finds there.
 */
import { formatEntryId, type Place } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

/** Longer than anybody waits; names left by a process that died go away by themselves. */
const waitingTtlSeconds = 60;

export interface FinalWaiter {
  /**
   * Resolves when the operation is announced, `timeoutMs` is over or the signal aborts. `isFinal` is asked once the announcement can no longer be
   * missed, so that an end just before is seen.
   */
  wait(place: Place, options: { timeoutMs: number; signal: AbortSignal; isFinal: () => Promise<boolean> }): Promise<void>;
}

/** `subscriber` is a connection of its own: it carries nothing but subscriptions. */
export function createFinalWaiter({ redis, subscriber, keys }: { redis: RedisClient; subscriber: RedisClient; keys: Keys }): FinalWaiter {
  const waiters = new Map<string, Set<() => void>>();
  const subscribed = new Set<string>();
  subscriber.on('message', (channel: string, member: string) => {
    for (const wake of waiters.get(`${channel} ${member}`) ?? []) wake();
  });

  const announce = async (place: Place, member: string) => {
    const channel = keys.done(place.shard);
    if (!subscribed.has(channel)) {
      await subscriber.subscribe(channel);
      subscribed.add(channel);
    }
    await redis.sadd(keys.waiting(place.shard), member);
    await redis.expire(keys.waiting(place.shard), waitingTtlSeconds);
  };

  return {
    async wait(place, { timeoutMs, signal, isFinal }) {
      const member = `${place.queue} ${formatEntryId(place)}`;
      const name = `${keys.done(place.shard)} ${member}`;
      const { promise, wake } = sleep(timeoutMs, signal);
      const mine = waiters.get(name) ?? new Set();
      waiters.set(name, mine.add(wake));
      try {
        await announce(place, member);
        // An operation that is final already is never announced: its name would stay for as long as others wait here.
        if (await isFinal()) await redis.srem(keys.waiting(place.shard), member);
        else await promise;
      } finally {
        wake();
        mine.delete(wake);
        if (mine.size === 0) waiters.delete(name);
      }
    },
  };
}

function sleep(ms: number, signal: AbortSignal): { promise: Promise<void>; wake: () => void } {
  let wake = () => {};
  const promise = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
    wake = end;
  });
  return { promise, wake };
}
