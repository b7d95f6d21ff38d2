import type { KindDescription } from './kind.ts';
import { outreachOptions } from './outreach-options.ts';

export const outreach: KindDescription = {
  name: 'outreach',
  title: 'Outreach',
  description:
    'Outreach’s JSON:API, one record a call. base_url is https://api.outreach.io. It has no upsert of its own: a record is looked up, then made ' +
    'or changed. Each refresh gives another refresh token, which is kept sealed.',
  can: { batch: false, upsert: false, read: true, webhook: true, poll: true },
  authTypes: ['oauth2_refresh_token', 'bearer'],
  batch: undefined,
  limits: [{ requests: 10_000, per: '1h' }],
  isGeneric: false,
  options: outreachOptions,
};
