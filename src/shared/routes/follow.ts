/**
 * A process's own copy of the routes, kept up to date while it runs. Routes are few and small, so a change means reading all of them anew
 * (opening only the texts that are new).
 */
import { type ChangeWatch, createChangeWatch, type Subscriber } from '../redis/change-watch.ts';
import type { Keys } from '../redis/keys.ts';
import type { Route } from './route.ts';
import { inOrder, type RouteStore, type StoredRoute } from './store.ts';

export interface RouteDirectory extends Pick<ChangeWatch, 'tick' | 'stop'> {
  /** In the order they are asked; the same list until something changes. */
  all(): readonly Route[];
}

export interface RouteDirectoryDeps {
  readonly store: Pick<RouteStore, 'readTexts' | 'countChanges' | 'open'>;
  readonly subscriber: Subscriber;
  readonly keys: Pick<Keys, 'routesChanged'>;
}

export function createRouteDirectory({ store, subscriber, keys }: RouteDirectoryDeps): RouteDirectory {
  let opened = new Map<string, { text: string; stored: StoredRoute }>();
  let routes: readonly Route[] = [];

  async function readAll(): Promise<number> {
    const { changes, texts } = await store.readTexts();
    opened = new Map(
      [...texts].map(([name, text]) => {
        const known = opened.get(name);
        return [name, known?.text === text ? known : { text, stored: store.open(name, text) }];
      }),
    );
    routes = inOrder([...opened.values()].map(({ stored }) => stored)).flatMap((stored) => (stored.status === 'ready' ? stored.route : []));
    return changes;
  }

  const watch = createChangeWatch({
    subscriber,
    channel: keys.routesChanged,
    onAnnounced: () => void watch.tick(),
    countChanges: () => store.countChanges(),
    readAll,
  });
  return { tick: watch.tick, stop: watch.stop, all: () => routes };
}
