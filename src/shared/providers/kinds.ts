/** The kinds of provider there is an adapter for. Data for the API; the adapters are the worker's. */
import { z } from 'zod';
import { authWires } from './auth-wire.ts';
import { http } from './kinds/http.ts';
import { hubspot } from './kinds/hubspot.ts';
import type { KindDescription } from './kinds/kind.ts';
import { outreach } from './kinds/outreach.ts';
import { salesforce } from './kinds/salesforce.ts';
import { defaultBatchWaitMs, providerWire } from './wire.ts';

export interface ProviderKind extends KindDescription {
  /** JSON Schema of the body that registers a provider of this kind. */
  readonly schema: Readonly<Record<string, unknown>>;
}

export type ProviderKinds = ReadonlyMap<string, ProviderKind>;

export function createProviderKinds(): ProviderKinds {
  return new Map([salesforce, hubspot, outreach, http].map((kind) => [kind.name, { ...kind, schema: describeBody(kind) }]));
}

/** The fields that a kind does not have are left out, those it has show the kind's bounds and defaults. */
function describeBody(kind: KindDescription): Record<string, unknown> {
  const { kind: kindName, endpoints, batch, options, auth_config, limits, ...shared } = providerWire.shape;
  const body = z.strictObject({
    ...shared,
    kind: like(kindName, z.literal(kind.name).optional()),
    auth_config: like(auth_config, authOf(kind)),
    limits: kind.limits.length === 0 ? limits : limits.unwrap().default(kind.limits.map((limit) => ({ ...limit }))),
    ...(kind.batch ? { batch: like(batch, batchOf(kind, kind.batch)) } : {}),
    ...(kind.isGeneric ? { endpoints } : {}),
    ...(kind.options ? { options: like(options, kind.options.optional()) } : {}),
  });
  const schema: Record<string, unknown> = z.toJSONSchema(body, { io: 'input' });
  // A provider of another name than its kind's has to say its kind; that of `http` is said by saying none.
  return kind.name === http.name ? schema : { ...schema, anyOf: [{ properties: { name: { const: kind.name } } }, { required: ['kind'] }] };
}

/** A kind's own form of a field, which means what the field means. */
function like<T extends z.ZodType>(field: z.ZodType, own: T): T {
  return field.description === undefined ? own : own.describe(field.description);
}

function authOf(kind: KindDescription) {
  const [first, ...others] = kind.authTypes.map((type) => authWires[type]);
  if (!first) throw new Error(`the kind ${kind.name} has no way to authenticate`);
  const auth = z.discriminatedUnion('type', [first, ...others]);
  return kind.authTypes.includes('none') ? auth.default({ type: 'none' }) : auth;
}

function batchOf(kind: KindDescription, { maxRecords, defaultRecords, isOn }: NonNullable<KindDescription['batch']>) {
  const { path, max_wait_ms, max_records } = providerWire.shape.batch.unwrap().shape;
  const batch = z.strictObject({
    max_records: like(max_records, z.int().min(1).max(maxRecords).default(defaultRecords)),
    max_wait_ms: max_wait_ms.unwrap().default(defaultBatchWaitMs),
    ...(kind.isGeneric ? { path } : {}),
  });
  return isOn ? batch.prefault({}) : batch.optional();
}
