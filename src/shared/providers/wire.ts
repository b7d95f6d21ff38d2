/**
 * A provider's configuration as it travels (snake_case JSON): every field with its bounds and defaults. What depends on more than one
 * field, or on what is stored already, is checked in schema.ts.
 */
import { z } from 'zod';
import { type operationKinds, providerNameShape } from '../domain/operation.ts';
import { authWire } from './auth-wire.ts';

/** Shown in place of a secret; sent back, it keeps the secret that is stored. */
export const maskedSecret = '***';

const dayMs = 86_400_000;
export const maxPeriodMs = 31 * dayMs;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: dayMs };

/** Milliseconds of `"10s"`, `"500ms"`, `"1m"`, `"1h"`, `"1d"` or of a number of milliseconds; NaN for anything else. */
export function parsePeriodMs(period: string | number): number {
  if (typeof period === 'number') return Number.isInteger(period) ? period : Number.NaN;
  const parts = /^([0-9]{1,10})(ms|s|m|h|d)$/.exec(period);
  return parts ? Number(parts[1]) * (unitMs[parts[2] as string] as number) : Number.NaN;
}

const whole = (min: number, max: number) =>
  z.int(`must be a whole number from ${min} to ${max}`).min(min, `must be at least ${min}`).max(max, `must be at most ${max}`);

const url = z.string().min(1).max(2_048);

const limitWire = z.strictObject({
  requests: whole(1, 1_000_000_000).describe('Calls in any such time, wherever it begins.'),
  per: z
    .union([z.string().max(16), z.number()], 'must be a time such as "10s", "1m", "1h" or "1d", or milliseconds')
    .refine(
      (per) => parsePeriodMs(per) >= 1 && parsePeriodMs(per) <= maxPeriodMs,
      'must be a time from "1ms" to "31d", such as "10s", or milliseconds',
    )
    .describe('The time: `"500ms"`, `"10s"`, `"1m"`, `"1h"`, `"1d"`, or a number of milliseconds; at most 31 days.'),
  burst: whole(1, 1_000_000_000)
    .optional()
    .describe('Calls that may start at one moment; after them calls are spread evenly. Left out: a tenth of a second’s worth, at least 1.'),
});

const retryWire = z.strictObject({
  max_attempts: whole(1, 100).default(8).describe('Attempts of one operation; after the last one it is a dead letter.'),
  base_ms: whole(1, 3_600_000)
    .default(500)
    .describe('The pause after the first failed attempt is anything up to this, the next up to twice that, and so on. Milliseconds.'),
  max_ms: whole(1, dayMs).default(60_000).describe('No such pause is longer, unless the provider itself asks for it. Milliseconds.'),
  max_age_ms: whole(1_000, maxPeriodMs)
    .default(dayMs)
    .describe('An operation that was accepted so long ago is not tried again, whatever its attempts. Milliseconds.'),
});

const breakerWire = z.strictObject({
  failure_rate: z
    .number()
    .gt(0, 'must be more than 0')
    .max(1, 'must be at most 1')
    .default(0.5)
    .describe(
      'The share of failed calls that opens the breaker. No answer, 5xx and the like are failures; throttling and refusals are not.',
    ),
  min_calls: whole(1, 1_000_000).default(20).describe('With fewer calls than this in the window it stays closed.'),
  window_ms: whole(100, 3_600_000).default(10_000).describe('The time that calls are counted over. Milliseconds.'),
  open_ms: whole(1, 3_600_000)
    .default(15_000)
    .describe('How long an open breaker lets no call through; then one goes, and closes it or opens it again. Milliseconds.'),
});

const path = z
  .string()
  .max(1_024)
  .regex(/^\/[\x21\x22\x24-\x7e]*$/, 'must begin with / and hold no space or #');

export const defaultBatchWaitMs = 20;

/** Without defaults: those are the kind's. */
const batchWire = z.strictObject({
  max_records: whole(1, 1_000).optional().describe('Operations in one call, at most; default and most are the kind’s. 1: one by one.'),
  max_wait_ms: whole(0, 10_000)
    .describe('How long a call that is not full waits for more operations; 20 where it is left out. Milliseconds.')
    .optional(),
  path: path
    .refine((text) => !/[{}]/.test(text), 'must not hold a template')
    .optional()
    .describe('Kind `http`: the batch call’s path below `base_url`. Without it there are no batches.'),
});

const template = path.refine(
  (text) => !/[{}]/.test(text.replaceAll(/\{(?:entity|record_id|provider_record_id)\}/g, '')),
  'may hold {entity}, {record_id} and {provider_record_id} only',
);
const endpoint = <const M extends string>(...methods: readonly [M, ...M[]]) =>
  z
    .strictObject({
      method: z.enum(methods).optional().describe('Left out: the operation’s own.'),
      path: template.describe('Below `base_url`; may hold `{entity}`, `{record_id}` and `{provider_record_id}`.'),
    })
    .optional();

const endpointsWire = z.strictObject({
  create: endpoint('POST', 'PUT', 'PATCH'),
  update: endpoint('PATCH', 'PUT', 'POST'),
  upsert: endpoint('PUT', 'PATCH', 'POST'),
  delete: endpoint('DELETE', 'POST', 'PUT', 'PATCH'),
  read: endpoint('GET', 'POST'),
} satisfies Record<(typeof operationKinds)[number], unknown>);

const fieldName = z.string().min(1).max(255);

export const providerWire = z.strictObject({
  name: z
    .string()
    .regex(providerNameShape, 'must be 1 to 64 of a-z, 0-9, _ and -')
    .describe('What operations call it; 1 to 64 of a-z, 0-9, _ and -. `auto` and `kinds` are taken.'),
  kind: z.string().max(64).optional().describe('Which API it speaks. Left out: the name, where that is a kind, else `http`.'),
  base_url: url.describe('Where it is called: http or https, no query. Private networks only where the settings allow them.'),
  auth_config: authWire.default({ type: 'none' }).describe('How calls authenticate; secrets are sealed, and show as `"***"`.'),
  rate_limit: whole(1, 1_000_000_000).optional().describe('Short for `limits` with one entry: calls per minute.'),
  burst_limit: whole(1, 1_000_000_000).optional().describe('Its `burst`: with `rate_limit` only.'),
  limits: z
    .array(limitWire)
    .max(8, 'must be at most 8 limits')
    .describe('How many calls in which time, for the whole fleet; all hold at once. Left out: the kind’s. An empty list: no limit.')
    .optional(),
  max_concurrency: whole(1, 10_000).default(50).describe('Calls under way at one time, in the whole fleet.'),
  timeout_ms: whole(1, 300_000)
    .default(10_000)
    .describe('The longest a call may take, from its start to the end of its answer; then it is retried. Milliseconds.'),
  retry: retryWire.prefault({}).describe('What happens after a failure that may pass.'),
  breaker: breakerWire.prefault({}).describe('When so many calls fail that the fleet stops calling for a while.'),
  batch: batchWire.optional().describe('Many operations in one call, where the kind has such a call.'),
  coalesce: z
    .boolean()
    .default(true)
    .describe('Whether changes of one record that wait go as one call: fields merged, the later winning. Each keeps its own status.'),
  conflict: z
    .enum(['record', 'field'])
    .default('record')
    .describe('Of a change dated before one that has been applied: `record` drops all, `field` only the fields that have a newer value.'),
  mapping: z.record(fieldName, fieldName.nullable()).optional().describe('Your field’s name to the provider’s; null leaves the field out.'),
  unknown_fields: z
    .enum(['pass', 'drop', 'refuse'])
    .default('pass')
    .describe('Fields the mapping does not know: sent under their own name, left out, or refused as a dead letter.'),
  schema: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('JSON Schema of what is sent, after mapping; what does not fit is a dead letter and never sent.'),
  endpoints: endpointsWire.optional().describe('Kind `http`: other methods and paths, by operation. What is not named keeps its own.'),
  options: z
    .record(z.string().max(64), z.unknown())
    .optional()
    .describe('The kind’s own settings: checked, and filled in, by the kind’s schema.'),
});
export type ProviderWire = z.infer<typeof providerWire>;

/** What an answer shows besides; accepted when it is sent back as it is stored. */
export const readOnlyFields: readonly string[] = ['paused', 'version', 'created_at', 'updated_at'];

/** What a tenant may have of its own at a provider; nothing is filled in, for what is left out is the provider's. */
export const tenantWire = z.strictObject({
  base_url: url.optional().describe(providerWire.shape.base_url.description ?? ''),
  auth_config: authWire.optional().describe(providerWire.shape.auth_config.description ?? ''),
  rate_limit: providerWire.shape.rate_limit,
  burst_limit: providerWire.shape.burst_limit,
  limits: providerWire.shape.limits,
  max_concurrency: providerWire.shape.max_concurrency
    .unwrap()
    .optional()
    .describe(providerWire.shape.max_concurrency.description ?? ''),
  batch: providerWire.shape.batch,
  options: providerWire.shape.options,
});
export type TenantWire = z.infer<typeof tenantWire>;
