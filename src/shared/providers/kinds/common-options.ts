/** Settings that several kinds of CRM have in common. */
import { z } from 'zod';

/** ISO 3166-1 alpha-2, in capitals: the country of phone numbers that do not say theirs. */
export const defaultCountry = z
  .string()
  .regex(/^[A-Z]{2}$/, 'must be a country code such as DE')
  .optional();

/**
 * What becomes of a create whose record the provider has already. `link`: the record found takes the fields, and its id is kept;
 * `report`: the operation becomes a dead letter that names the id.
 */
export const onDuplicate = z.enum(['link', 'report']);

/** Entity, as operations name it, to the provider's name for such objects. */
export const objectNames = (defaults: Readonly<Record<string, string>>) =>
  z.record(z.string().min(1).max(64), z.string().regex(/^[A-Za-z0-9_-]{1,80}$/, 'must be the name of an object')).default(defaults);
