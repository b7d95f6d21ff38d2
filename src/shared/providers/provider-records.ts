/** The hash of configurations: a record for each provider, and for each tenant with something of its own there. */

import type { FieldError } from '../domain/field-error.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import {
  type Conflict,
  createVersionedRecords,
  parseRecord,
  type Stamps,
  versionOf,
  type WriteOptions,
} from '../redis/versioned-records.ts';
import { parseField, tenantFieldStart } from './provider-field.ts';
import type { ProviderWire } from './wire.ts';

interface Content<W> {
  /** Always false for what a tenant has. */
  readonly paused: boolean;
  /** Secrets sealed. */
  readonly provider: W;
}

export type StoredRecord<W> = Stamps & Content<W>;

export interface RecordsDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** Epoch milliseconds; for `created_at` and `updated_at` only. */
  readonly now: () => number;
}

export type ProviderRecords = ReturnType<typeof createProviderRecords>;

export function createProviderRecords({ redis, keys, now }: RecordsDeps) {
  const records = createVersionedRecords({ redis, key: keys.providers, channel: keys.providersChanged, now });
  return {
    read: records.read,
    readAll: records.readAll,
    countChanges: records.countChanges,

    /** `orphan`: a tenant's provider is not there. `before` undefined: there must be none. */
    write<W>(field: string, before: StoredRecord<W> | undefined, { paused, provider }: Content<W>) {
      const { name, tenant } = parseField(field) ?? {};
      return records.write(field, before, { paused, provider }, { parent: tenant === undefined ? undefined : name });
    },

    /** A provider's field takes those of its tenants along. */
    remove: (field: string, options: WriteOptions) =>
      records.remove(field, { ...options, along: parseField(field)?.tenant === undefined ? tenantFieldStart(field) : '' }),

    /** Reads, changes, writes; again if another writer came between. */
    change<W, R extends { readonly status: string }>(
      field: string,
      options: WriteOptions,
      attempt: (before: StoredRecord<W> | undefined) => Promise<R | Conflict>,
    ): Promise<R | Conflict> {
      return records.change(field, options, (text) =>
        attempt(text === undefined ? undefined : (parseStored<W>(text) ?? damagedRecord(text))),
      );
    },
  };
}

export const parseStored = <W>(text: string): StoredRecord<W> | undefined => parseRecord<Content<W>>(text, 'provider');

/** Stands for a text nobody can read, so that it can be replaced: its version as the script sees it. */
function damagedRecord<W>(text: string): StoredRecord<W> {
  const provider = { auth_config: { type: 'none' } } satisfies Partial<ProviderWire>;
  return { version: versionOf(text), created_at: new Date(0).toISOString(), updated_at: '', paused: false, provider: provider as W };
}

export function isDamaged(record: StoredRecord<unknown>): boolean {
  return record.updated_at === '';
}

/** Of a configuration that was valid when it was written. */
export function whyInvalid(errors: readonly FieldError[]): string {
  const [first] = errors;
  return `the stored configuration is not valid: ${first?.path} ${first?.message}`;
}
