/**
 * Providers' configurations in Redis: one hash, a field for each provider and for each tenant with something of its own there, its
 * secrets sealed. Every change goes through a script that compares versions, counts the change and announces it. A configuration that
 * cannot be read (sealed with another key, or damaged) is listed with the reason and costs the others nothing.
 *
 * A secret that is kept ("***", or a PATCH without `auth_config`) stays even where `base_url` changes: whoever may change
 * providers can thereby send a stored credential to a host of their choice. That is why the API asks for the scope `admin` here.
 */

import type { FieldError } from '../domain/field-error.ts';
import { providerNameShape } from '../domain/operation.ts';
import { type Removed, versionOf, type WriteOptions } from '../redis/versioned-records.ts';
import type { NetworkPolicy } from './address.ts';
import type { ProviderConfig } from './config.ts';
import { createCredentials } from './credentials.ts';
import type { ProviderKinds } from './kinds.ts';
import { type Fields, patchFields } from './overlay.ts';
import { parseField } from './provider-field.ts';
import { createProviderRecords, isDamaged, parseStored, type RecordsDeps, type StoredRecord, whyInvalid } from './provider-records.ts';
import { createRemovedTokens } from './removed-tokens.ts';
import { maskSecrets, parseProvider } from './schema.ts';
import type { Sealer } from './seal.ts';
import { createTenantStore } from './tenant-store.ts';
import type { ProviderWire } from './wire.ts';

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

export interface ProviderStoreDeps extends RecordsDeps {
  readonly sealer: Sealer;
  readonly kinds: ProviderKinds;
  readonly network: NetworkPolicy;
}

type Stored = StoredRecord<ProviderWire>;
export type ProviderStore = ReturnType<typeof createProviderStore>;

/** A provider's text with its credentials in the clear, or why it cannot be read. */
export type OpenedWire =
  | { readonly status: 'opened'; readonly wire: ProviderWire; readonly record: Stored }
  | { readonly status: 'unreadable'; readonly reason: string };

export function createProviderStore(deps: ProviderStoreDeps) {
  const { sealer, kinds, network } = deps;
  const records = createProviderRecords(deps);
  const credentials = createCredentials(sealer);
  const forgetTokensOf = createRemovedTokens({ ...deps, records, credentials });
  const tenants = createTenantStore({ records, credentials, kinds, network, openWire, forgetTokensOf });

  async function readProvider(name: string): Promise<string | undefined> {
    return providerNameShape.test(name) ? records.read(name) : undefined;
  }

  function openWire(name: string, text: string): OpenedWire {
    const record = parseStored<ProviderWire>(text);
    if (!record) return { status: 'unreadable', reason: 'the stored configuration is damaged' };
    const auth = credentials.open(record.provider.auth_config, name);
    if (typeof auth === 'string') return { status: 'unreadable', reason: auth };
    return { status: 'opened', wire: { ...record.provider, auth_config: auth }, record };
  }

  /** Never throws: what cannot be read says why. */
  function open(name: string, text: string): StoredProvider {
    const opened = openWire(name, text);
    if (opened.status === 'unreadable') return { ...opened, name };
    const parsed = parseProvider(opened.wire, { kinds, network: { allowPrivateNetworks: true } });
    if (parsed.status === 'invalid') return { status: 'unreadable', name, reason: whyInvalid(parsed.errors) };
    const { paused, version, created_at, updated_at } = opened.record;
    // The spread is last: decision 0019.
    const config = { isPaused: paused, version, createdAt: created_at, ...parsed.config };
    return { status: 'ready', name, config, view: { ...maskSecrets(parsed.wire), paused, version, created_at, updated_at } };
  }

  async function compareAndWrite(name: string, before: Stored | undefined, after: Pick<Stored, 'paused' | 'provider'>): Promise<Written> {
    const written = await records.write(name, before, after);
    if (written.status === 'written') return { status: before ? 'replaced' : 'created', provider: open(name, written.text) };
    return written.status === 'conflict' ? written : { status: 'not_found' };
  }

  async function write(name: string, input: unknown, before: Stored | undefined): Promise<Written> {
    const parsed = parseProvider(input, { kinds, network, keptAuth: before && credentials.open(before.provider.auth_config, name) });
    if (parsed.status === 'invalid') return parsed;
    const errors = before ? await tenants.checkAgainst(parsed.wire) : [];
    if (errors.length > 0) return { status: 'invalid', errors };
    const auth = credentials.seal(parsed.wire.auth_config, name);
    if (!auth) return { status: 'no_key' };
    return compareAndWrite(name, before, { paused: before?.paused ?? false, provider: { ...parsed.wire, auth_config: auth } });
  }

  async function createNew(name: string, input: unknown): Promise<Written> {
    const text = await readProvider(name);
    if (text !== undefined) return { status: 'conflict', version: versionOf(text) };
    return write(name, input, undefined);
  }

  const change = async (
    name: string,
    options: WriteOptions,
    attempt: (before: Stored | undefined) => Promise<Written>,
  ): Promise<Written> =>
    providerNameShape.test(name) ? records.change<ProviderWire, Written>(name, options, attempt) : attempt(undefined);

  return {
    ...tenants,
    /** Of providers and of their tenants, by the field of the hash. */
    readTexts: records.readAll,
    /** Of a field of the hash. */
    readText: async (field: string) => (isKnownField(field) ? records.read(field) : undefined),
    countChanges: records.countChanges,
    open,

    /** By name. */
    async list(): Promise<StoredProvider[]> {
      const { texts } = await records.readAll();
      const names = [...texts.keys()].filter((field) => isProviderField(field)).sort();
      return names.map((name) => open(name, texts.get(name) ?? ''));
    },

    async get(name: string): Promise<StoredProvider | undefined> {
      const text = await readProvider(name);
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
      return change(name, options, async (before) => {
        if (!before) return { status: 'not_found' };
        // What is stored is sealed: as the base of a change, each secret says "keep what is stored".
        return write(name, { ...patchFields(maskSecrets(before.provider), fields), name }, before);
      });
    },

    /** Works without the key, so that a provider in trouble can always be paused. */
    async setPaused(name: string, isPaused: boolean): Promise<Written> {
      return change(name, {}, async (before) => {
        if (!before) return { status: 'not_found' };
        if (isDamaged(before))
          return { status: 'invalid', errors: [{ path: '', message: 'the stored configuration is damaged: replace it' }] };
        return compareAndWrite(name, before, { provider: before.provider, paused: isPaused });
      });
    },

    /** With what its tenants have there, and the tokens that the fleet got with all those credentials. */
    async remove(name: string, options: WriteOptions = {}): Promise<Removed> {
      if (!providerNameShape.test(name)) return { status: 'not_found' };
      const removed = await records.remove(name, options);
      if (removed.status === 'conflict') return removed;
      if (removed.status === 'missing') return { status: 'not_found' };
      await forgetTokensOf(removed.texts);
      return { status: 'removed' };
    },
  };
}

function isKnownField(field: string): boolean {
  return providerNameShape.test(parseField(field)?.name ?? '');
}

function isProviderField(field: string): boolean {
  const parsed = parseField(field);
  return parsed !== undefined && parsed.tenant === undefined;
}

function nameOf(input: unknown): string | undefined {
  const name = typeof input === 'object' && input !== null ? (input as Fields)['name'] : undefined;
  return typeof name === 'string' && providerNameShape.test(name) ? name : undefined;
}

function named(input: unknown, name: string): unknown {
  return typeof input === 'object' && input !== null && !Array.isArray(input) ? { ...input, name } : input;
}
