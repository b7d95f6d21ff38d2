/** From the canonical record to HubSpot's properties, whose values are all texts on the wire. */

import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import type { CanonicalDefaults } from '../canonical-mapper.ts';
import { invalidPayload } from '../payload-rules.ts';

const address: CanonicalDefaults = {
  street: { field: 'address', type: 'text' },
  city: { field: 'city', type: 'text' },
  state: { field: 'state', type: 'text' },
  postal_code: { field: 'zip', type: 'text' },
  country: { field: 'country', type: 'text' },
};

const contact: CanonicalDefaults = {
  first_name: { field: 'firstname', type: 'text' },
  last_name: { field: 'lastname', type: 'text' },
  email: { field: 'email', type: 'email' },
  phone: { field: 'phone', type: 'phone' },
  mobile_phone: { field: 'mobilephone', type: 'phone' },
  company: { field: 'company', type: 'text' },
  title: { field: 'jobtitle', type: 'text' },
  website: { field: 'website', type: 'text' },
  contact_type: { field: 'lifecyclestage', type: 'text' },
  ...address,
};

const company: CanonicalDefaults = {
  name: { field: 'name', type: 'text' },
  domain: { field: 'domain', type: 'text' },
  phone: { field: 'phone', type: 'phone' },
  website: { field: 'website', type: 'text' },
  ...address,
};

const deal: CanonicalDefaults = {
  name: { field: 'dealname', type: 'text' },
  amount: { field: 'amount', type: 'text' },
  stage: { field: 'dealstage', type: 'text' },
  close_date: { field: 'closedate', type: 'text' },
};

/** Other object types have no defaults: their fields are the provider's mapping, or HubSpot's own names. */
const defaultsByObjectType: ReadonlyMap<string, CanonicalDefaults> = new Map([
  ['contacts', contact],
  ['companies', company],
  ['deals', deal],
]);

export function defaultsOf(objectType: string): CanonicalDefaults {
  return defaultsByObjectType.get(objectType) ?? {};
}

/**
 * What a canonical contact type is called in `lifecyclestage`. HubSpot's stages are those of a sale, so whoever is no buyer is `other`; an
 * account's own stages pass as they are. HubSpot moves a record forward through its stages only: a value further back is taken
 * and changes nothing.
 */
const lifecycleStages: ReadonlyMap<string, string> = new Map([
  ['lead', 'lead'],
  ['prospect', 'salesqualifiedlead'],
  ['customer', 'customer'],
  ['partner', 'other'],
  ['vendor', 'other'],
  ['employee', 'other'],
]);

export type Properties = Readonly<Record<string, string>>;

export type Spelled =
  | { readonly status: 'spelled'; readonly properties: Properties }
  | { readonly status: 'refused'; readonly error: ProviderError };

/** Null is the empty text, which clears; a list is joined by semicolons, as properties of several values are; an object has no spelling. */
export function spellProperties(fields: Readonly<Record<string, unknown>>): Spelled {
  // Without a prototype: a field may be called __proto__.
  const properties: Record<string, string> = Object.create(null);
  const bad: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const text = Array.isArray(value) ? spellList(value) : spellValue(value);
    if (text === undefined) bad.push(name);
    else properties[name] = name === 'lifecyclestage' ? (lifecycleStages.get(text.toLowerCase()) ?? text) : text;
  }
  if (bad.length === 0) return { status: 'spelled', properties };
  return {
    status: 'refused',
    error: invalidPayload(`${bad.slice(0, 10).join(', ')} must be a text, a number, true, false, or a list of these`),
  };
}

function spellValue(value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function spellList(values: readonly unknown[]): string | undefined {
  const texts = values.map(spellValue);
  return texts.includes(undefined) ? undefined : texts.join(';');
}
