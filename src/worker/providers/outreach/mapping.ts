/** From the canonical record to Outreach's attributes, several of which are lists. */
import { type CanonicalDefaults, type CanonicalMapper, createCanonicalMapper } from '../canonical-mapper.ts';
import type { Rules } from '../payload-rules.ts';
import type { Call } from '../provider.ts';

const prospect: CanonicalDefaults = {
  first_name: { field: 'firstName', type: 'text' },
  middle_name: { field: 'middleName', type: 'text' },
  last_name: { field: 'lastName', type: 'text' },
  email: { field: 'emails', type: 'email', isList: true },
  phone: { field: 'workPhones', type: 'phone', isList: true },
  mobile_phone: { field: 'mobilePhones', type: 'phone', isList: true },
  home_phone: { field: 'homePhones', type: 'phone', isList: true },
  company: { field: 'company', type: 'text' },
  title: { field: 'title', type: 'text' },
  website: { field: 'websiteUrl1', type: 'text' },
  linkedin_url: { field: 'linkedInUrl', type: 'text' },
  street: { field: 'addressStreet', type: 'text' },
  city: { field: 'addressCity', type: 'text' },
  state: { field: 'addressState', type: 'text' },
  postal_code: { field: 'addressZip', type: 'text' },
  country: { field: 'addressCountry', type: 'text' },
  tags: { field: 'tags', type: 'text', isList: true },
  contact_type: { field: null, type: 'text', why: 'prospects have no such attribute; a mapping can send it to a custom one' },
};

const account: CanonicalDefaults = {
  name: { field: 'name', type: 'text' },
  domain: { field: 'domain', type: 'text' },
  website: { field: 'websiteUrl', type: 'text' },
  industry: { field: 'industry', type: 'text' },
  tags: { field: 'tags', type: 'text', isList: true },
};

/** What the dialect knows of a resource type; of others it only knows what a mapping says. */
export interface ResourceType {
  readonly type: string;
  readonly plural: string;
  /** The attribute for another system's id; undefined where there is none. */
  readonly externalId: string | undefined;
  /** The list of unique e-mails; undefined where there is none. */
  readonly emails: string | undefined;
}

const externalIds: ReadonlyMap<string, string> = new Map([
  ['prospect', 'externalId'],
  ['account', 'customId'],
]);

export function resourceTypeOf(type: string): ResourceType {
  const plural = /[^aeiou]y$/.test(type) ? `${type.slice(0, -1)}ies` : `${type}s`;
  return { type, plural, externalId: externalIds.get(type), emails: type === 'prospect' ? 'emails' : undefined };
}

export type Attributes = Readonly<Record<string, unknown>>;

const lists: ReadonlySet<string> = new Set(['emails', 'homePhones', 'mobilePhones', 'otherPhones', 'voipPhones', 'workPhones', 'tags']);

const defaultsByType: ReadonlyMap<string, CanonicalDefaults> = new Map([
  ['prospect', prospect],
  ['account', account],
]);

/** Other types have none: their fields are the provider's mapping, or Outreach's own names. */
export function defaultsOf(type: string): CanonicalDefaults {
  return defaultsByType.get(type) ?? {};
}

export function createAttributeMapper(type: string, rules: Rules, country: string | undefined): CanonicalMapper {
  const mapper = createCanonicalMapper(rules, defaultsOf(type), { country });
  return {
    map(call: Call) {
      const mapped = mapper.map(call);
      return mapped.status === 'refused' ? mapped : { status: 'mapped', fields: spellLists(mapped.fields) };
    },
  };
}

/** A list is cleared by an empty one; a mapping may have sent a single value to it. */
function spellLists(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  // Without a prototype: a field may be called __proto__.
  const spelled: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(fields)) spelled[name] = lists.has(name) && !Array.isArray(value) ? toList(value) : value;
  return spelled;
}

function toList(value: unknown): unknown[] {
  return value === null ? [] : [value];
}
