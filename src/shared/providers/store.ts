/**
 * Providers' configurations in Redis: one hash, a field for each provider, its secrets sealed. Every change goes through a script
 * that compares versions, counts the change and announces it. A configuration that cannot be read (sealed with another key, or
 * damaged) is listed with the reason and costs the others nothing.
 *
 * A secret that is kept ("***", or a PATCH without `auth_config`) stays even where `base_url` changes: whoever may change
 * providers can thereby send a stored credential to a host of their choice. That is why the API asks for the scope `admin` here.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { NetworkPolicy } from './address.ts';
import type { ProviderConfig } from './config.ts';
import type { ProviderKinds } from './kinds.ts';
import type { FieldError } from './payload-schema.ts';
import removeSource from './remove-provider.lua';
import { mapSecrets, maskSecrets, parseProvider } from './schema.ts';
import type { Sealer } from './seal.ts';
import { type AuthWire, type ProviderWire, providerNameShape, readOnlyFields, secretFields } from './wire.ts';
import writeSource from './write-provider.lua';

const writeProvider = defineScript('write-provider', writeSource);
const removeProvider = defineScript('remove-provider', removeSource);

/** What people see of a provider: secrets are `"***"`. */
export type ProviderView = ProviderWire & {
  readonly paused: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
};

export type StoredProvider =
  | { readonly status: 'ready'; readonly name: string; readonly config: ProviderConfig; readonly view: ProviderView }
  | { readonly status: 'unreadable'; readonly name: string; readonly reason: string };

export type Written =
  | { readonly status: 'created' | 'replaced'; readonly provider: StoredProvider }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] }
  /** The name is taken, or the version asked for (`ifVersion`) is not the stored one. */
  | { readonly status: 'conflict'; readonly version: number }
  | { readonly status: 'not_found' }
  /** There are credentials, and no SLUICE_ENCRYPTION_KEY to seal them with. */
  | { readonly status: 'no_key' };

export interface ProviderStoreDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly kinds: ProviderKinds;
  readonly network: NetworkPolicy;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

export interface WriteOptions {
  /** Refuse unless this is the stored version. */
  readonly ifVersion?: number;
}

/** What a field of the hash holds. `version` comes first: the script reads it from the beginning of the text. */
interface StoredRecord {
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
  readonly paused: boolean;
  /** Secrets sealed. */
  readonly provider: ProviderWire;
}

type Fields = Readonly<Record<string, unknown>>;
export type ProviderStore = ReturnType<typeof createProviderStore>;

/** Writers meet rarely; this many lost races in a row mean something else is wrong. */
const maxRaces = 10;
const changesField = ':version';

export function createProviderStore({ redis, keys, sealer, kinds, network, now }: ProviderStoreDeps) {
  const place = (name: string, field: string) => `${name}/auth_config.${field}`;

  async function readTexts(): Promise<{ changes: number; texts: Map<string, string> }> {
    const { [changesField]: changes, ...texts } = await redis.hgetall(keys.providers);
    return { changes: Number(changes ?? 0), texts: new Map(Object.entries(texts)) };
  }

  async function readText(name: string): Promise<string | undefined> {
    return providerNameShape.test(name) ? ((await redis.hget(keys.providers, name)) ?? undefined) : undefined;
  }

  /** Never throws: what cannot be read says why. */
  function open(name: string, text: string): StoredProvider {
    const stored = parseRecord(text);
    if (!stored) return { status: 'unreadable', name, reason: 'the stored configuration is damaged' };
    const auth = openAuth(name, stored.provider);
    if (typeof auth === 'string') return { status: 'unreadable', name, reason: auth };
    const parsed = parseProvider({ ...stored.provider, auth_config: auth }, { kinds, network: { allowPrivateNetworks: true } });
    if (parsed.status === 'invalid') return { status: 'unreadable', name, reason: describe(parsed.errors) };
    const { paused, version, created_at, updated_at } = stored;
    const config = { ...parsed.config, isPaused: paused, version };
    return { status: 'ready', name, config, view: { ...maskSecrets(parsed.wire), paused, version, created_at, updated_at } };
  }

  /** Credentials in the clear, or why not. */
  function openAuth(name: string, wire: ProviderWire): AuthWire | string {
    if (!Object.hasOwn(secretFields, wire.auth_config?.type)) return 'the stored configuration is damaged';
    let problem: string | undefined;
    const auth = mapSecrets(wire.auth_config, (sealed, field) => {
      const opened = sealer.open(sealed, place(name, field));
      if (opened.status === 'opened') return opened.plain;
      problem ??= opened.reason;
      return '';
    });
    return problem ?? auth;
  }

  function sealAuth(name: string, auth: AuthWire): AuthWire | undefined {
    let isSealed = true;
    const sealed = mapSecrets(auth, (secret, field) => {
      const result = sealer.seal(secret, place(name, field));
      if (result.status === 'sealed') return result.text;
      isSealed = false;
      return '';
    });
    return isSealed ? sealed : undefined;
  }

  async function compareAndWrite(
    name: string,
    before: StoredRecord | undefined,
    after: Omit<StoredRecord, 'version' | 'updated_at'>,
  ): Promise<Written> {
    const seen = before?.version ?? 0;
    const { created_at, paused, provider } = after;
    const text = JSON.stringify({ version: seen + 1, created_at, updated_at: new Date(now()).toISOString(), paused, provider });
    const reply = await writeProvider.run(redis, [keys.providers], [name, seen, text, keys.providersChanged]);
    const [word, number] = Array.isArray(reply) ? reply : [];
    if (word === 'written') return { status: before ? 'replaced' : 'created', provider: open(name, text) };
    if (word === 'conflict') return { status: 'conflict', version: Number(number) };
    throw unexpectedReply(writeProvider.name, reply);
  }

  async function write(name: string, input: unknown, before: StoredRecord | undefined): Promise<Written> {
    const parsed = parseProvider(input, { kinds, network, keptAuth: before && openAuth(name, before.provider) });
    if (parsed.status === 'invalid') return parsed;
    const auth = sealAuth(name, parsed.wire.auth_config);
    if (!auth) return { status: 'no_key' };
    const created_at = before?.created_at ?? new Date(now()).toISOString();
    return compareAndWrite(name, before, { created_at, paused: before?.paused ?? false, provider: { ...parsed.wire, auth_config: auth } });
  }

  /** Reads, changes, writes; again if another writer came between. */
  async function change(
    name: string,
    options: WriteOptions,
    attempt: (before: StoredRecord | undefined) => Promise<Written>,
  ): Promise<Written> {
    for (let races = 0; ; races += 1) {
      const text = await readText(name);
      const before = text === undefined ? undefined : (parseRecord(text) ?? damagedRecord(text));
      const version = before?.version ?? 0;
      if (options.ifVersion !== undefined && options.ifVersion !== version) return { status: 'conflict', version };
      const written = await attempt(before);
      if (written.status !== 'conflict' || races >= maxRaces) return written;
    }
  }

  return {
    readTexts,
    readText,
    open,

    /** How many changes there have been. */
    async countChanges(): Promise<number> {
      return Number((await redis.hget(keys.providers, changesField)) ?? 0);
    },

    /** By name. */
    async list(): Promise<StoredProvider[]> {
      const { texts } = await readTexts();
      return [...texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, text]) => open(name, text));
    },

    async get(name: string): Promise<StoredProvider | undefined> {
      const text = await readText(name);
      return text === undefined ? undefined : open(name, text);
    },

    /** `conflict` when the name is taken. */
    async create(input: unknown): Promise<Written> {
      const name = nameOf(input);
      // Without a proper name nothing can be stored: this says what is wrong with it.
      return name === undefined ? write('', input, undefined) : createNew(name, input);
    },

    /** Creates or replaces; the name is the path's, whatever the body says. */
    async put(name: string, input: unknown, options: WriteOptions = {}): Promise<Written> {
      return change(name, options, (before) => write(name, named(input, name), before));
    },

    /** Replaces the fields that are given; null takes a field back to its default. */
    async patch(name: string, fields: Fields, options: WriteOptions = {}): Promise<Written> {
      return change(name, options, async (before) =>
        before ? write(name, patched(before.provider, fields, name), before) : { status: 'not_found' },
      );
    },

    /** Works without the key, so that a provider in trouble can always be paused. */
    async setPaused(name: string, isPaused: boolean): Promise<Written> {
      return change(name, {}, async (before) => {
        if (!before) return { status: 'not_found' };
        if (isDamaged(before))
          return { status: 'invalid', errors: [{ path: '', message: 'the stored configuration is damaged: replace it' }] };
        return compareAndWrite(name, before, { ...before, paused: isPaused });
      });
    },

    async remove(name: string): Promise<{ status: 'removed' | 'not_found' }> {
      if (!providerNameShape.test(name)) return { status: 'not_found' };
      const reply = await removeProvider.run(redis, [keys.providers], [name, keys.providersChanged]);
      const [word] = Array.isArray(reply) ? reply : [];
      if (word === 'removed') return { status: 'removed' };
      if (word === 'missing') return { status: 'not_found' };
      throw unexpectedReply(removeProvider.name, reply);
    },
  };

  async function createNew(name: string, input: unknown): Promise<Written> {
    const text = await readText(name);
    if (text !== undefined) return { status: 'conflict', version: (parseRecord(text) ?? damagedRecord(text)).version };
    return write(name, input, undefined);
  }
}

function parseRecord(text: string): StoredRecord | undefined {
  try {
    const record = JSON.parse(text) as StoredRecord;
    const isRecord = Number.isSafeInteger(record.version) && typeof record.provider === 'object' && record.provider !== null;
    return isRecord ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Stands for a text nobody can read, so that it can be replaced: its version as the script sees it. */
function damagedRecord(text: string): StoredRecord {
  const version = Number(/^\{"version":(\d+)[,}]/.exec(text)?.[1] ?? 0);
  return {
    version,
    created_at: new Date(0).toISOString(),
    updated_at: '',
    paused: false,
    provider: { auth_config: { type: 'none' } } as ProviderWire,
  };
}

function isDamaged(record: StoredRecord): boolean {
  return record.updated_at === '';
}

function describe(errors: readonly FieldError[]): string {
  const [first] = errors;
  return `the stored configuration is not valid: ${first?.path} ${first?.message}`;
}

function nameOf(input: unknown): string | undefined {
  const name = typeof input === 'object' && input !== null ? (input as Fields)['name'] : undefined;
  return typeof name === 'string' && providerNameShape.test(name) ? name : undefined;
}

function named(input: unknown, name: string): unknown {
  return typeof input === 'object' && input !== null && !Array.isArray(input) ? { ...input, name } : input;
}

/** The two forms of limits exclude each other: giving one takes the other back. */
function patched(wire: ProviderWire, fields: Fields, name: string): Fields {
  const given = Object.fromEntries(Object.entries(fields).filter(([field]) => !readOnlyFields.includes(field)));
  const isShortForm = given['rate_limit'] != null || given['burst_limit'] != null;
  const dropped = isShortForm ? { limits: null } : given['limits'] != null ? { rate_limit: null, burst_limit: null } : {};
  // What is stored is sealed: as the base of a change, each secret says "keep what is stored".
  const kept: Fields = { ...maskSecrets(wire) };
  return Object.fromEntries(
    Object.entries({ ...kept, ...dropped, ...given, name }).filter(([, value]) => value !== null && value !== undefined),
  );
}
