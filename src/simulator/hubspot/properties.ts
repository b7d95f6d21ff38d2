/** Which properties the simulated HubSpot's objects have, and what values they take. */
import { badProperties, type HubspotError, invalid } from './errors.ts';
import type { HubspotSettings, PropertySettings } from './settings.ts';

export interface ObjectType {
  readonly name: 'contacts' | 'companies' | 'deals';
  readonly id: string;
  readonly singular: string;
  /** Given back where nobody asks for others. */
  readonly defaults: readonly string[];
  readonly modifiedProperty: string;
  /** A new record needs one of them. */
  readonly needsOneOf: readonly string[];
  readonly properties: Readonly<Record<string, PropertySettings>>;
}

export type Values = Readonly<Record<string, string>>;

const text = (...names: string[]) => described({ type: 'string', unique: false, read_only: false }, names);
const readOnly = (...names: string[]) => described({ type: 'string', unique: false, read_only: true }, names);

function described(settings: PropertySettings, names: readonly string[]): Record<string, PropertySettings> {
  return Object.fromEntries(names.map((name) => [name, settings]));
}

const stages = [
  'subscriber',
  'lead',
  'marketingqualifiedlead',
  'salesqualifiedlead',
  'opportunity',
  'customer',
  'evangelist',
  'other',
] as const;

const plain = { unique: false, read_only: false } as const;
const stage: PropertySettings = { ...plain, type: 'enumeration', options: [...stages] };
const leadStatuses = ['NEW', 'OPEN', 'IN_PROGRESS', 'OPEN_DEAL', 'UNQUALIFIED', 'ATTEMPTED_TO_CONTACT', 'CONNECTED', 'BAD_TIMING'];
const address = ['address', 'city', 'state', 'zip', 'country'];

const contacts: ObjectType = {
  name: 'contacts',
  id: '0-1',
  singular: 'contact',
  defaults: ['createdate', 'email', 'firstname', 'hs_object_id', 'lastmodifieddate', 'lastname'],
  modifiedProperty: 'lastmodifieddate',
  needsOneOf: ['email', 'firstname', 'lastname'],
  properties: {
    ...text('firstname', 'lastname', 'phone', 'mobilephone', 'fax', 'company', 'jobtitle', 'website', 'salutation', 'industry', ...address),
    ...text('hubspot_owner_id', 'hs_language', 'message', 'twitterhandle', 'linkedinbio', 'job_function', 'seniority'),
    ...readOnly('hs_object_id', 'createdate', 'lastmodifieddate', 'hs_object_source'),
    email: { ...plain, type: 'email', unique: true },
    annualrevenue: { ...plain, type: 'number' },
    numemployees: { ...plain, type: 'number' },
    date_of_birth: { ...plain, type: 'string' },
    closedate: { ...plain, type: 'date' },
    lifecyclestage: stage,
    hs_lead_status: { ...plain, type: 'enumeration', options: leadStatuses },
    hs_email_optout: { ...plain, type: 'bool' },
  },
};

const companies: ObjectType = {
  name: 'companies',
  id: '0-2',
  singular: 'company',
  defaults: ['createdate', 'domain', 'hs_lastmodifieddate', 'hs_object_id', 'name'],
  modifiedProperty: 'hs_lastmodifieddate',
  needsOneOf: ['name', 'domain'],
  properties: {
    ...text('name', 'domain', 'phone', 'website', 'industry', 'description', 'type', 'address2', 'hubspot_owner_id', ...address),
    ...readOnly('hs_object_id', 'createdate', 'hs_lastmodifieddate'),
    annualrevenue: { ...plain, type: 'number' },
    numberofemployees: { ...plain, type: 'number' },
    lifecyclestage: stage,
  },
};

const deals: ObjectType = {
  name: 'deals',
  id: '0-3',
  singular: 'deal',
  defaults: ['amount', 'closedate', 'createdate', 'dealname', 'dealstage', 'hs_lastmodifieddate', 'hs_object_id', 'pipeline'],
  modifiedProperty: 'hs_lastmodifieddate',
  needsOneOf: ['dealname'],
  properties: {
    ...text('dealname', 'dealstage', 'pipeline', 'dealtype', 'description', 'hubspot_owner_id'),
    ...readOnly('hs_object_id', 'createdate', 'hs_lastmodifieddate'),
    amount: { ...plain, type: 'number' },
    closedate: { ...plain, type: 'date' },
  },
};

const types = [contacts, companies, deals];

/** By the plural, the singular or the type's id. */
export function objectType(name: string): ObjectType | undefined {
  return types.find((type) => type.name === name || type.singular === name || type.id === name);
}

export function propertyOf(type: ObjectType, name: string, settings: HubspotSettings): PropertySettings | undefined {
  const known = [settings.properties[type.name] ?? {}, type.properties].find((properties) => Object.hasOwn(properties, name));
  return known?.[name] ?? (settings.any_property ? { ...plain, type: 'string' } : undefined);
}

/** Settings are replaced, never changed, so what follows from them can be kept beside them. */
const uniqueBySettings = new WeakMap<HubspotSettings, Map<ObjectType, readonly string[]>>();

/** Names of the properties whose values no two records share. */
export function uniqueProperties(type: ObjectType, settings: HubspotSettings): readonly string[] {
  const byType = uniqueBySettings.get(settings) ?? new Map<ObjectType, readonly string[]>();
  uniqueBySettings.set(settings, byType);
  const known = byType.get(type);
  if (known) return known;
  const all = { ...type.properties, ...settings.properties[type.name] };
  const unique = Object.keys(all).filter((name) => all[name]?.unique);
  byType.set(type, unique);
  return unique;
}

/** What a write's `properties` come to, or why they are refused. `""` clears. */
export function readValues(
  type: ObjectType,
  given: unknown,
  settings: HubspotSettings,
): { readonly values: Values } | { readonly error: HubspotError } {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return { error: invalid('Some required fields were not set: [properties]') };
  }
  const values: Record<string, string> = {};
  const bad: { name: string; code: string; message: string }[] = [];
  for (const [name, raw] of Object.entries(given)) {
    const value = typeof raw !== 'string' && settings.coerce_values && isScalar(raw) ? String(raw) : raw;
    if (typeof value !== 'string') return { error: wrongJsonType(name, raw) };
    const fault = faultOf(propertyOf(type, name, settings), name, value);
    if (fault) bad.push({ name, ...fault });
    else values[name] = normal(name, value);
  }
  return bad.length > 0 ? { error: badProperties(bad) } : { values };
}

function isScalar(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}

function wrongJsonType(name: string, value: unknown): HubspotError {
  const token = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  return invalid(`Invalid input JSON: cannot deserialize value of type \`java.lang.String\` from ${token} (property "${name}")`);
}

function normal(name: string, value: string): string {
  return name === 'email' ? value.trim().toLowerCase() : value;
}

interface Fault {
  readonly code: string;
  readonly message: string;
}

function faultOf(property: PropertySettings | undefined, name: string, value: string): Fault | undefined {
  if (!property) return { code: 'PROPERTY_DOESNT_EXIST', message: `Property "${name}" does not exist` };
  if (property.read_only) return { code: 'READ_ONLY_VALUE', message: `"${name}" is a read only property; its value cannot be set.` };
  return value === '' ? undefined : faultOfValue(property, name, value);
}

function faultOfValue(property: PropertySettings, name: string, value: string): Fault | undefined {
  switch (property.type) {
    case 'email':
      return isEmail(value) ? undefined : { code: 'INVALID_EMAIL', message: `Email address ${value} is invalid` };
    case 'number':
      return Number.isFinite(Number(value)) ? undefined : { code: 'INVALID_INTEGER', message: `${value} was not a valid number.` };
    case 'date':
      return Number.isNaN(toMs(value)) ? { code: 'INVALID_DATE', message: `${value} was not a valid date for ${name}.` } : undefined;
    case 'bool':
      return notAmong(['true', 'false'], value);
    case 'enumeration':
      return notAmong(property.options ?? [], value);
    case 'string':
      return undefined;
  }
}

function notAmong(options: readonly string[], value: string): Fault | undefined {
  if (options.includes(value)) return undefined;
  return { code: 'INVALID_OPTION', message: `${value} was not one of the allowed options: [${options.join(', ')}]` };
}

function isEmail(value: string): boolean {
  return /^[^\s@,;<>()]+@[^\s@,;<>()]+\.[^\s@,;<>().]{2,}$/.test(value.trim());
}

/** A time given as epoch milliseconds or in ISO 8601; NaN when it is neither. */
export function toMs(value: string): number {
  return /^-?\d+$/.test(value) ? Number(value) : Date.parse(value);
}

/** A contact's stage moves forward only, unless it is cleared first: a value further back is passed over without a word. */
export function movesStageBack(held: string | undefined, next: string): boolean {
  if (held === undefined || next === '') return false;
  const order: readonly string[] = stages;
  return order.indexOf(next) < order.indexOf(held);
}
