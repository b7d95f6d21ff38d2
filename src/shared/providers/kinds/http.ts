import type { KindDescription } from './kind.ts';

export const http: KindDescription = {
  name: 'http',
  title: 'REST service',
  description:
    'Any service with JSON over HTTP: create by POST, update by PATCH, upsert by PUT, delete by DELETE, read by GET, under base_url; ' +
    'other methods and paths by endpoints; many records in one call by batch.path.',
  can: { batch: true, upsert: true, read: true, webhook: false, poll: false },
  authTypes: ['none', 'bearer', 'api_key', 'basic', 'oauth2_client_credentials', 'oauth2_refresh_token'],
  batch: { maxRecords: 1_000, defaultRecords: 100, isOn: false },
  limits: [],
  isGeneric: true,
  options: undefined,
};
