/**
 * Keeps a process's copy of something in Redis up to date. Changes are counted, and announced on a channel; announcements can be lost, so
 * `tick()`, called about once a second, compares the count with the one of the last full reading, and reads everything again where they
 * differ.
 * What always holds: readings follow one another, so an older one never replaces a newer one; while Redis cannot be reached the last copy
 * stays.
 */

/** The part of an ioredis connection in subscriber mode that is used here; it subscribes again by itself after a reconnect. */
export interface Subscriber {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  off(event: 'message', listener: (channel: string, message: string) => void): unknown;
}

export interface ChangeWatch {
  /** Subscribes and reads everything. Throws when Redis cannot be reached. */
  start(): Promise<void>;
  /** One round of the safety net; those that are asked for before the next one begins share it. `unreachable`: the last copy stays. */
  tick(): Promise<'unchanged' | 'reloaded' | 'unreachable'>;
  /** One reading at a time, in the order they are asked for. */
  inTurn<T>(read: () => Promise<T>): Promise<T>;
  /** For good: what reads afterwards reads, and follows nothing. */
  stop(): Promise<void>;
}

export interface ChangeWatchOptions {
  readonly subscriber: Subscriber;
  readonly channel: string;
  onAnnounced(message: string): void;
  countChanges(): Promise<number>;
  /** Replaces the copy. Returns the count of changes that it holds. */
  readAll(): Promise<number>;
}

export function createChangeWatch({ subscriber, channel, onAnnounced, countChanges, readAll }: ChangeWatchOptions): ChangeWatch {
  let readChanges = -1;
  let isSubscribed = false;
  let hasStopped = false;
  let lastReading: Promise<unknown> = Promise.resolve();
  let nextRound: ReturnType<ChangeWatch['tick']> | undefined;

  function inTurn<T>(read: () => Promise<T>): Promise<T> {
    const reading = lastReading.then(read);
    lastReading = reading.catch(() => {});
    return reading;
  }

  const onMessage = (from: string, message: string): void => {
    if (from === channel) onAnnounced(message);
  };

  async function subscribe(): Promise<void> {
    // A reading that was still waiting for its turn when the watch was stopped must not follow the channel again.
    if (isSubscribed || hasStopped) return;
    subscriber.off('message', onMessage);
    subscriber.on('message', onMessage);
    await subscriber.subscribe(channel);
    isSubscribed = true;
  }

  /** First the channel, then the reading: a change in between is announced. */
  async function compare(): Promise<'unchanged' | 'reloaded'> {
    nextRound = undefined;
    await subscribe();
    if ((await countChanges()) === readChanges) return 'unchanged';
    readChanges = await readAll();
    return 'reloaded';
  }

  return {
    async start() {
      await inTurn(compare);
    },
    tick() {
      nextRound ??= inTurn(compare).catch(() => 'unreachable' as const);
      return nextRound;
    },
    inTurn,
    async stop() {
      hasStopped = true;
      subscriber.off('message', onMessage);
      await subscriber.unsubscribe(channel).catch(() => {});
      isSubscribed = false;
      await lastReading;
    },
  };
}
