/**
 * Settings of the simulated Outreach. Where its documentation and what was seen of it disagree or are silent, there is a switch; the
 * defaults are what is documented, or what is hardest on a caller.
 */
import { z } from 'zod';

const webhooks = z.strictObject({
  content_type: z.enum(['application/json', 'application/vnd.api+json']).default('application/json'),
  timeout_ms: z.number().min(1).default(5_000),
  /** One repetition each, and only where there was no answer at all: any status counts as delivered. */
  retry_delays_ms: z.array(z.number().min(0)).max(10).default([1_000, 1_000, 1_000]),
});

export const outreachSettings = z.strictObject({
  api_path: z
    .string()
    .regex(/^(?:\/[A-Za-z0-9._-]+)+$/)
    .default('/api/v2'),

  /** Accepted as access tokens that never expire. */
  static_tokens: z.array(z.string()).default([]),
  static_prefixes: z.array(z.string()).default(['static-']),
  /** Null accepts any. */
  client_id: z.string().nullable().default(null),
  client_secret: z.string().nullable().default(null),
  /** What the first refresh may come with; null accepts any that was not used up before. */
  refresh_tokens: z.array(z.string()).nullable().default(null),
  token_life_s: z.int().min(1).default(7_200),
  refresh_life_s: z.int().min(1).default(1_209_600),
  /** Whether each refresh gives another refresh token and uses the old one up. */
  rotate: z.boolean().default(true),
  /** How long a refresh token that was used up is still taken. */
  rotation_grace_ms: z.number().min(0).default(0),
  /** The least time between two calls for tokens by one client; 0 for none. */
  token_interval_ms: z.number().min(0).default(60_000),
  scopes: z.string().default('prospects.all accounts.all webhooks.all'),

  requests: z.int().min(1).default(10_000),
  /** Windows are fixed: they begin at multiples of it. */
  window_ms: z.int().min(1).default(3_600_000),
  reset_unit: z.enum(['seconds', 'milliseconds', 'iso', 'delta']).default('seconds'),
  /** `X-RateLimit-Remaining: 9999, 19988`. */
  doubled_remaining: z.boolean().default(false),
  retry_after: z.enum(['seconds', 'http_date', 'iso', 'absent']).default('seconds'),

  /** How a duplicate e-mail address is refused. */
  duplicate_email: z.enum(['validation_error', 'duplicate_value_error']).default('validation_error'),
  /** Whether `filter[externalId]` is known. */
  external_id_filter: z.boolean().default(false),
  /** A filter that is not known: an error, or as if it were not there, which finds everything. */
  unknown_filters: z.enum(['refused', 'ignored']).default('refused'),
  unknown_attributes: z.enum(['refused', 'ignored']).default('refused'),
  /** Whether writes need the media type of JSON:API. */
  media_type_required: z.boolean().default(true),
  /** Whether lists count their results where nobody asks. */
  count: z.boolean().default(false),
  max_page: z.int().min(1).default(1_000),
  /** `id` of the error for an access token that has expired. */
  expired_token_id: z.string().default('expiredAccessToken'),
  /** Addresses with which no prospect can be made. */
  excluded_emails: z.array(z.string()).default([]),

  webhooks: webhooks.prefault({}),
});

export type OutreachSettings = z.infer<typeof outreachSettings>;
