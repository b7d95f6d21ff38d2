import type { KindDescription } from './kind.ts';
import { salesforceOptions } from './salesforce-options.ts';

export const salesforce: KindDescription = {
  name: 'salesforce',
  title: 'Salesforce',
  description:
    'Salesforce’s REST API: single records, up to 200 a call by sObject Collections, and Bulk API 2.0 jobs for long backlogs. base_url is ' +
    'https://<MyDomain>.my.salesforce.com; the instance_url that comes with a token is used instead of it. How many calls a day are left is ' +
    'read from every answer.',
  can: { batch: true, upsert: true, read: true, webhook: true, poll: true },
  authTypes: ['salesforce_jwt', 'oauth2_client_credentials', 'oauth2_refresh_token', 'bearer'],
  // The most that sObject Collections takes in one call.
  batch: { maxRecords: 200, defaultRecords: 200, isOn: true },
  limits: [],
  isGeneric: false,
  options: salesforceOptions,
};
