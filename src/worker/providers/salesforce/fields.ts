/** The canonical record's fields at Salesforce, by sObject, and what a new record must have. */
import type { CanonicalDefaults, CanonicalField } from '../canonical-mapper.ts';

const text = (field: string): CanonicalField => ({ field, type: 'text' });
const email = (field: string): CanonicalField => ({ field, type: 'email' });
const phone = (field: string): CanonicalField => ({ field, type: 'phone' });
const dropped = (why: string, type: CanonicalField['type'] = 'text'): CanonicalField => ({ field: null, type, why });

const contactType = dropped('no standard field says it: routes read it; a mapping may send it to a field of your own');

const person: CanonicalDefaults = {
  first_name: text('FirstName'),
  last_name: text('LastName'),
  salutation: text('Salutation'),
  email: email('Email'),
  phone: phone('Phone'),
  mobile_phone: phone('MobilePhone'),
  fax: phone('Fax'),
  title: text('Title'),
  description: text('Description'),
  lead_source: text('LeadSource'),
  contact_type: contactType,
};

const contact: CanonicalDefaults = {
  ...person,
  department: text('Department'),
  birthdate: text('Birthdate'),
  street: text('MailingStreet'),
  city: text('MailingCity'),
  state: text('MailingState'),
  postal_code: text('MailingPostalCode'),
  country: text('MailingCountry'),
  company: dropped('a contact’s company is its Account, a reference: give AccountId, or map it to a field of your own'),
  website: dropped('a contact has no web address; its Account has'),
};

const lead: CanonicalDefaults = {
  ...person,
  company: text('Company'),
  website: text('Website'),
  industry: text('Industry'),
  street: text('Street'),
  city: text('City'),
  state: text('State'),
  postal_code: text('PostalCode'),
  country: text('Country'),
};

const account: CanonicalDefaults = {
  name: text('Name'),
  phone: phone('Phone'),
  fax: phone('Fax'),
  website: text('Website'),
  industry: text('Industry'),
  description: text('Description'),
  street: text('BillingStreet'),
  city: text('BillingCity'),
  state: text('BillingState'),
  postal_code: text('BillingPostalCode'),
  country: text('BillingCountry'),
  email: dropped('an account has no e-mail address', 'email'),
  contact_type: contactType,
};

const byObject: ReadonlyMap<string, { readonly defaults: CanonicalDefaults; readonly required: readonly string[] }> = new Map([
  ['Contact', { defaults: contact, required: ['LastName'] }],
  ['Lead', { defaults: lead, required: ['LastName', 'Company'] }],
  ['Account', { defaults: account, required: ['Name'] }],
]);

/** Nothing for other sObjects: what is not mapped by the provider's `mapping` passes as `unknown_fields` says. */
export function defaultsOf(object: string): CanonicalDefaults {
  return byObject.get(object)?.defaults ?? {};
}

/** What Salesforce asks of a new record, whatever an administrator asks besides. */
export function requiredFieldsOf(object: string): readonly string[] {
  return byObject.get(object)?.required ?? [];
}
