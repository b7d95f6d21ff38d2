/**
 * Values of the canonical record's fields, each brought into the one spelling that every CRM gets. Null clears, in every type; so does an
 * empty e-mail or number, which is how forms spell it.
 *
 * Numbers are checked with libphonenumber's full metadata: the smaller set tells lengths only, and a number that no telephone answers
 * to is better named here than found out by a salesperson.
 */
import { createRequire } from 'node:module';
import type * as PhoneNumbers from 'libphonenumber-js/max';
import { z } from 'zod';

/** `text` is passed as it came, whatever it is. */
export type FieldType = 'text' | 'email' | 'phone';

export type FieldValue = { readonly status: 'read'; readonly value: unknown } | { readonly status: 'unreadable'; readonly message: string };

/** `country`: ISO 3166-1 alpha-2, of numbers without a country code. Messages say what is wrong and never repeat the value. */
export function readFieldValue(type: FieldType, value: unknown, country: string | undefined): FieldValue {
  if (type === 'text' || value === null) return { status: 'read', value };
  const text = typeof value === 'string' ? value.trim() : type === 'phone' && Number.isSafeInteger(value) ? String(value) : undefined;
  if (text === undefined) return unreadable(`must be a text, not ${Array.isArray(value) ? 'a list' : `a ${typeof value}`}`);
  if (text === '') return { status: 'read', value: null };
  return type === 'email' ? readEmail(text) : readPhone(text, country);
}

const require = createRequire(import.meta.url);
let loaded: typeof PhoneNumbers | undefined;

/** Loaded with the first number: some 10 MB that a worker without CRMs does not need. */
function phoneNumbers(): typeof PhoneNumbers {
  loaded ??= require('libphonenumber-js/max') as typeof PhoneNumbers;
  return loaded;
}

const emailShape = z.email();
/** RFC 5321, 4.5.3.1.3: a path has 256 characters with its brackets. */
const maxEmailLength = 254;

function readEmail(text: string): FieldValue {
  const email = text.toLowerCase();
  if (email.length > maxEmailLength || !emailShape.safeParse(email).success) return unreadable('is not an e-mail address');
  return { status: 'read', value: email };
}

/** E.164; an extension, which that has no room for, is kept behind it. */
function readPhone(text: string, country: string | undefined): FieldValue {
  const options = { extract: false, ...(country === undefined ? {} : { defaultCountry: country as PhoneNumbers.CountryCode }) };
  const number = phoneNumbers().parsePhoneNumberFromString(text, options);
  if (number?.isValid()) return { status: 'read', value: number.ext === undefined ? number.number : `${number.number} ext. ${number.ext}` };
  if (!number && country === undefined && !text.startsWith('+')) {
    return unreadable('has no country code: it must begin with +, or the provider needs options.default_country');
  }
  return unreadable('is not a valid phone number');
}

function unreadable(message: string): FieldValue {
  return { status: 'unreadable', message };
}
