/** Bodies that the API accepts, of which a test says only what it is about. */
import type { Answer, TestApi } from './in-process-api.ts';

/** Nothing listens there, and no worker runs: what is queued stays queued. */
export const crm = { name: 'crm', base_url: 'http://127.0.0.1:9', limits: [{ requests: 100, per: '10s', burst: 10 }] };

export const good = { operation: 'update', provider: 'crm', record_id: 'c1', data: { email: 'ada@example.com' } };

export const register = (api: Pick<TestApi, 'ask'>, name: string, more: object = {}): Promise<Answer> =>
  api.ask('PUT', `/providers/${name}`, { ...crm, name, ...more });
