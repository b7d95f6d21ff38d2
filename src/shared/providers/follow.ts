/**
 * A process's own copy of the providers' configurations, kept up to date while it runs. A change is announced on a channel, and only
 * what changed is loaded then. Announcements can be lost, so `tick()`, called about once a second, compares the count of changes
 * with the one of the last full reading, and reads everything again where they differ (opening only the texts that are new).
 * What always holds: readings follow one another, so an older one never replaces a newer one; while Redis cannot be reached the last
 * copy stays; a provider that cannot be read is known by name and has no configuration.
 */
import type { Keys } from '../redis/keys.ts';
import type { ProviderConfig } from './config.ts';
import type { ProviderStore } from './store.ts';

/** The part of an ioredis connection in subscriber mode that is used here; it subscribes again by itself after a reconnect. */
export interface Subscriber {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  off(event: 'message', listener: (channel: string, message: string) => void): unknown;
}

/** `before` undefined: new, or readable again. `after` undefined: gone, or no longer readable. */
export interface ProviderChange {
  readonly name: string;
  readonly before: ProviderConfig | undefined;
  readonly after: ProviderConfig | undefined;
}

export interface ProviderDirectory {
  /** Subscribes and reads everything. Throws when Redis cannot be reached. */
  start(): Promise<void>;
  /** One round of the safety net. `unreachable`: the last copy stays. */
  tick(): Promise<'unchanged' | 'reloaded' | 'unreachable'>;
  stop(): Promise<void>;
  get(name: string): ProviderConfig | undefined;
  /** Registered, readable or not. */
  has(name: string): boolean;
  all(): readonly ProviderConfig[];
  /** Why registered providers have no configuration here, by name. */
  problems(): ReadonlyMap<string, string>;
  /** Loads one provider now; for a process that has just changed it itself. */
  refresh(name: string): Promise<void>;
  /** Called after the copy has changed. Returns what ends it. */
  onChange(listener: (change: ProviderChange) => void): () => void;
}

interface Entry {
  readonly text: string;
  readonly config: ProviderConfig | undefined;
  readonly problem: string | undefined;
}

export function createProviderDirectory(deps: { store: ProviderStore; subscriber: Subscriber; keys: Keys }): ProviderDirectory {
  const { store, subscriber, keys } = deps;
  const entries = new Map<string, Entry>();
  const listeners = new Set<(change: ProviderChange) => void>();
  const announced = new Set<string>();
  let comparedChanges = -1;
  let configs: readonly ProviderConfig[] | undefined;
  let lastReading: Promise<unknown> = Promise.resolve();
  let isSubscribed = false;

  /** One reading at a time, in order. */
  function inTurn<T>(read: () => Promise<T>): Promise<T> {
    const reading = lastReading.then(read);
    lastReading = reading.catch(() => {});
    return reading;
  }

  function apply(name: string, text: string | undefined): void {
    const old = entries.get(name);
    if (old?.text === text) return;
    if (text === undefined) entries.delete(name);
    else entries.set(name, toEntry(name, text));
    configs = undefined;
    const change = { name, before: old?.config, after: entries.get(name)?.config };
    for (const listener of [...listeners]) listener(change);
  }

  function toEntry(name: string, text: string): Entry {
    const stored = store.open(name, text);
    if (stored.status === 'ready') return { text, config: stored.config, problem: undefined };
    return { text, config: undefined, problem: stored.reason };
  }

  async function readAll(): Promise<void> {
    const { changes, texts } = await store.readTexts();
    for (const name of [...entries.keys()]) if (!texts.has(name)) apply(name, undefined);
    for (const [name, text] of texts) apply(name, text);
    comparedChanges = changes;
  }

  async function readAnnounced(): Promise<void> {
    const names = [...announced];
    announced.clear();
    const texts = await Promise.all(names.map((name) => store.readText(name)));
    for (const [index, name] of names.entries()) apply(name, texts[index]);
  }

  function onMessage(channel: string, name: string): void {
    if (channel !== keys.providersChanged) return;
    announced.add(name);
    // The first of several announcements reads for all of them; a failure is left to the next tick.
    if (announced.size === 1) inTurn(readAnnounced).catch(() => {});
  }

  async function subscribe(): Promise<void> {
    if (isSubscribed) return;
    subscriber.off('message', onMessage);
    subscriber.on('message', onMessage);
    await subscriber.subscribe(keys.providersChanged);
    isSubscribed = true;
  }

  async function compare(): Promise<'unchanged' | 'reloaded'> {
    await subscribe();
    if ((await store.countChanges()) === comparedChanges) return 'unchanged';
    await readAll();
    return 'reloaded';
  }

  return {
    async start() {
      // First the channel, then the reading: a change in between is announced.
      await subscribe();
      await inTurn(readAll);
    },
    tick: () => inTurn(compare).catch(() => 'unreachable' as const),
    async stop() {
      subscriber.off('message', onMessage);
      await subscriber.unsubscribe(keys.providersChanged).catch(() => {});
      isSubscribed = false;
      await lastReading;
    },
    get: (name) => entries.get(name)?.config,
    has: (name) => entries.has(name),
    all() {
      configs ??= [...entries.values()].flatMap((entry) => entry.config ?? []);
      return configs;
    },
    problems: () => new Map([...entries].flatMap(([name, { problem }]) => (problem === undefined ? [] : [[name, problem] as const]))),
    refresh: (name) => inTurn(async () => apply(name, await store.readText(name))),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
