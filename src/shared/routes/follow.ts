/**
 * A process's own copy of the routes, kept up to date while it runs. Routes are few and small, so a change means reading all of them anew
 * (opening only the texts that are new). Changes are announced on a channel; announcements can be lost, so `tick()`, called about once
 * a second, compares the count of changes with the one of the last reading.
 * What always holds: readings follow one another, so an older one never replaces a newer one; while Redis cannot be reached the last
 * copy stays.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import type { Route } from './route.ts';
import { inOrder, type RouteStore, type StoredRoute } from './store.ts';

export interface RouteDirectory {
  /** One round. The first subscribes and reads everything. `unreachable`: the last copy stays. */
  tick(): Promise<'unchanged' | 'reloaded' | 'unreachable'>;
  stop(): Promise<void>;
  /** In the order they are asked; the same list until something changes. */
  all(): readonly Route[];
}

export interface RouteDirectoryDeps {
  readonly store: Pick<RouteStore, 'readTexts' | 'countChanges' | 'open'>;
  /** A connection that carries nothing but subscriptions; it subscribes again by itself after a reconnect. */
  readonly subscriber: Pick<RedisClient, 'subscribe' | 'unsubscribe' | 'on' | 'off'>;
  readonly keys: Pick<Keys, 'routesChanged'>;
}

export function createRouteDirectory({ store, subscriber, keys }: RouteDirectoryDeps): RouteDirectory {
  let opened = new Map<string, { text: string; stored: StoredRoute }>();
  let routes: readonly Route[] = [];
  let comparedChanges = -1;
  let isSubscribed = false;
  let lastRound: Promise<unknown> = Promise.resolve();
  let waiting: ReturnType<RouteDirectory['tick']> | undefined;

  async function readAll(): Promise<void> {
    const { changes, texts } = await store.readTexts();
    opened = new Map(
      [...texts].map(([name, text]) => {
        const known = opened.get(name);
        return [name, known?.text === text ? known : { text, stored: store.open(name, text) }];
      }),
    );
    routes = inOrder([...opened.values()].map(({ stored }) => stored)).flatMap((stored) => (stored.status === 'ready' ? stored.route : []));
    comparedChanges = changes;
  }

  function onMessage(channel: string): void {
    if (channel === keys.routesChanged) void tick();
  }

  async function subscribe(): Promise<void> {
    if (isSubscribed) return;
    subscriber.off('message', onMessage);
    subscriber.on('message', onMessage);
    await subscriber.subscribe(keys.routesChanged);
    isSubscribed = true;
  }

  async function compare(): Promise<'unchanged' | 'reloaded'> {
    await subscribe();
    if ((await store.countChanges()) === comparedChanges) return 'unchanged';
    await readAll();
    return 'reloaded';
  }

  /** One round at a time; those that are asked for before the next one begins share it. */
  function tick(): ReturnType<RouteDirectory['tick']> {
    waiting ??= lastRound.then(() => {
      waiting = undefined;
      const round = compare().catch(() => 'unreachable' as const);
      lastRound = round;
      return round;
    });
    return waiting;
  }

  return {
    tick,
    async stop() {
      subscriber.off('message', onMessage);
      await subscriber.unsubscribe(keys.routesChanged).catch(() => {});
      isSubscribed = false;
      await lastRound;
    },
    all: () => routes,
  };
}
