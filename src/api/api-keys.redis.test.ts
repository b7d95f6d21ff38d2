import { describe, expect, it } from 'vitest';
import { crm, good } from '../../test/support/api-bodies.ts';
import { by, keyEntry } from '../../test/support/api-keys.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

describe('keys', () => {
  const entries = [
    keyEntry('in', ['ingest']),
    keyEntry('out', ['read']),
    keyEntry('boss', ['admin', 'read', 'ingest']),
    keyEntry('acme', ['ingest', 'read', 'admin'], 'acme'),
  ];
  const locked = useTestApi({ SLUICE_API_KEYS: JSON.stringify(entries) }, (started) => started.ask('POST', '/providers', crm, by('boss')));

  const routes = [
    ['POST', '/sync', 'ingest'],
    ['POST', '/v1/sync?x', 'ingest'],
    ['GET', '/sync/status/x', 'read'],
    ['GET', '/providers', 'read'],
    ['POST', '/providers', 'admin'],
    ['PUT', '/providers/crm', 'admin'],
    ['PATCH', '/v1/providers/crm', 'admin'],
    ['DELETE', '/providers/crm', 'admin'],
    ['POST', '/providers/crm/pause', 'admin'],
    ['GET', '/providers/crm/status', 'read'],
    ['GET', '/dlq', 'read'],
    ['POST', '/dlq/retry', 'admin'],
    ['DELETE', '/dlq', 'admin'],
    ['GET', '/fleet', 'read'],
    ['GET', '/metrics', 'read'],
  ] as const;

  it.each(routes)('are needed for %s %s, with the scope %s', async (method, path, scope) => {
    const anonymous = await locked.ask(method, path);
    expect(anonymous).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(anonymous.headers.get('www-authenticate')).toBe('Bearer');
    expect((await locked.ask(method, path, undefined, by('nobody'))).status).toBe(401);
    const without = scope === 'ingest' ? 'out' : 'in';
    expect(await locked.ask(method, path, undefined, by(without))).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    if (scope === 'admin') expect((await locked.ask(method, path, undefined, by('out'))).status).toBe(403);
  });

  it('are not needed for health and documentation', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs']) expect((await locked.ask('GET', path)).status, path).toBe(200);
  });

  it('bound to a tenant submit as it and see nothing of others', async () => {
    const mine = await locked.ask('POST', '/sync', good, by('acme'));
    expect((await locked.ask('GET', mine.body.status_url, undefined, by('acme'))).body).toMatchObject({ tenant: 'acme' });
    expect((await locked.ask('GET', mine.body.status_url, undefined, by('out'))).status).toBe(200);
    const others = await locked.ask('POST', '/sync', { ...good, tenant: 'rival' }, by('boss'));
    expect((await locked.ask('GET', others.body.status_url, undefined, by('acme'))).status).toBe(404);
    for (const path of [`/dlq/${others.body.operation_id}`])
      expect((await locked.ask('GET', path, undefined, by('acme'))).status).toBe(404);
    expect(await locked.ask('POST', '/sync', { ...good, tenant: 'rival' }, by('acme'))).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect((await locked.ask('GET', '/dlq?tenant=rival', undefined, by('acme'))).status).toBe(403);
    expect((await locked.ask('DELETE', '/dlq', { tenant: 'rival' }, by('acme'))).status).toBe(403);
    expect((await locked.ask('POST', '/providers/crm/pause', undefined, by('acme'))).status).toBe(403);
  });

  it('do not share idempotency keys', async () => {
    const keyed = { ...good, idempotency_key: 'shared' };
    const [one, two] = [
      await locked.ask('POST', '/sync', keyed, by('in')),
      await locked.ask('POST', '/sync', { ...keyed, data: { a: 2 } }, by('boss')),
    ];
    expect([one.status, two.status]).toEqual([202, 202]);
  });
});
