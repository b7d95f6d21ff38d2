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
  requests: whole(1, 1_000_000_000),
  per: z
    .union([z.string().max(16), z.number()], 'must be a time such as "10s", "1m", "1h" or "1d", or milliseconds')
    .refine(
      (per) => parsePeriodMs(per) >= 1 && parsePeriodMs(per) <= maxPeriodMs,
      'must be a time from "1ms" to "31d", such as "10s", or milliseconds',
    ),
  burst: whole(1, 1_000_000_000).optional(),
});

const retryWire = z.strictObject({
  max_attempts: whole(1, 100).default(8),
  base_ms: whole(1, 3_600_000).default(500),
  max_ms: whole(1, dayMs).default(60_000),
  max_age_ms: whole(1_000, maxPeriodMs).default(dayMs),
});

const breakerWire = z.strictObject({
  failure_rate: z.number().gt(0, 'must be more than 0').max(1, 'must be at most 1').default(0.5),
  min_calls: whole(1, 1_000_000).default(20),
  window_ms: whole(100, 3_600_000).default(10_000),
  open_ms: whole(1, 3_600_000).default(15_000),
});

const path = z
  .string()
  .max(1_024)
  .regex(/^\/[\x21\x22\x24-\x7e]*$/, 'must begin with / and hold no space or #');

export const defaultBatchWaitMs = 20;

/** Without defaults: those are the kind's. */
const batchWire = z.strictObject({
  max_records: whole(1, 1_000).optional(),
  max_wait_ms: whole(0, 10_000).optional(),
  path: path.refine((text) => !/[{}]/.test(text), 'must not hold a template').optional(),
});

const template = path.refine(
  (text) => !/[{}]/.test(text.replaceAll(/\{(?:entity|record_id|provider_record_id)\}/g, '')),
  'may hold {entity}, {record_id} and {provider_record_id} only',
);
const endpoint = <const M extends string>(...methods: readonly [M, ...M[]]) =>
  z.strictObject({ method: z.enum(methods).optional(), path: template }).optional();

const endpointsWire = z.strictObject({
  create: endpoint('POST', 'PUT', 'PATCH'),
  update: endpoint('PATCH', 'PUT', 'POST'),
  upsert: endpoint('PUT', 'PATCH', 'POST'),
  delete: endpoint('DELETE', 'POST', 'PUT', 'PATCH'),
  read: endpoint('GET', 'POST'),
} satisfies Record<(typeof operationKinds)[number], unknown>);

const fieldName = z.string().min(1).max(255);

export const providerWire = z.strictObject({
  name: z.string().regex(providerNameShape, 'must be 1 to 64 of a-z, 0-9, _ and -'),
  kind: z.string().max(64).optional(),
  base_url: url,
  auth_config: authWire.default({ type: 'none' }),
  rate_limit: whole(1, 1_000_000_000).optional(),
  burst_limit: whole(1, 1_000_000_000).optional(),
  limits: z.array(limitWire).max(8, 'must be at most 8 limits').optional(),
  max_concurrency: whole(1, 10_000).default(50),
  timeout_ms: whole(1, 300_000).default(10_000),
  retry: retryWire.prefault({}),
  breaker: breakerWire.prefault({}),
  batch: batchWire.optional(),
  coalesce: z.boolean().default(true),
  conflict: z.enum(['record', 'field']).default('record'),
  mapping: z.record(fieldName, fieldName.nullable()).optional(),
  unknown_fields: z.enum(['pass', 'drop', 'refuse']).default('pass'),
  schema: z.record(z.string(), z.unknown()).optional(),
  endpoints: endpointsWire.optional(),
  /** The kind's own settings: checked, and filled in, by the kind's schema. */
  options: z.record(z.string().max(64), z.unknown()).optional(),
});
export type ProviderWire = z.infer<typeof providerWire>;

/** What an answer shows besides; accepted and ignored when it is sent back. */
export const readOnlyFields: readonly string[] = ['paused', 'version', 'created_at', 'updated_at'];

/** What a tenant may have of its own at a provider; nothing is filled in, for what is left out is the provider's. */
export const tenantWire = z.strictObject({
  base_url: url.optional(),
  auth_config: authWire.optional(),
  rate_limit: providerWire.shape.rate_limit,
  burst_limit: providerWire.shape.burst_limit,
  limits: providerWire.shape.limits,
  max_concurrency: providerWire.shape.max_concurrency.unwrap().optional(),
  batch: providerWire.shape.batch,
  options: providerWire.shape.options,
});
export type TenantWire = z.infer<typeof tenantWire>;
