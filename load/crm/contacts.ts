/** Made-up contacts: record `number` has the same e-mail address in every CRM, and no other record has it. */
import type { Operation } from './scene.ts';

const recordIdOf = (number: number) => `c${number}`;
export const emailOf = (number: number) => `contact.${number}@example.com`;
export const createdName = 'Ada';
export const changedName = (number: number) => `Changed ${number}`;

export function createContact(number: number): Operation {
  const data = {
    first_name: createdName,
    last_name: `Contact ${number}`,
    email: emailOf(number),
    phone: '+1 212 555 0123',
    title: 'Director',
  };
  return { operation: 'create', recordId: recordIdOf(number), data };
}

/** With a bad e-mail address it is refused before it is sent. */
export function changeContact(number: number, hasBadEmail: boolean): Operation {
  const data = { first_name: changedName(number), ...(hasBadEmail ? { email: 'not an address' } : {}) };
  return { operation: 'update', recordId: recordIdOf(number), data };
}

export const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
