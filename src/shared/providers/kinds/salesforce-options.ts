/** Settings of the kind `salesforce`. */
import { z } from 'zod';
import { defaultCountry, objectNames, onDuplicate } from './common-options.ts';

const fieldName = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,79}$/, 'must be the API name of a field');

export const salesforceOptions = z.strictObject({
  api_version: z
    .string()
    .regex(/^v[1-9][0-9]{1,2}\.0$/, 'must be a version such as v62.0')
    .default('v62.0'),
  /** Entity to sObject; an entity that is not named here is taken for the sObject's name. */
  objects: objectNames({ contact: 'Contact', lead: 'Lead', account: 'Account' }),
  /**
   * Unique external id field that holds our record id, for all sObjects. With it, creates and upserts are upserts by external id, which
   * can be repeated safely. Null: creates are plain, and one whose answer was lost is looked up by `lookup_field` first.
   */
  external_id_field: fieldName.nullable().default(null),
  /** Field of the mapped payload by which a record is looked up that may have been made already. */
  lookup_field: fieldName.default('Email'),
  on_duplicate: onDuplicate.default('report'),
  /** Saves in spite of duplicate rules (`Sforce-Duplicate-Rule-Header: allowSave=true`). */
  allow_duplicates: z.boolean().default(false),
  /** Refuses to overwrite what somebody else changed after the operation's timestamp (`If-Unmodified-Since`); calls then go one by one. */
  protect_foreign_edits: z.boolean().default(false),
  /** `Sforce-Call-Options: client=`: marks changes as ours. */
  client_name: z
    .string()
    .regex(/^[A-Za-z0-9_./-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . / -')
    .default('sluice'),
  /** Calls of one entity and kind that have to be waiting for a Bulk API 2.0 job; 0: no such jobs. */
  bulk_threshold: z.int().min(0).max(1_000_000).default(2_000),
  bulk_max_records: z.int().min(1).max(10_000).default(10_000),
  /** How often a job is looked at, milliseconds. */
  bulk_poll_ms: z.int().min(50).max(60_000).default(2_000),
  default_country: defaultCountry,
});

export type SalesforceOptions = z.infer<typeof salesforceOptions>;
