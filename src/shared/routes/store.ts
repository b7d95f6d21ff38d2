/**
 * Routes in Redis: one hash, a field for each. Every change goes through a script that compares versions, counts the change and announces
 * it. A route that cannot be read (damaged, or with a filter that is no longer accepted) is listed with the reason and matches nothing.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import removeSource from './remove-route.lua';
import { type FieldError, maxRoutes, type ParsedRoute, parseRoute, type Route, type RouteWire, routeNameShape } from './route.ts';
import type { CompileRule } from './rule.ts';
import writeSource from './write-route.lua';

const writeRoute = defineScript('write-route', writeSource);
const removeRoute = defineScript('remove-route', removeSource);

export type RouteView = RouteWire & { readonly version: number; readonly created_at: string; readonly updated_at: string };

export type StoredRoute =
  | { readonly status: 'ready'; readonly name: string; readonly version: number; readonly route: Route; readonly view: RouteView }
  | { readonly status: 'unreadable'; readonly name: string; readonly version: number; readonly reason: string };

export type WrittenRoute =
  | { readonly status: 'created' | 'replaced'; readonly route: StoredRoute }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] }
  /** The name is taken, or `ifVersion` is not the stored version; 0: there is no such route. */
  | { readonly status: 'conflict'; readonly version: number }
  /** There are `maxRoutes` already. */
  | { readonly status: 'full' };

export interface WriteRouteOptions {
  readonly isProvider: (name: string) => boolean;
  /** Refuse unless this is the stored version. */
  readonly ifVersion?: number | undefined;
}

export interface RouteStoreDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly compileRule: CompileRule;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

export type RouteStore = ReturnType<typeof createRouteStore>;

/** `version` comes first: the scripts read it from the beginning of the text. */
interface StoredRecord {
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly route: RouteWire;
}

const changesField = ':version';
/** Writers meet rarely; this many lost races in a row mean something else is wrong. */
const maxRaces = 10;

export function createRouteStore({ redis, keys, compileRule, now }: RouteStoreDeps) {
  const readText = async (name: string): Promise<string | undefined> =>
    routeNameShape.test(name) ? ((await redis.hget(keys.routes, name)) ?? undefined) : undefined;

  /** Never throws: what cannot be read says why. */
  function open(name: string, text: string): StoredRoute {
    const record = parseRecord(text);
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
    const updated_at = new Date(now()).toISOString();
    const seen = before === undefined ? 0 : versionOf(before);
    const created_at = (before === undefined ? undefined : parseRecord(before)?.created_at) ?? updated_at;
    const text = JSON.stringify({ version: seen + 1, created_at, updated_at, route: parsed.wire } satisfies StoredRecord);
    const reply = (await writeRoute.run(redis, [keys.routes], [name, seen, text, keys.routesChanged, maxRoutes])) as [string, number?];
    if (reply[0] === 'written') return { status: before === undefined ? 'created' : 'replaced', route: open(name, text) };
    if (reply[0] === 'conflict') return { status: 'conflict', version: Number(reply[1]) };
    if (reply[0] === 'full') return { status: 'full' };
    throw unexpectedReply(writeRoute.name, reply);
  }

  async function readTexts(): Promise<{ changes: number; texts: Map<string, string> }> {
    const { [changesField]: changes, ...texts } = await redis.hgetall(keys.routes);
    return { changes: Number(changes ?? 0), texts: new Map(Object.entries(texts)) };
  }

  return {
    open,
    readTexts,

    /** How many changes there have been. */
    async countChanges(): Promise<number> {
      return Number((await redis.hget(keys.routes, changesField)) ?? 0);
    },

    /** In the order they are asked; unreadable ones last. */
    async list(): Promise<StoredRoute[]> {
      const { texts } = await readTexts();
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
      for (let races = 0; ; races += 1) {
        const before = await readText(name);
        const version = before === undefined ? 0 : versionOf(before);
        if (options.ifVersion !== undefined && options.ifVersion !== version) return { status: 'conflict', version };
        const written = await write(name, isFields(input) ? { ...input, name } : input, before, options);
        if (written.status !== 'conflict' || races >= maxRaces) return written;
      }
    },

    async remove(name: string, ifVersion?: number): Promise<{ status: 'removed' | 'not_found' } | { status: 'conflict'; version: number }> {
      if (!routeNameShape.test(name)) return { status: 'not_found' };
      const reply = (await removeRoute.run(redis, [keys.routes], [name, ifVersion ?? '', keys.routesChanged])) as [string, number?];
      if (reply[0] === 'removed') return { status: 'removed' };
      if (reply[0] === 'missing') return { status: 'not_found' };
      if (reply[0] === 'conflict') return { status: 'conflict', version: Number(reply[1]) };
      throw unexpectedReply(removeRoute.name, reply);
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

/** As the scripts see it. */
function versionOf(text: string): number {
  return Number(/^\{"version":(\d+)[,}]/.exec(text)?.[1] ?? 0);
}

function parseRecord(text: string): StoredRecord | undefined {
  try {
    const record = JSON.parse(text) as StoredRecord;
    return Number.isSafeInteger(record.version) && isFields(record.route) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** '' where there is no proper name: then nothing is found, and checking says what is wrong. */
function nameOf(input: unknown): string {
  const name = isFields(input) ? input['name'] : undefined;
  return typeof name === 'string' && routeNameShape.test(name) ? name : '';
}
