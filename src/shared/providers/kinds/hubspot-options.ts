/** Settings of the kind `hubspot`. */
import { z } from 'zod';
import { defaultCountry, objectNames, onDuplicate } from './common-options.ts';

const propertyName = z.string().regex(/^[a-z][a-z0-9_]{0,99}$/, 'must be the internal name of a property');

export const hubspotOptions = z.strictObject({
  /** The path that the version is part of, such as /crm/v3/objects or /crm/objects/2026-09. */
  api_path: z
    .string()
    .regex(/^(?:\/[A-Za-z0-9._-]+){1,8}$/, 'must be a path such as /crm/v3/objects')
    .default('/crm/v3/objects'),
  /** Entity to object type; an entity that is not named here is taken for the object type. */
  objects: objectNames({ contact: 'contacts', company: 'companies', deal: 'deals' }),
  /**
   * Unique property that holds our record id. With it, creates and upserts are upserts by that property, which can be repeated safely.
   * Null: records are told apart by `lookup_property`.
   */
  record_id_property: propertyName.nullable().default(null),
  /** Unique property of the mapped payload by which a record is found that the provider has already. */
  lookup_property: propertyName.default('email'),
  on_duplicate: onDuplicate.default('link'),
  default_country: defaultCountry,
});

export type HubspotOptions = z.infer<typeof hubspotOptions>;
