import { describe, expect, it } from 'vitest';
import { by, keyEntry } from '../../test/support/api-keys.ts';
import { encryption, startTestApi } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';
import { connectRedis, disconnectRedis } from '../shared/redis/connection.ts';

const limits = [{ requests: 100, per: '10s', burst: 10 }];
const crm = { base_url: 'http://127.0.0.1:9', limits, auth_config: { type: 'bearer', token: 'shared-hunter2' } };
const own = { auth_config: { type: 'bearer', token: 'acme-hunter2' }, limits: [{ requests: 7, per: '1s' }] };
const good = { operation: 'update', record_id: 'c1', data: { email: 'ada@example.com' } };

const api = useTestApi(encryption);

const register = (name: string, more: object = {}) => api.ask('PUT', `/providers/${name}`, { ...crm, ...more });
const at = (name: string, tenant: string) => `/providers/${name}/tenants/${encodeURIComponent(tenant)}`;

describe('tenants of a provider', () => {
  it('get something of their own, which is shown, changed and taken back', async () => {
    await register('life');
    const created = await api.ask('PUT', at('life', 'acme'), own);
    expect(created).toMatchObject({ status: 201, body: { provider: 'life', tenant: 'acme', version: 1, limits: own.limits } });
    expect((await api.ask('PUT', at('life', 'acme'), created.body)).status).toBe(200);
    expect((await api.ask('PATCH', at('life', 'acme'), { max_concurrency: 3, limits: null })).body).toMatchObject({ max_concurrency: 3 });
    const shown = await api.ask('GET', at('life', 'acme'));
    expect(shown.body).toMatchObject({ max_concurrency: 3, auth_config: { type: 'bearer', token: '***' } });
    expect(shown.body).not.toHaveProperty('limits');
    expect(shown.body).not.toHaveProperty('base_url');
    expect((await api.ask('DELETE', at('life', 'acme'))).status).toBe(204);
    for (const method of ['GET', 'DELETE'])
      expect(await api.ask(method, at('life', 'acme'))).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await api.ask('PATCH', at('life', 'acme'), {})).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('never show a secret', async () => {
    await register('secret');
    const answers = [
      await api.ask('PUT', at('secret', 'acme'), own),
      await api.ask('PUT', at('secret', 'acme'), { ...own, colour: 1 }),
      await api.ask('GET', at('secret', 'acme')),
      await api.ask('GET', '/providers/secret/tenants'),
    ];
    for (const { text } of answers) expect(text).not.toContain('hunter2');
    expect(JSON.stringify(api.log)).not.toContain('hunter2');
  });

  it('are unknown where the provider is', async () => {
    for (const [method, path, body] of [
      ['GET', '/providers/nothing/tenants', undefined],
      ['GET', at('nothing', 'acme'), undefined],
      ['PUT', at('nothing', 'acme'), {}],
      ['PATCH', at('nothing', 'acme'), {}],
      ['DELETE', at('nothing', 'acme'), undefined],
    ] as const)
      expect(await api.ask(method, path, body), `${method} ${path}`).toMatchObject({ status: 404, body: { code: 'unknown_provider' } });
  });

  it('are refused with all that is wrong, by path', async () => {
    await register('strict');
    const { status, body } = await api.ask('PUT', at('strict', 'acme'), { colour: 'red', timeout_ms: 5, max_concurrency: 0 });
    expect(status).toBe(422);
    expect(body.errors.map((error: { path: string }) => error.path).sort()).toEqual(['colour', 'max_concurrency', 'timeout_ms']);
    expect(await api.ask('PUT', at('strict', 'default'), {})).toMatchObject({ status: 422, body: { errors: [{ path: 'tenant' }] } });
    expect((await api.ask('PUT', at('strict', 'x'.repeat(65)), {})).status).toBe(422);
    expect((await api.ask('PUT', at('strict', 'acme'), '[]')).status).toBe(422);
    expect((await api.ask('PUT', at('strict', 'acme'), '{')).status).toBe(400);
  });

  it('are listed by name in pages', async () => {
    await register('paged');
    const tenants = ['Acme & Co', 'a/b', 'zebra', 'ärmel'];
    for (const tenant of tenants) expect((await api.ask('PUT', at('paged', tenant), { rate_limit: 5 })).status, tenant).toBe(201);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/providers/paged/tenants?limit=3${cursor}`);
      seen.push(...body.items.map((item: { tenant: string }) => item.tenant));
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`;
    } while (cursor !== '');
    expect(seen).toEqual(tenants);
    expect((await api.ask('GET', '/providers')).body.items.map((item: { name: string }) => item.name)).not.toContain('paged/zebra');
  });

  it('show their own account in the status, and share the provider’s where they have none', async () => {
    await register('busy');
    await api.ask('PUT', at('busy', 'acme'), { limits: own.limits, max_concurrency: 3 });
    await api.ask('POST', '/sync', [
      { ...good, provider: 'busy', tenant: 'acme' },
      { ...good, provider: 'busy', tenant: 'acme', record_id: 'c2' },
      { ...good, provider: 'busy', tenant: 'rival' },
    ]);
    const status = async (query: string) => (await api.ask('GET', `/providers/busy/status${query}`)).body;
    expect(await status('?tenant=acme')).toMatchObject({
      name: 'busy',
      tenant: 'acme',
      account: 'busy:acme',
      backlog: 2,
      windows: [{ requests: 7, per_ms: 1_000, left: 7 }],
      concurrency: { max: 3 },
    });
    expect(await status('?tenant=rival')).toMatchObject({ account: 'busy', backlog: 1, windows: [{ requests: 100 }] });
    expect(await status('')).toMatchObject({ account: 'busy', backlog: 3, concurrency: { max: 50 } });
    expect((await api.ask('GET', '/providers/busy/status?tenant=')).status).toBe(422);
  });

  it('lose what they have with their provider', async () => {
    await register('gone');
    await api.ask('PUT', at('gone', 'acme'), own);
    expect((await api.ask('DELETE', '/providers/gone')).status).toBe(204);
    await register('gone');
    expect((await api.ask('GET', '/providers/gone/tenants')).body).toEqual({ items: [], next_cursor: null });
  });
});

describe('keys', () => {
  it('need the scope of the route, and bound to a tenant see that one only and change nothing', async () => {
    const entries = [keyEntry('in', ['ingest']), keyEntry('out', ['read']), keyEntry('boss', ['admin', 'read'])];
    const locked = await startTestApi(api.redis.url, {
      ...encryption,
      SLUICE_API_KEYS: JSON.stringify([...entries, keyEntry('acme', ['read', 'admin'], 'acme')]),
    });
    const ask = (key: string, method: string, path: string, body?: object) => locked.ask(method, path, body, by(key));
    await ask('boss', 'PUT', '/providers/crm', crm);
    for (const tenant of ['acme', 'rival']) expect((await ask('boss', 'PUT', at('crm', tenant), own)).status).toBe(201);

    for (const [method, path] of [
      ['GET', '/providers/crm/tenants'],
      ['GET', at('crm', 'acme')],
      ['PUT', at('crm', 'acme')],
      ['PATCH', at('crm', 'acme')],
      ['DELETE', at('crm', 'acme')],
    ] as const) {
      expect((await locked.ask(method, path)).status, `${method} ${path}`).toBe(401);
      expect((await ask(method === 'GET' ? 'in' : 'out', method, path)).status, `${method} ${path}`).toBe(403);
      if (method !== 'GET') expect(await ask('acme', method, path, {})).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    expect((await ask('acme', 'GET', at('crm', 'acme'))).status).toBe(200);
    expect((await ask('acme', 'GET', at('crm', 'rival'))).status).toBe(403);
    expect((await ask('acme', 'GET', '/providers/crm/tenants')).body.items).toMatchObject([{ tenant: 'acme' }]);
    expect((await ask('acme', 'GET', '/providers/crm/status?tenant=acme')).status).toBe(200);
    expect((await ask('acme', 'GET', '/providers/crm/status?tenant=rival')).status).toBe(403);
    await locked.api.stop();
  });
});

describe('a forced removal', () => {
  it('that was interrupted after the configuration had gone is finished by another one', async () => {
    const prefixed = await startTestApi(api.redis.url, { ...encryption, SLUICE_KEY_PREFIX: 'interrupted:' });
    await prefixed.ask('PUT', '/providers/crm', crm);
    const { body } = await prefixed.ask('POST', '/sync', { ...good, provider: 'crm' });
    const connection = connectRedis(api.redis.url, { name: 'interrupt' });
    await connection.hdel('interrupted:providers', 'crm');
    await disconnectRedis(connection);
    expect((await prefixed.ask('DELETE', '/providers/crm')).status).toBe(404);
    expect((await prefixed.ask('DELETE', '/providers/crm?force=true')).status).toBe(204);
    expect((await prefixed.ask('GET', body.status_url)).body).toMatchObject({
      status: 'dead_lettered',
      error: { code: 'provider_removed' },
    });
    expect((await prefixed.ask('DELETE', '/providers/crm?force=true')).status).toBe(404);
    await prefixed.api.stop();
  });
});
