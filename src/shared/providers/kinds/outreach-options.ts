/** Settings of the kind `outreach`. */
import { z } from 'zod';
import { defaultCountry, objectNames, onDuplicate } from './common-options.ts';

export const outreachOptions = z.strictObject({
  /** Added to `base_url` unless that ends with it. */
  api_path: z
    .string()
    .regex(/^(?:\/[A-Za-z0-9._-]+){1,8}$/, 'must be a path such as /api/v2')
    .default('/api/v2'),
  /** Entity to resource type, in the singular; an entity that is not named here is taken for the type. */
  objects: objectNames({ contact: 'prospect', prospect: 'prospect', lead: 'prospect', account: 'account' }),
  /** Whether our record id is written to `externalId`. */
  external_id: z.boolean().default(true),
  on_duplicate: onDuplicate.default('link'),
  default_country: defaultCountry,
});

export type OutreachOptions = z.infer<typeof outreachOptions>;
