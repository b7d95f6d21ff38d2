/**
 * Routes in Redis: one hash, a field for each. Every change goes through a script that compares versions, counts the change and announces
 * it. A route that cannot be read (damaged, or with a filter that is no longer accepted) is listed with the reason and matches nothing.
 */
import type { FieldError } from '../domain/field-error.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import {
  type Conflict,
  createVersionedRecords,
  parseRecord,
  type Removed,
  type Stamps,
  versionOf,
  type WriteOptions,
} from '../redis/versioned-records.ts';
import { maxRoutes, type ParsedRoute, parseRoute, type Route, type RouteWire, routeNameShape } from './route.ts';
import type { CompileRule } from './rule.ts';

export type RouteView = RouteWire & Stamps;

export type StoredRoute =
  | { readonly status: 'ready'; readonly name: string; readonly version: number; readonly route: Route; readonly view: RouteView }
  | { readonly status: 'unreadable'; readonly name: string; readonly version: number; readonly reason: string };

export type WrittenRoute =
  | { readonly status: 'created' | 'replaced'; readonly route: StoredRoute }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] }
  /** The name is taken, or `ifVersion` is not the stored version; 0: there is no such route. */
  | Conflict
  /** There are `maxRoutes` already. */
  | { readonly status: 'full' };

export interface WriteRouteOptions extends WriteOptions {
  readonly isProvider: (name: string) => boolean;
}

export interface RouteStoreDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly compileRule: CompileRule;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

export type RouteStore = ReturnType<typeof createRouteStore>;

interface Content {
  readonly route: RouteWire;
}

export function createRouteStore({ redis, keys, compileRule, now }: RouteStoreDeps) {
  const records = createVersionedRecords({ redis, key: keys.routes, channel: keys.routesChanged, now });
  const readText = async (name: string): Promise<string | undefined> => (routeNameShape.test(name) ? records.read(name) : undefined);

  /** Never throws: what cannot be read says why. */
  function open(name: string, text: string): StoredRoute {
    const record = parseRecord<Content>(text, 'route');
    if (!record) return { status: 'unreadable', name, version: versionOf(text), reason: 'the stored route is damaged' };
    const { version, created_at, updated_at } = record;
    const parsed = parseRoute(record.route, compileRule);
    if (parsed.status === 'invalid') {
      const [first] = parsed.errors;
      return { status: 'unreadable', name, version, reason: `the stored route is not valid: ${first?.path} ${first?.message}` };
    }
    return { status: 'ready', name, version, route: parsed.route, view: { ...parsed.wire, version, created_at, updated_at } };
  }

  function check(input: unknown, { isProvider }: WriteRouteOptions): ParsedRoute {
    const parsed = parseRoute(input, compileRule);
    if (parsed.status === 'invalid') return parsed;
    const errors = parsed.wire.providers.flatMap((provider, at) =>
      isProvider(provider) ? [] : [{ path: `providers.${at}`, message: 'no provider of this name is registered' }],
    );
    return errors.length > 0 ? { status: 'invalid', errors } : parsed;
  }

  async function write(name: string, input: unknown, before: string | undefined, options: WriteRouteOptions): Promise<WrittenRoute> {
    const parsed = check(input, options);
    if (parsed.status === 'invalid') return parsed;
    const content: Content = { route: parsed.wire };
    const written = await records.write(name, before === undefined ? undefined : stampsOf(before), content, { maxRecords: maxRoutes });
    if (written.status === 'written') return { status: before === undefined ? 'created' : 'replaced', route: open(name, written.text) };
    return written.status === 'conflict' ? written : { status: 'full' };
  }

  return {
    open,
    readTexts: records.readAll,
    countChanges: records.countChanges,

    /** In the order they are asked; unreadable ones last. */
    async list(): Promise<StoredRoute[]> {
      const { texts } = await records.readAll();
      return inOrder([...texts].map(([name, text]) => open(name, text)));
    },

    async get(name: string): Promise<StoredRoute | undefined> {
      const text = await readText(name);
      return text === undefined ? undefined : open(name, text);
    },

    /** A route as it would be stored. */
    draft(input: unknown, options: WriteRouteOptions): { status: 'drafted'; route: StoredRoute } | (ParsedRoute & { status: 'invalid' }) {
      const parsed = check(input, options);
      if (parsed.status === 'invalid') return parsed;
      const { route, wire } = parsed;
      const view = { ...wire, version: 0, created_at: '', updated_at: '' };
      return { status: 'drafted', route: { status: 'ready', name: wire.name, version: 0, route, view } };
    },

    /** `conflict` when the name is taken. */
    async create(input: unknown, options: WriteRouteOptions): Promise<WrittenRoute> {
      const name = nameOf(input);
      const before = await readText(name);
      if (before !== undefined) return { status: 'conflict', version: versionOf(before) };
      return write(name, input, undefined, options);
    },

    /** Creates or replaces; the name is the path's, whatever the body says. */
    async put(name: string, input: unknown, options: WriteRouteOptions): Promise<WrittenRoute> {
      const attempt = (before: string | undefined) => write(name, isFields(input) ? { ...input, name } : input, before, options);
      return routeNameShape.test(name) ? records.change(name, options, attempt) : attempt(undefined);
    },

    async remove(name: string, options: WriteOptions = {}): Promise<Removed> {
      if (!routeNameShape.test(name)) return { status: 'not_found' };
      const removed = await records.remove(name, options);
      if (removed.status === 'conflict') return removed;
      return { status: removed.status === 'removed' ? 'removed' : 'not_found' };
    },
  };
}

/** As they are asked: by position, then by name. */
export function inOrder(routes: readonly StoredRoute[]): StoredRoute[] {
  const positionOf = (stored: StoredRoute) => (stored.status === 'ready' ? stored.route.position : Number.POSITIVE_INFINITY);
  return [...routes].sort((a, b) => {
    const [first, second] = [positionOf(a), positionOf(b)];
    return first === second ? (a.name < b.name ? -1 : 1) : first - second;
  });
}

/** Of a damaged text too, so that it can be replaced. */
function stampsOf(text: string) {
  return { version: versionOf(text), created_at: parseRecord<Content>(text, 'route')?.created_at };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** '' where there is no proper name: then nothing is found, and checking says what is wrong. */
function nameOf(input: unknown): string {
  const name = isFields(input) ? input['name'] : undefined;
  return typeof name === 'string' && routeNameShape.test(name) ? name : '';
}
