/**
 * What tenants have of their own at a provider: an address, credentials, limits, settings; everything else is the provider's. Stored as it
 * was given, so that a change of the provider reaches its tenants, and read as one configuration: the provider's with the tenant's laid
 * over it.
 * What always holds: what a tenant has is valid with its provider when either is written; it never outlives its provider; and where the
 * two cannot be read together there is no configuration for the tenant, never the provider's own, which is another account.
 */

import type { FieldError } from '../domain/field-error.ts';
import { defaultTenant, providerNameShape, queueName } from '../domain/operation.ts';
import type { Removed, WriteOptions } from '../redis/versioned-records.ts';
import type { NetworkPolicy } from './address.ts';
import { type AuthWire, mapSecrets } from './auth-wire.ts';
import type { ProviderConfig } from './config.ts';
import type { Credentials } from './credentials.ts';
import { fieldOf, toFieldErrors, withoutFaulty } from './field-errors.ts';
import type { ProviderKinds } from './kinds.ts';
import { type Fields, mergeTenant, patchFields } from './overlay.ts';
import { isTenantName, parseField, tenantField } from './provider-field.ts';
import { isDamaged, type ProviderRecords, parseStored, type StoredRecord, whyInvalid } from './provider-records.ts';
import { checkRest, fillKeptSecrets, type ParsedProvider, parseProvider } from './schema.ts';
import type { OpenedWire } from './store.ts';
import { maskedSecret, type ProviderWire, readOnlyFields, type TenantWire, tenantWire } from './wire.ts';

/** What people see: the fields that the tenant has of its own, secrets as `"***"`. */
export type TenantView = TenantWire & {
  readonly provider: string;
  readonly tenant: string;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
};

/** `config`: the provider's, with what the tenant has laid over it. */
export type StoredTenant =
  | {
      readonly status: 'ready';
      readonly provider: string;
      readonly tenant: string;
      readonly config: ProviderConfig;
      readonly view: TenantView;
    }
  | { readonly status: 'unreadable'; readonly provider: string; readonly tenant: string; readonly reason: string };

export type TenantWritten =
  | { readonly status: 'created' | 'replaced'; readonly tenant: StoredTenant }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] }
  | { readonly status: 'conflict'; readonly version: number }
  | { readonly status: 'unknown_provider' }
  /** The tenant has nothing of its own. */
  | { readonly status: 'not_found' }
  | { readonly status: 'no_key' };

export interface TenantStoreDeps {
  readonly records: ProviderRecords;
  readonly credentials: Credentials;
  readonly kinds: ProviderKinds;
  readonly network: NetworkPolicy;
  readonly openWire: (name: string, text: string) => OpenedWire;
  readonly forgetTokensOf: (removed: ReadonlyMap<string, string>) => Promise<void>;
}

type Stored = StoredRecord<TenantWire>;
/** `rest`: the fields without faults. */
type Faulty = { status: 'invalid'; errors: FieldError[]; rest: TenantWire };
type ParsedTenant = { status: 'valid'; own: TenantWire } | Faulty;

const damaged = 'the stored configuration is damaged';

export function createTenantStore({ records, credentials, kinds, network, openWire, forgetTokensOf }: TenantStoreDeps) {
  const parseMerged = (wire: ProviderWire, own: TenantWire, policy: NetworkPolicy): ParsedProvider =>
    parseProvider(mergeTenant(wire, own), { kinds, network: policy });

  /** What a tenant has, in the clear, or why it cannot be read. */
  function openOwn(field: string, text: string): { own: TenantWire; record: Stored } | string {
    const record = parseStored<TenantWire>(text);
    if (!record) return damaged;
    const { auth_config: sealed, ...fields } = record.provider;
    const auth = sealed && credentials.open(sealed, field);
    if (typeof auth === 'string') return auth;
    return { own: auth ? { ...fields, auth_config: auth } : fields, record };
  }

  /** Never throws: what cannot be read says why. */
  function openTenant(provider: string, tenant: string, text: string, providerText: string | undefined): StoredTenant {
    const unreadable = (reason: string): StoredTenant => ({ status: 'unreadable', provider, tenant, reason });
    const opened = openOwn(tenantField(provider, tenant), text);
    if (typeof opened === 'string') return unreadable(opened);
    const base = openBase(provider, providerText);
    if (base.status === 'unreadable') return unreadable(`of the provider: ${base.reason}`);
    const merged = parseMerged(base.wire, opened.own, { allowPrivateNetworks: true });
    if (merged.status === 'invalid') return unreadable(whyInvalid(merged.errors));
    const { version, created_at, updated_at } = opened.record;
    const { account: _, ...own } = merged.config;
    const config: ProviderConfig = {
      account: queueName(provider, tenant),
      isPaused: base.record.paused,
      version: base.record.version + version,
      createdAt: base.record.created_at,
      // Last: decision 0019.
      ...own,
    };
    return {
      status: 'ready',
      provider,
      tenant,
      config,
      view: { provider, tenant, ...maskOwn(opened.own), version, created_at, updated_at },
    };
  }

  function openBase(provider: string, text: string | undefined): OpenedWire {
    return text === undefined ? { status: 'unreadable', reason: 'it is not registered' } : openWire(provider, text);
  }

  function parseOwn(input: unknown, keptAuth: AuthWire | string | undefined): ParsedTenant {
    const filled = fillKeptSecrets(withoutReadOnly(input), keptAuth);
    const parsed = tenantWire.safeParse(filled.input, { reportInput: true });
    const errors = [...filled.errors, ...(parsed.error?.issues.flatMap(toFieldErrors) ?? [])];
    if (parsed.success && errors.length === 0) return { status: 'valid', own: parsed.data };
    const rest = tenantWire.safeParse(withoutFaulty(filled.input, errors));
    return { status: 'invalid', errors, rest: rest.data ?? {} };
  }

  /** Of what was given, what else is wrong once it is laid over the provider: in one answer with the faults found before. */
  function checkOver(wire: ProviderWire, { errors, rest }: Faulty): FieldError[] {
    return checkRest(mergeTenant(wire, rest), errors, { kinds, network }).filter((error) => Object.hasOwn(rest, fieldOf(error)));
  }

  async function write(provider: string, tenant: string, input: unknown, before: Stored | undefined): Promise<TenantWritten> {
    const field = tenantField(provider, tenant);
    const providerText = await records.read(provider);
    if (providerText === undefined) return { status: 'unknown_provider' };
    const parsed = parseOwn(input, before?.provider.auth_config && credentials.open(before.provider.auth_config, field));
    const base = openWire(provider, providerText);
    if (base.status === 'unreadable') return invalidAs(`the provider cannot be read: ${base.reason}`);
    if (parsed.status === 'invalid') return { status: 'invalid', errors: [...parsed.errors, ...checkOver(base.wire, parsed)] };
    const merged = parseMerged(base.wire, parsed.own, network);
    if (merged.status === 'invalid') return merged;
    const { auth_config: auth, ...fields } = parsed.own;
    const sealed = auth && credentials.seal(auth, field);
    if (auth && !sealed) return { status: 'no_key' };
    const written = await records.write(field, before, { paused: false, provider: sealed ? { ...fields, auth_config: sealed } : fields });
    if (written.status !== 'written') return written.status === 'conflict' ? written : { status: 'unknown_provider' };
    return { status: before ? 'replaced' : 'created', tenant: openTenant(provider, tenant, written.text, providerText) };
  }

  async function change(
    provider: string,
    tenant: string,
    options: WriteOptions,
    attempt: (before: Stored | undefined) => Promise<TenantWritten>,
  ): Promise<TenantWritten> {
    if (!providerNameShape.test(provider)) return { status: 'unknown_provider' };
    const problem = whyNoTenant(tenant);
    if (problem !== undefined) return { status: 'invalid', errors: [{ path: 'tenant', message: problem }] };
    return records.change<TenantWire, TenantWritten>(tenantField(provider, tenant), options, attempt);
  }

  const readPair = async (provider: string, tenant: string) => {
    if (!providerNameShape.test(provider) || !isTenantName(tenant)) return undefined;
    const [own, base] = await Promise.all([records.read(tenantField(provider, tenant)), records.read(provider)]);
    return own === undefined ? undefined : openTenant(provider, tenant, own, base);
  };

  return {
    openTenant,

    /** By tenant. */
    async listTenants(provider: string): Promise<StoredTenant[]> {
      const { texts } = await records.readAll();
      const base = texts.get(provider);
      const own = [...texts].flatMap(([field, text]) => {
        const { name, tenant } = parseField(field) ?? {};
        return name === provider && tenant !== undefined ? [openTenant(provider, tenant, text, base)] : [];
      });
      return own.sort((a, b) => (a.tenant < b.tenant ? -1 : 1));
    },

    getTenant: readPair,

    /** Creates or replaces. */
    async putTenant(provider: string, tenant: string, input: unknown, options: WriteOptions = {}): Promise<TenantWritten> {
      return change(provider, tenant, options, (before) => write(provider, tenant, input, before));
    },

    /** Replaces the fields that are given; null gives a field back to the provider. */
    async patchTenant(provider: string, tenant: string, fields: Fields, options: WriteOptions = {}): Promise<TenantWritten> {
      return change(provider, tenant, options, async (before) => {
        if (!before) return (await records.read(provider)) === undefined ? { status: 'unknown_provider' } : { status: 'not_found' };
        if (isDamaged(before)) return invalidAs(`${damaged}: replace it`);
        return write(provider, tenant, patchFields(maskOwn(before.provider), fields), before);
      });
    },

    /** The tenant then has what the provider has; the tokens that the fleet got with its own credentials are forgotten. */
    async removeTenant(provider: string, tenant: string, options: WriteOptions = {}): Promise<Removed> {
      if (!providerNameShape.test(provider) || !isTenantName(tenant)) return { status: 'not_found' };
      const removed = await records.remove(tenantField(provider, tenant), options);
      if (removed.status === 'conflict') return removed;
      if (removed.status === 'missing') return { status: 'not_found' };
      await forgetTokensOf(removed.texts);
      return { status: 'removed' };
    },

    /** What would no longer be valid of what tenants have, were this the provider; what cannot be read is left as it is. */
    async checkAgainst(wire: ProviderWire): Promise<FieldError[]> {
      const { texts } = await records.readAll();
      return [...texts].flatMap(([field, text]) => {
        const { name, tenant } = parseField(field) ?? {};
        const opened = name === wire.name && tenant !== undefined ? openOwn(field, text) : '';
        if (typeof opened === 'string') return [];
        const merged = parseMerged(wire, opened.own, { allowPrivateNetworks: true });
        if (merged.status === 'valid') return [];
        return merged.errors.map(({ path, message }) => ({ path: `tenants.${tenant}.${path}`, message }));
      });
    },
  };
}

/** Undefined for a tenant that can have something of its own. */
function whyNoTenant(tenant: string): string | undefined {
  if (tenant === defaultTenant) return 'has what the provider has: change the provider';
  return isTenantName(tenant) ? undefined : 'must be 1 to 64 characters of well-formed Unicode';
}

function invalidAs(message: string): TenantWritten {
  return { status: 'invalid', errors: [{ path: '', message }] };
}

function maskOwn({ auth_config: auth, ...fields }: TenantWire): TenantWire {
  return auth ? { ...fields, auth_config: mapSecrets(auth, () => maskedSecret) } : fields;
}

const shownOnly = new Set([...readOnlyFields, 'provider', 'tenant']);

function withoutReadOnly(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([name]) => !shownOnly.has(name)));
}
