import { hubspotOptions } from './hubspot-options.ts';
import type { KindDescription } from './kind.ts';

export const hubspot: KindDescription = {
  name: 'hubspot',
  title: 'HubSpot',
  description:
    'HubSpot’s CRM objects: single records, and batches of up to 100. base_url is https://api.hubapi.com. bearer takes the token of a private ' +
    'app or a service key; oauth2_refresh_token is for an app that was installed.',
  can: { batch: true, upsert: true, read: true, webhook: true, poll: true },
  authTypes: ['bearer', 'oauth2_refresh_token'],
  // The most that its batch calls take.
  batch: { maxRecords: 100, defaultRecords: 100, isOn: true },
  // What every account has, whatever it pays for.
  limits: [{ requests: 100, per: '10s' }],
  isGeneric: false,
  options: hubspotOptions,
};
