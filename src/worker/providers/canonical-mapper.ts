/**
 * From the canonical record to a CRM's fields. A CRM's adapter gives its defaults, field by field; the provider's `mapping` wins over
 * them; a field that neither knows is passed, dropped or refused by `unknown_fields`, so that the CRM's own names work as well. Types
 * belong to the canonical field: an e-mail stays an e-mail wherever a mapping sends it.
 *
 * What always holds: only what was given is sent; null stays null (each dialect spells clearing its own way); a passed field never
 * displaces a mapped one of the same payload; what is wrong is named by the name it came under, or by the CRM's in the schema's errors.
 */
import type { OperationKind } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import { type FieldType, readFieldValue } from './field-values.ts';
import {
  createSchemaCheck,
  type Fields,
  invalidPayload,
  notAnObject,
  parseObject,
  type Rules,
  targetsOf,
  unknownFields,
} from './payload-rules.ts';
import type { Call } from './provider.ts';

export interface CanonicalField {
  /** The CRM's field; null where it has none: the value is dropped, and `why` says why. */
  readonly field: string | null;
  readonly type: FieldType;
  /** The CRM's field is a list: one value becomes a list of one, and canonical fields that share it are joined in order. */
  readonly isList?: true;
  readonly why?: string;
}

/**
 * By canonical name: `first_name`, `last_name`, `name`, `email`, `phone`, `mobile_phone`, `company`, `title`, `website`, `street`, `city`,
 * `state`, `postal_code`, `country`, `contact_type` and what else a CRM has a field for. Without a `name` of its own, a name is split at
 * its last space into `first_name` and `last_name`, where neither is given.
 */
export type CanonicalDefaults = Readonly<Record<string, CanonicalField>>;

export type CanonicalMapped =
  | { readonly status: 'mapped'; readonly fields: Record<string, unknown> }
  | { readonly status: 'refused'; readonly error: ProviderError };

export interface CanonicalMapper {
  /** Pure; never throws. A call without data has no fields. */
  map(call: Call): CanonicalMapped;
}

/** `country`: of phone numbers that do not say theirs. Throws on a schema that cannot be compiled. */
export function createCanonicalMapper(
  config: Rules,
  defaults: CanonicalDefaults,
  options: { country: string | undefined },
): CanonicalMapper {
  const targets = targetsOf(config);
  for (const [name, { field }] of Object.entries(defaults))
    if (config.mapping === undefined || !Object.hasOwn(config.mapping, name)) targets.set(name, field);
  const lists = new Set(Object.values(defaults).flatMap(({ field, isList }) => (isList && field !== null ? [field] : [])));
  const check = createSchemaCheck(config);
  const splitsNames = !targets.has('name') && targets.has('last_name');

  return {
    map(call) {
      const data = call.dataJson === undefined ? {} : parseObject(call.dataJson);
      if (!data) return { status: 'refused', error: notAnObject };
      const given = splitsNames ? splitName(data, call.kind) : data;
      const collected = collect(given);
      const error = collected.error ?? check(call.kind, collected.fields);
      return error ? { status: 'refused', error } : { status: 'mapped', fields: collected.fields };
    },
  };

  function collect(data: Fields): { fields: Fields; error: ProviderError | undefined } {
    // Without a prototype: a field may be called __proto__.
    const fields: Fields = Object.create(null);
    const passed: [string, unknown][] = [];
    const bad: string[] = [];
    for (const [name, value] of Object.entries(data)) {
      const target = targets.get(name);
      if (target === undefined) passed.push([name, value]);
      if (target === null || target === undefined) continue;
      const message = put(fields, target, { value, type: typeOf(defaults, name) });
      if (message !== undefined) bad.push(`${name} ${message}`);
    }
    if (bad.length > 0) return { fields, error: invalidPayload(bad.slice(0, 10).join('; ')) };
    if (config.unknownFields === 'refuse' && passed.length > 0) return { fields, error: unknownFields(passed.map(([name]) => name)) };
    if (config.unknownFields === 'pass') for (const [name, value] of passed) if (!Object.hasOwn(fields, name)) fields[name] = value;
    return { fields, error: undefined };
  }

  /** The message says what is wrong with the value. */
  function put(fields: Fields, target: string, { value, type }: { value: unknown; type: FieldType }): string | undefined {
    const isList = lists.has(target);
    const items: unknown[] = [];
    for (const item of isList && Array.isArray(value) ? value : [value]) {
      const read = readFieldValue(type, item, options.country);
      if (read.status === 'unreadable') return read.message;
      items.push(read.value);
    }
    fields[target] = isList ? joinLists(fields[target], items) : items[0];
    return undefined;
  }
}

function typeOf(defaults: CanonicalDefaults, name: string): FieldType {
  return Object.hasOwn(defaults, name) ? (defaults[name]?.type ?? 'text') : 'text';
}

/** A list of nothing clears: null, as in a single field. */
function joinLists(before: unknown, items: readonly unknown[]): unknown[] | null {
  const values = [...new Set([...(Array.isArray(before) ? before : []), ...items.filter((item) => item !== null)])];
  return values.length === 0 ? null : values;
}

/**
 * A name without a space is a last name, which is what CRMs ask for; the first name it does not have is cleared, except in a create,
 * where there is nothing to clear.
 */
function splitName(data: Fields, kind: OperationKind): Fields {
  if (!Object.hasOwn(data, 'name')) return data;
  const { name, ...others } = data;
  if (Object.hasOwn(data, 'first_name') || Object.hasOwn(data, 'last_name')) return others;
  const text = typeof name === 'string' ? name.trim() : name;
  if (text === null || text === '') return { ...others, first_name: null, last_name: null };
  if (typeof text !== 'string') return { ...others, last_name: text };
  const space = text.search(/\s\S*$/);
  if (space >= 0) return { ...others, first_name: text.slice(0, space).trimEnd(), last_name: text.slice(space + 1) };
  return kind === 'create' ? { ...others, last_name: text } : { ...others, first_name: null, last_name: text };
}
