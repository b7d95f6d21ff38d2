/**
 * Settings of the simulated HubSpot. Where its documentation and what was seen of it disagree or are silent, there is a switch; the
 * defaults are what was seen most, or what is hardest on a caller.
 */
import { z } from 'zod';

const path = z.string().regex(/^(?:\/[A-Za-z0-9._-]+)+$/);

const property = z.strictObject({
  type: z.enum(['string', 'email', 'number', 'date', 'bool', 'enumeration']).default('string'),
  options: z.array(z.string()).optional(),
  unique: z.boolean().default(false),
  read_only: z.boolean().default(false),
});

const webhooks = z.strictObject({
  /** Null sends none. */
  url: z.string().nullable().default(null),
  /** The app's client secret, with which they are signed. */
  secret: z.string().default('hubspot-client-secret'),
  /** Such as `contact.creation`; null for all. With `generic_types`: `object.creation`. */
  subscriptions: z.array(z.string()).nullable().default(null),
  generic_types: z.boolean().default(false),
  signature: z.enum(['v1', 'v3', 'both']).default('both'),
  /** Events that arise within this time go in one request. */
  gather_ms: z.number().min(0).default(20),
  max_events: z.int().min(1).max(100).default(100),
  timeout_ms: z.number().min(1).default(5_000),
  /** One repetition each; spread a little at random. */
  retry_delays_ms: z
    .array(z.number().min(0))
    .max(10)
    .default([60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 14_400_000, 21_600_000, 21_600_000]),
  change_flags: z.enum(['NEW_DELETED', 'CREATED_DELETED', 'absent']).default('CREATED_DELETED'),
});

export const hubspotSettings = z.strictObject({
  path_versions: z.array(path).default(['/crm/v3/objects', '/crm/objects/2026-03', '/crm/objects/2026-09']),
  portal_id: z.int().default(62_515),
  app_id: z.int().default(54_321),

  /** Accepted besides every token that begins with one of `static_prefixes`; those with `user-` write as a person, not as the app. */
  static_tokens: z.array(z.string()).default([]),
  static_prefixes: z.array(z.string()).default(['pat-', 'user-']),
  /** Null accepts any. */
  client_id: z.string().nullable().default(null),
  client_secret: z.string().nullable().default(null),
  refresh_tokens: z.array(z.string()).nullable().default(null),
  token_life_s: z.int().min(1).default(1_800),

  /** Of each static token. */
  burst_requests: z.int().min(1).max(1_000_000).default(100),
  burst_ms: z.int().min(1).default(10_000),
  /** Of each OAuth app. */
  oauth_burst_requests: z.int().min(1).max(1_000_000).default(110),
  /** Null for none. For static tokens only. */
  daily_requests: z.int().min(1).nullable().default(250_000),
  /** The account's time zone, minutes east of UTC: its midnight ends the day. */
  utc_offset_minutes: z.int().min(-840).max(840).default(0),
  search_per_second: z.int().min(1).max(1_000_000).default(5),
  retry_after_on_429: z.boolean().default(false),

  /** By object type, added to what is known of every account. */
  properties: z
    .record(z.string(), z.record(z.string(), property))
    .default({ contacts: { sluice_record_id: { type: 'string', unique: true, read_only: false } } }),
  any_property: z.boolean().default(false),
  /** Values that are numbers or booleans are taken as their text; else they are refused as JSON of the wrong type. */
  coerce_values: z.boolean().default(false),
  /** Properties that were asked for and have no value. */
  unset_properties: z.enum(['null', 'omitted']).default('null'),

  max_inputs: z.int().min(1).default(100),
  /** Whether update and upsert give partial results too, as create does, where inputs carry objectWriteTraceId. */
  partial_update_upsert: z.boolean().default(true),
  /** Whether upserts by e-mail do. */
  partial_upsert_by_email: z.boolean().default(false),
  shuffle_results: z.boolean().default(true),
  echo_trace_ids: z.boolean().default(true),
  batch_conflict_category: z.enum(['VALIDATION_ERROR', 'CONFLICT']).default('VALIDATION_ERROR'),
  /** How a value that another record has is refused outside e-mail: 409 with the id, or 400 CONFLICTING_UNIQUE_VALUE. */
  unique_conflict: z.enum(['409', '400']).default('409'),
  repeated_archive: z.enum(['204', '404']).default('204'),
  /** 404 without a body. */
  bare_not_found: z.boolean().default(false),

  search_lag_ms: z.number().min(0).default(0),
  search_max_results: z.int().min(1).default(10_000),
  search_max_body: z.int().min(1).default(3_000),

  webhooks: webhooks.prefault({}),
});

export type HubspotSettings = z.infer<typeof hubspotSettings>;
export type PropertySettings = z.infer<typeof property>;
