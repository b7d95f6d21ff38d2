/**
 * From the wire form of a provider to the configuration the system reads. Every fault is told at once, each with its place. The wire
 * form that comes back has all defaults filled in, so that a later change of a default does not change providers that exist.
 */

import type { FieldError } from '../domain/field-error.ts';
import { checkProviderUrl, type NetworkPolicy } from './address.ts';
import { type AuthWire, mapSecrets, secretFieldsOf, toAuth } from './auth-wire.ts';
import type { ProviderConfig, RateLimit } from './config.ts';
import { fieldOf, toFieldErrors, withoutFaulty } from './field-errors.ts';
import { checkAgainstKind, fillKindDefaults, parseOptions } from './kind-rules.ts';
import type { ProviderKinds } from './kinds.ts';
import { checkPayloadSchema } from './payload-schema.ts';
import { defaultBatchWaitMs, maskedSecret, type ProviderWire, parsePeriodMs, providerWire, readOnlyFields } from './wire.ts';

export interface ParseOptions {
  readonly kinds: ProviderKinds;
  readonly network: NetworkPolicy;
  /** What is stored, secrets in the clear: `"***"` keeps them. A text instead says why they cannot be kept. */
  readonly keptAuth?: AuthWire | string | undefined;
}

/** All but what the store adds. */
export type UnstoredConfig = Omit<ProviderConfig, 'isPaused' | 'version' | 'createdAt'>;

export type ParsedProvider =
  | {
      readonly status: 'valid';
      readonly config: UnstoredConfig /** Defaults filled in, secrets in the clear. */;
      readonly wire: ProviderWire;
    }
  | { readonly status: 'invalid'; readonly errors: readonly FieldError[] };

export function parseProvider(input: unknown, options: ParseOptions): ParsedProvider {
  const filled = fillKeptSecrets(withoutReadOnly(input), options.keptAuth);
  const parsed = providerWire.safeParse(filled.input, { reportInput: true });
  const found = [...filled.errors, ...(parsed.error?.issues.flatMap(toFieldErrors) ?? [])];
  if (!parsed.success || found.length > 0) return { status: 'invalid', errors: [...found, ...checkRest(filled.input, found, options)] };
  const given = parsed.data;
  const { kind, own, errors } = checkFields(given, options);
  if (errors.length > 0 || !kind) return { status: 'invalid', errors };
  const wire = fillKindDefaults(given, kind, own);
  return { status: 'valid', config: toConfig(wire, kind.name), wire };
}

/** What is wrong with the fields that stand up to the wire form, where others do not. */
export function checkRest(input: unknown, found: readonly FieldError[], options: ParseOptions): FieldError[] {
  if (!isObject(input)) return [];
  const parsed = providerWire.safeParse({ name: 'unnamed', base_url: 'https://unknown.invalid', ...withoutFaulty(input, found) });
  return parsed.success ? checkFields(parsed.data, options, new Set(found.map(fieldOf))).errors : [];
}

/** What the wire form alone does not say. No check is made that would need a faulty field: it could only guess. */
function checkFields(wire: ProviderWire, { kinds, network }: ParseOptions, faulty: ReadonlySet<string> = new Set()) {
  const check = (needed: readonly (keyof ProviderWire)[], errorsOf: () => FieldError[]) =>
    needed.some((field) => faulty.has(field)) ? [] : errorsOf();
  const kindName = wire.kind ?? (kinds.has(wire.name) ? wire.name : 'http');
  const kindFields = wire.kind === undefined ? (['kind', 'name'] as const) : (['kind'] as const);
  const kind = kinds.get(kindName);
  const own = kind && parseOptions(wire, kind);
  const errors = [
    ...check(['limits', 'rate_limit', 'burst_limit'], () => checkLimits(wire)),
    ...check(['retry'], () => checkRetry(wire)),
    ...check(['base_url'], () => checkBaseUrl(wire, network)),
    ...check(['auth_config'], () => checkAuthUrls(wire, network)),
    ...check(kindFields, () => (kind ? [...checkAgainstKind(wire, kind), ...(own?.errors ?? [])] : [unknownKind(kindName, kinds)])),
    ...checkPayloadFields(wire),
    ...check([...kindFields, 'mapping', 'schema'], () => (kind?.isGeneric ? checkUnknownFields(wire) : [])),
  ];
  return { kind, own: own?.options, errors: errors.filter((error) => !faulty.has(fieldOf(error))) };
}

function withoutReadOnly(input: unknown): unknown {
  if (!isObject(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([name]) => !readOnlyFields.includes(name)));
}

/** Puts what is stored in the place of `"***"`. */
export function fillKeptSecrets(input: unknown, kept: AuthWire | string | undefined): { input: unknown; errors: FieldError[] } {
  if (!isObject(input) || !isObject(input['auth_config'])) return { input, errors: [] };
  const auth: Record<string, unknown> = { ...input['auth_config'] };
  const type = auth['type'];
  const errors: FieldError[] = [];
  for (const field of secretFieldsOf(auth)) {
    if (auth[field] !== maskedSecret) continue;
    if (typeof kept === 'string') errors.push({ path: `auth_config.${field}`, message: `cannot be kept, send it again: ${kept}` });
    else if (kept?.type !== type)
      errors.push({ path: `auth_config.${field}`, message: '"***" keeps what is stored, and nothing is stored' });
    else auth[field] = (kept as Readonly<Record<string, unknown>>)[field];
  }
  return { input: { ...input, auth_config: auth }, errors };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownKind(name: string, kinds: ProviderKinds): FieldError {
  return { path: 'kind', message: `${JSON.stringify(name)} is not a kind there is: use one of ${[...kinds.keys()].join(', ')}` };
}

function checkLimits(wire: ProviderWire): FieldError[] {
  const errors: FieldError[] = [];
  if (wire.limits && (wire.rate_limit !== undefined || wire.burst_limit !== undefined)) {
    errors.push({ path: 'limits', message: 'is the full form of rate_limit and burst_limit: give one of the two forms' });
  }
  if (wire.burst_limit !== undefined && wire.rate_limit === undefined) errors.push({ path: 'burst_limit', message: 'needs rate_limit' });
  const periods = (wire.limits ?? []).map((limit) => parsePeriodMs(limit.per));
  for (const [index, perMs] of periods.entries()) {
    if (periods.indexOf(perMs) < index) errors.push({ path: `limits.${index}.per`, message: 'is the time of another limit already' });
  }
  return errors;
}

function checkRetry({ retry }: ProviderWire): FieldError[] {
  return retry.max_ms < retry.base_ms ? [{ path: 'retry.max_ms', message: 'must not be less than retry.base_ms' }] : [];
}

function checkBaseUrl(wire: ProviderWire, network: NetworkPolicy): FieldError[] {
  const problem = checkProviderUrl(wire.base_url, network);
  return problem ? [{ path: 'base_url', message: problem }] : [];
}

function checkAuthUrls({ auth_config: auth }: ProviderWire, network: NetworkPolicy): FieldError[] {
  const errors: FieldError[] = [];
  const tokenProblem = 'token_url' in auth ? checkProviderUrl(auth.token_url, network, { allowQuery: true }) : undefined;
  if (tokenProblem) errors.push({ path: 'auth_config.token_url', message: tokenProblem });
  const loginProblem = 'login_url' in auth ? checkProviderUrl(auth.login_url, network) : undefined;
  if (loginProblem) errors.push({ path: 'auth_config.login_url', message: loginProblem });
  return errors;
}

const maxMappedFields = 1_000;

function checkPayloadFields(wire: ProviderWire): FieldError[] {
  const errors = checkMapping(wire.mapping ?? {});
  for (const { path, message } of wire.schema ? checkPayloadSchema(wire.schema) : []) {
    errors.push({ path: path === '' ? 'schema' : `schema.${path}`, message });
  }
  return errors;
}

function checkMapping(mapping: NonNullable<ProviderWire['mapping']>): FieldError[] {
  const mapped = Object.entries(mapping).filter(([, target]) => target !== null);
  const errors: FieldError[] = [];
  if (mapped.length > maxMappedFields) errors.push({ path: 'mapping', message: `must be at most ${maxMappedFields} fields` });
  const sources = new Map<unknown, number>();
  for (const [, target] of mapped) sources.set(target, (sources.get(target) ?? 0) + 1);
  for (const [source, target] of mapped) {
    const isTwice = sources.get(target) !== 1;
    if (isTwice) errors.push({ path: `mapping.${source}`, message: `${JSON.stringify(target)} is the target of several fields` });
  }
  return errors;
}

function checkUnknownFields(wire: ProviderWire): FieldError[] {
  if (wire.unknown_fields === 'pass' || wire.mapping || isObject(wire.schema?.['properties'])) return [];
  return [{ path: 'unknown_fields', message: 'needs a mapping, or a schema with properties, to know the known fields from' }];
}

function toConfig(wire: ProviderWire, kind: string): UnstoredConfig {
  const { retry, breaker, batch } = wire;
  return {
    name: wire.name,
    account: wire.name,
    kind,
    baseUrl: wire.base_url.replace(/\/+$/, ''),
    auth: toAuth(wire.auth_config),
    limits: toLimits(wire),
    maxConcurrency: wire.max_concurrency,
    timeoutMs: wire.timeout_ms,
    retry: { maxAttempts: retry.max_attempts, baseMs: retry.base_ms, maxMs: retry.max_ms, maxAgeMs: retry.max_age_ms },
    breaker: { failureRate: breaker.failure_rate, minCalls: breaker.min_calls, windowMs: breaker.window_ms, openMs: breaker.open_ms },
    batch: batch && {
      // Filled in by now: 1 is for the compiler.
      maxRecords: batch.max_records ?? 1,
      maxWaitMs: batch.max_wait_ms ?? defaultBatchWaitMs,
      ...(batch.path === undefined ? {} : { path: batch.path }),
    },
    coalesce: wire.coalesce,
    conflict: wire.conflict,
    mapping: wire.mapping,
    unknownFields: wire.unknown_fields,
    schema: wire.schema,
    endpoints: toEndpoints(wire),
    options: wire.options ?? {},
  };
}

const minuteMs = 60_000;

function toLimits(wire: ProviderWire): RateLimit[] {
  if (wire.rate_limit !== undefined) return [toLimit(wire.rate_limit, minuteMs, wire.burst_limit)];
  return (wire.limits ?? []).map((limit) => toLimit(limit.requests, parsePeriodMs(limit.per), limit.burst));
}

/** Small, because a burst over new connections arrives late, and comes back each time its window has passed (decision 0017). */
const defaultBurstMs = 100;

/** By default a tenth of a second's worth may start at one moment; more than the whole limit never can. */
function toLimit(requests: number, perMs: number, burst = Math.max(1, Math.ceil((requests * defaultBurstMs) / perMs))): RateLimit {
  return { requests, perMs, burst: Math.min(burst, requests) };
}

const ownMethods: Readonly<Record<string, string>> = { create: 'POST', update: 'PATCH', upsert: 'PUT', delete: 'DELETE', read: 'GET' };

function toEndpoints(wire: ProviderWire): ProviderConfig['endpoints'] {
  if (!wire.endpoints) return undefined;
  const given = Object.entries(wire.endpoints).flatMap(([kind, endpoint]) => (endpoint ? [{ kind, ...endpoint }] : []));
  return Object.fromEntries(given.map(({ kind, method, path }) => [kind, { method: method ?? (ownMethods[kind] as string), path }]));
}

/** For people: defaults filled in, secrets masked. */
export function maskSecrets(wire: ProviderWire): ProviderWire {
  return { ...wire, auth_config: mapSecrets(wire.auth_config, () => maskedSecret) };
}
