/**
 * A process's own copy of the providers' configurations, kept up to date while it runs. Of an announced change only what changed is loaded;
 * a full reading opens only the texts that are new.
 * What cannot be read is told when it is opened: once for each text, for its operations wait until somebody mends it.
 * What always holds: a provider that cannot be read is known by name and has no configuration; what a tenant has of its own is read as soon
 * as its provider is, and a tenant whose own configuration cannot be read has none, never the provider's.
 */
import { queueName } from '../domain/operation.ts';
import { type ChangeWatch, createChangeWatch, type Subscriber } from '../redis/change-watch.ts';
import type { Keys } from '../redis/keys.ts';
import type { ProviderConfig } from './config.ts';
import { parseField, tenantField } from './provider-field.ts';
import type { ProviderStore, StoredProvider } from './store.ts';
import type { StoredTenant } from './tenant-store.ts';

/**
 * `before` undefined: new, or readable again. `after` undefined: gone, or no longer readable. The same in both: only what tenants have of
 * their own there has changed.
 */
export interface ProviderChange {
  readonly name: string;
  readonly before: ProviderConfig | undefined;
  readonly after: ProviderConfig | undefined;
}

export interface ProviderDirectory extends Pick<ChangeWatch, 'start' | 'tick' | 'stop'> {
  get(name: string): ProviderConfig | undefined;
  /**
   * What a tenant's operations follow: the provider's configuration, with what the tenant has of its own laid over it and an account of its
   * own then. Undefined where the provider, or what the tenant has there, is not known or cannot be read. The same object until either
   * changes.
   */
  forTenant(provider: string, tenant: string): ProviderConfig | undefined;
  /** Whose limits and credentials a tenant's calls use, whether or not they can be read: the provider's name, or the tenant's own account. */
  accountOf(provider: string, tenant: string): string;
  /** The provider's own, and those of its tenants, whether or not they can be read. */
  accountsOf(provider: string): readonly string[];
  /** Registered, readable or not. */
  has(name: string): boolean;
  all(): readonly ProviderConfig[];
  /** Why registered providers have no configuration here, by name; by `<name>/<tenant>` for those tenants that were asked for. */
  problems(): ReadonlyMap<string, string>;
  /** Loads one provider now; for a process that has just changed it itself. */
  refresh(name: string): Promise<void>;
  /** Called after the copy has changed. Returns what ends it. */
  onChange(listener: (change: ProviderChange) => void): () => void;
}

interface Entry {
  /** Undefined where tenants have something at a provider that is not known (yet). */
  text: string | undefined;
  stored: StoredProvider | undefined;
  readonly tenants: Map<string, TenantEntry>;
}

/** `stored` is made when it is asked for, of this text and the provider's of that time. */
interface TenantEntry {
  readonly text: string;
  stored?: StoredTenant;
}

export interface ProviderDirectoryDeps {
  readonly store: ProviderStore;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
  readonly log: { error(fields: object, text: string): void };
}

export function createProviderDirectory({ store, subscriber, keys, log }: ProviderDirectoryDeps): ProviderDirectory {
  const entries = new Map<string, Entry>();
  const listeners = new Set<(change: ProviderChange) => void>();
  /** Fields to be read by the next reading, those that were announced and those that are asked for. */
  const announced = new Set<string>();
  let nextReading: Promise<void> | undefined;
  let configs: readonly ProviderConfig[] | undefined;

  const configOf = (name: string): ProviderConfig | undefined => {
    const stored = entries.get(name)?.stored;
    return stored?.status === 'ready' ? stored.config : undefined;
  };

  /** Texts by field; undefined: gone. Listeners hear of it when all of it is in place: a tenant's own may come with its provider. */
  function apply(texts: Iterable<readonly [string, string | undefined]>): void {
    const before = new Map<string, ProviderConfig | undefined>();
    for (const [field, text] of texts) {
      const { name, tenant } = parseField(field) ?? {};
      if (name === undefined) continue;
      const old = configOf(name);
      const isChanged = tenant === undefined ? applyProvider(name, text) : applyTenant(name, tenant, text);
      if (isChanged && !before.has(name)) before.set(name, old);
    }
    configs = undefined;
    for (const [name, old] of before) {
      const change = { name, before: old, after: configOf(name) };
      for (const listener of [...listeners]) listener(change);
    }
  }

  function applyProvider(name: string, text: string | undefined): boolean {
    const entry = entryOf(name);
    const isChanged = entry.text !== text;
    if (isChanged) {
      entry.text = text;
      entry.stored = text === undefined ? undefined : store.open(name, text);
      if (entry.stored?.status === 'unreadable') tellUnreadable(name, undefined, entry.stored.reason);
      for (const [tenant, { text: own }] of entry.tenants) entry.tenants.set(tenant, { text: own });
    }
    dropEmpty(name, entry);
    return isChanged;
  }

  function applyTenant(name: string, tenant: string, text: string | undefined): boolean {
    const entry = entryOf(name);
    const isChanged = entry.tenants.get(tenant)?.text !== text;
    if (text === undefined) entry.tenants.delete(tenant);
    else if (isChanged) entry.tenants.set(tenant, { text });
    dropEmpty(name, entry);
    return isChanged;
  }

  function entryOf(name: string): Entry {
    const entry = entries.get(name) ?? { text: undefined, stored: undefined, tenants: new Map() };
    entries.set(name, entry);
    return entry;
  }

  function dropEmpty(name: string, entry: Entry): void {
    if (entry.text === undefined && entry.tenants.size === 0) entries.delete(name);
  }

  function openTenant(name: string, tenant: string): StoredTenant | undefined {
    const entry = entries.get(name);
    const own = entry?.tenants.get(tenant);
    if (own && !own.stored) {
      own.stored = store.openTenant(name, tenant, own.text, entry?.text);
      // Where the provider cannot be read, that was told.
      if (own.stored.status === 'unreadable' && configOf(name)) tellUnreadable(name, tenant, own.stored.reason);
    }
    return own?.stored;
  }

  function tellUnreadable(provider: string, tenant: string | undefined, reason: string): void {
    log.error({ provider, tenant, reason }, 'a configuration cannot be read: its operations wait');
  }

  async function readAll(): Promise<number> {
    const { changes, texts } = await store.readTexts();
    apply([
      ...knownFields()
        .filter((field) => !texts.has(field))
        .map((field) => [field, undefined] as const),
      ...texts,
    ]);
    return changes;
  }

  function knownFields(): string[] {
    return [...entries].flatMap(([name, { tenants }]) => [name, ...[...tenants.keys()].map((tenant) => tenantField(name, tenant))]);
  }

  async function readAnnounced(): Promise<void> {
    nextReading = undefined;
    const fields = [...announced];
    announced.clear();
    const texts = await Promise.all(fields.map((field) => store.readText(field)));
    apply(fields.map((field, index) => [field, texts[index]] as const));
  }

  /** What is asked for before the next reading begins shares it: however many ask while Redis hangs, none waits for more than a few readings. */
  function readSoon(field: string): Promise<void> {
    announced.add(field);
    nextReading ??= watch.inTurn(readAnnounced);
    return nextReading;
  }

  const watch = createChangeWatch({
    subscriber,
    channel: keys.providersChanged,
    // A failure is left to the next tick.
    onAnnounced: (field) => void readSoon(field).catch(() => {}),
    countChanges: () => store.countChanges(),
    readAll,
  });

  return {
    start: watch.start,
    tick: watch.tick,
    stop: watch.stop,
    get: configOf,
    forTenant(provider, tenant) {
      if (!entries.get(provider)?.tenants.has(tenant)) return configOf(provider);
      const stored = openTenant(provider, tenant);
      return stored?.status === 'ready' ? stored.config : undefined;
    },
    accountOf: (provider, tenant) => (entries.get(provider)?.tenants.has(tenant) ? queueName(provider, tenant) : provider),
    accountsOf: (provider) => [
      provider,
      ...[...(entries.get(provider)?.tenants.keys() ?? [])].map((tenant) => queueName(provider, tenant)),
    ],
    has: (name) => entries.get(name)?.text !== undefined,
    all() {
      configs ??= [...entries.keys()].flatMap((name) => configOf(name) ?? []);
      return configs;
    },
    problems() {
      const fields = knownFields().flatMap((field) => {
        const { name = '', tenant } = parseField(field) ?? {};
        const entry = entries.get(name);
        const stored = tenant === undefined ? entry?.stored : entry?.tenants.get(tenant)?.stored;
        return stored?.status === 'unreadable' ? [[tenant === undefined ? name : `${name}/${tenant}`, stored.reason] as const] : [];
      });
      return new Map(fields);
    },
    refresh: readSoon,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
