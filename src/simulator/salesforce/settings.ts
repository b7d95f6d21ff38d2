/**
 * Settings of the simulated Salesforce, changed through `/_control/settings`. Every limit, window and version is one, and so is every
 * point on which the sources disagree. Defaults are what a current production org does.
 */
import { z } from 'zod';
import { defaultObjects, objectTypeSchema } from './object-types.ts';

const count = z.int().min(0).max(1_000_000_000);
const ms = z.int().min(0).max(31_536_000_000);
/** Null takes any. */
const expected = z.string().nullable().default(null);

const outboundMessageSchema = z.strictObject({
  object: z.string(),
  url: z.url(),
  /** Sent besides `Id`; those without a value are left out. */
  fields: z.array(z.string()).default([]),
});

export const settingsSchema = z.strictObject({
  organization_id: z.string().length(18).default('00D5g000000SimUEAS'),
  user_id: z.string().length(18).default('0055g000000SimUAAS'),
  min_version: z.int().min(20).max(999).default(31),
  max_version: z.int().min(20).max(999).default(67),

  /** Where tokens say the API is; null: where they were asked for. */
  instance_url: z.url().nullable().default(null),
  client_id: expected,
  client_secret: expected,
  username: expected,
  password: expected,
  /** Null takes any refresh token. */
  refresh_tokens: z.array(z.string()).nullable().default(null),
  /** Each refresh gives a new refresh token and ends the old one. */
  rotate_refresh_tokens: z.boolean().default(false),
  /** Audiences of an assertion, besides the URL at which the simulator is reached. */
  audiences: z.array(z.string()).default(['https://login.salesforce.com', 'https://test.salesforce.com']),
  /** PEM with which assertions are verified; null: their signature is not looked at. */
  public_key: expected,
  /** How far ahead an assertion may expire: sources say 3 or 5 minutes. */
  max_assertion_ms: ms.default(180_000),
  clock_skew_ms: ms.default(30_000),
  /** Life of a token after its last use. */
  session_ms: ms.default(7_200_000),

  objects: z.record(z.string(), objectTypeSchema).default(defaultObjects),
  /** Takes any field whose name ends in `__c`; false: only those listed in `objects` and `external_id_fields`. */
  allow_custom_fields: z.boolean().default(true),
  external_id_fields: z.array(z.string()).default(['ExtId__c', 'External_Id__c', 'Sluice_Id__c']),
  unique_external_ids: z.boolean().default(true),
  case_sensitive_external_ids: z.boolean().default(true),
  /** Fields that are no external ids and may still be matched by upserts. */
  lookup_fields: z.array(z.string()).default(['Email']),
  duplicate_rule: z.enum(['off', 'block']).default('off'),
  /** The member's name in captured answers, or the one that the documents have. */
  duplicate_result_name: z.enum(['duplicateResut', 'duplicateResult']).default('duplicateResut'),
  deleted_status: z.int().min(400).max(499).default(404),
  /** Whether `If-Unmodified-Since` counts on DELETE; the documents disagree. */
  conditional_deletes: z.boolean().default(false),
  /** Grain of the time stamps of records. */
  stamp_ms: ms.min(1).default(1_000),
  /** Share of record writes that fail with UNABLE_TO_LOCK_ROW. */
  lock_rate: z.number().min(0).max(1).default(0),

  /** Calls in any `daily_window_ms`; a full sandbox has 5,000,000. */
  daily_max: count.default(5_000_000),
  /** Calls that somebody else made. */
  daily_used: count.default(0),
  daily_window_ms: ms.min(1).default(86_400_000),
  /** Appended to `Sforce-Limit-Info`, such as `; per-app-api-usage=17/250(appName=x)`. */
  limit_info_suffix: z
    .string()
    .regex(/^[ -~]*$/)
    .max(200)
    .default(''),
  /** Calls that may have been running for `long_running_ms` when another arrives. */
  concurrent_max: count.default(25),
  long_running_ms: ms.default(20_000),
  concurrent_message: z.string().default('ConcurrentRequests (Concurrent API Requests) Limit exceeded.'),
  /** After this time a call counts as ended even if it hangs. */
  call_timeout_ms: ms.default(600_000),

  max_collection: count.default(200),
  max_collection_read: count.default(2_000),
  max_collection_chunks: count.default(10),
  max_composite: count.default(25),
  max_uri_bytes: count.default(16_384),
  query_page: z.int().min(1).max(100_000).default(2_000),
  min_query_page: z.int().min(1).max(100_000).default(200),
  max_query_page: z.int().min(1).max(100_000).default(2_000),
  max_query_offset: count.default(2_000),
  updated_max_ms: ms.default(30 * 86_400_000),
  deleted_max_ms: ms.default(15 * 86_400_000),
  /** Grain of `start` and `end` of getUpdated and getDeleted: their seconds are ignored. */
  replication_step_ms: ms.min(1).default(60_000),

  /** How long a bulk job takes once its data is complete. */
  bulk_job_ms: ms.default(1_000),
  /** Instead of taking a time, a job ends with the look at it that follows so many. */
  bulk_job_polls: z.int().min(0).max(1_000).nullable().default(null),
  bulk_max_bytes: count.default(150_000_000),

  outbound_messages: z.array(outboundMessageSchema).max(20).default([]),
  /** The first repetition of an unacknowledged message; each further wait is twice as long. */
  outbound_retry_ms: ms.min(1).default(1_000),
  outbound_max_retry_ms: ms.default(7_200_000),
  outbound_keep_ms: ms.default(86_400_000),
  outbound_timeout_ms: ms.min(1).default(60_000),
  max_notifications: z.int().min(1).max(100).default(100),
});

export type SalesforceSettings = z.infer<typeof settingsSchema>;
export type OutboundMessageSettings = z.infer<typeof outboundMessageSchema>;

/** Fields by which an upsert may match. */
export function matchFields(settings: SalesforceSettings): readonly string[] {
  return [...settings.external_id_fields, ...settings.lookup_fields];
}
