/** Routes as a resource: kept, shown, tried out, and whose they are. */
import { describe, expect, it } from 'vitest';
import { crm } from '../../test/support/api-bodies.ts';
import { by, keyEntry } from '../../test/support/api-keys.ts';
import { eventually } from '../../test/support/eventually.ts';
import { startTestApi } from '../../test/support/in-process-api.ts';
import { auto, customers, leads, providersOf, useRoutes } from '../../test/support/use-routes.ts';

const routed = useRoutes();
const { api, addRoutes, queued, send } = routed;

describe('/routes', () => {
  it('are added, shown, replaced and removed, each with a version', async () => {
    const added = await api.ask('POST', '/routes', leads);
    expect(added).toMatchObject({
      status: 201,
      body: { ...leads, enabled: true, position: 100, version: 1, created_at: expect.stringMatching(/^20/) },
    });
    expect(added.headers.get('location')).toBe('/routes/leads');
    expect(added.headers.get('etag')).toBe('"1"');
    expect(await api.ask('POST', '/routes', leads)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    // What an answer shows may be sent back.
    expect(await api.ask('PUT', '/routes/leads', { ...added.body, enabled: false })).toMatchObject({
      status: 200,
      body: { enabled: false, version: 2 },
    });
    expect((await api.ask('GET', '/routes/leads')).body).toMatchObject({ version: 2, created_at: added.body.created_at });
    expect((await api.ask('PUT', '/routes/other', { providers: ['crm'] })).body).toMatchObject({ name: 'other', entity: '*', version: 1 });
    expect((await api.ask('DELETE', '/routes/leads')).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect((await api.ask(method, '/routes/leads')).body.code).toBe('not_found');
  });

  it('are not written over a version the writer has not seen', async () => {
    await addRoutes(leads);
    const put = (ifMatch: string) => api.ask('PUT', '/routes/leads', leads, { 'if-match': ifMatch });
    expect(await put('"1"')).toMatchObject({ status: 200, body: { version: 2 } });
    expect(await put('"1"')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await put('1')).status).toBe(422);
    expect(await put('*')).toMatchObject({ status: 200, body: { version: 3 } });
    expect((await api.ask('DELETE', '/routes/leads', undefined, { 'if-match': '"2"' })).status).toBe(409);
    expect((await api.ask('DELETE', '/routes/leads', undefined, { 'if-match': '"3"' })).status).toBe(204);
    for (const given of ['"3"', '*']) expect((await put(given)).status, given).toBe(409);
    expect(await Promise.all([1, 2, 3, 4].map(() => api.ask('POST', '/routes', leads).then(({ status }) => status)))).toContain(409);
  });

  it('are listed in the order they are asked, in pages', async () => {
    await addRoutes(
      { ...leads, name: 'c', position: 5 },
      { ...leads, name: 'b' },
      { ...leads, name: 'a' },
      { ...leads, name: 'd', position: 500 },
    );
    const names: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/routes?limit=1${cursor && `&cursor=${cursor}`}`);
      names.push(...body.items.map(({ name }: { name: string }) => name));
      cursor = body.next_cursor ?? '';
    } while (cursor !== '');
    expect(names).toEqual(['c', 'a', 'b', 'd']);
  });

  it.each([
    ['an unknown provider', { providers: ['crm', 'nobody'] }, 'providers.1'],
    ['auto as a provider', { providers: ['auto'] }, 'providers'],
    ['a provider twice', { providers: ['crm', 'crm'] }, 'providers'],
    ['no provider', { providers: [] }, 'providers'],
    ['a bad filter', { filter: 'data.a ==' }, 'filter'],
    ['a hostile filter', { filter: 'data.a.matches("(a+)+$")' }, 'filter'],
    ['a bad name', { name: 'Bad Name' }, 'name'],
    ['a reserved name', { name: 'try' }, 'name'],
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a position that is no number', { position: 1.5 }, 'position'],
  ])('refuse %s by path', async (_, part, path) => {
    const { status, body } = await api.ask('POST', '/routes', { ...leads, ...part });
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'invalid', errors: [{ path }] });
  });

  it('say where a filter is wrong', async () => {
    const { body } = await api.ask('POST', '/routes', { ...leads, filter: 'data.a == 1 &&\n  dat.b == 2' });
    expect(body.errors).toEqual([{ path: 'filter', message: 'line 2, column 3: Unknown variable: dat' }]);
  });

  it('are bounded in number', async () => {
    const version = await routed.bench.redis.hget(routed.bench.keys.routes, ':version');
    const fields = Array.from({ length: 200 }, (_, at) => [`bound-${at}`, '{"version":1}']).flat();
    await routed.bench.redis.hset(routed.bench.keys.routes, ...fields);
    expect(await api.ask('POST', '/routes', leads)).toMatchObject({ status: 409, body: { detail: 'there are 200 routes already' } });
    expect(await api.ask('PUT', '/routes/bound-7', leads)).toMatchObject({ status: 200, body: { version: 2 } });
    await routed.bench.redis.del(routed.bench.keys.routes);
    await routed.bench.redis.hset(routed.bench.keys.routes, ':version', Number(version) + 2);
  });

  it('that cannot be read are shown with the reason, and match nothing', async () => {
    await routed.bench.redis.hset(
      routed.bench.keys.routes,
      'damaged',
      '{"version":3,"route":{"name":"damaged","providers":["crm"],"filter":"data ="}}',
    );
    await routed.bench.redis.hincrby(routed.bench.keys.routes, ':version', 1);
    expect((await api.ask('GET', '/routes/damaged')).body).toMatchObject({ name: 'damaged', unreadable: expect.stringMatching(/filter/) });
    expect((await api.ask('POST', '/routes/try', auto('lead'))).body).toMatchObject({
      providers: [],
      routes: [{ name: 'damaged', matches: false, because: 'unreadable' }],
    });
    expect((await api.ask('PUT', '/routes/damaged', { providers: ['crm'] })).body).toMatchObject({ version: 4 });
  });

  it('written through one process are followed by another', async () => {
    const other = await startTestApi(api.redis.url, routed.env);
    await addRoutes(leads);
    await eventually(async () => (await send(auto('lead'), {}, other)).status === 202);
    expect((await other.ask('PUT', '/routes/leads', { ...leads, providers: ['shop'] })).status).toBe(200);
    await eventually(async () => providersOf((await send(auto('lead'))).body)?.join() === 'shop');
    expect((await api.ask('DELETE', '/routes/leads')).status).toBe(204);
    await eventually(async () => (await send(auto('lead'), {}, other)).body.code === 'no_route');
    await other.api.stop();
  });
});

describe('POST /routes/try', () => {
  it('tells which routes match, and why the others do not', async () => {
    await addRoutes(
      leads,
      customers,
      { name: 'all', providers: ['shop'], position: 1 },
      { ...leads, name: 'off', enabled: false },
      { ...leads, name: 'deals', entity: 'deal' },
      { ...leads, name: 'acme', tenant: 'acme' },
      { ...leads, name: 'failing', filter: 'data.score > 5' },
    );
    const { status, body } = await api.ask('POST', '/routes/try', auto('lead', { data: { contact_type: 'lead', note: 'x'.repeat(501) } }));
    expect(status).toBe(200);
    expect(body).toEqual({
      providers: ['shop', 'crm'],
      remembered: [],
      unseen: ['data.note'],
      routes: [
        { name: 'all', matches: true, providers: ['shop'] },
        { name: 'acme', matches: false, providers: ['crm'], because: 'other_tenant' },
        { name: 'customers', matches: false, providers: ['erp'], because: 'filter' },
        { name: 'deals', matches: false, providers: ['crm'], because: 'other_entity' },
        { name: 'failing', matches: false, providers: ['crm'], because: 'filter', detail: 'No such key: score' },
        { name: 'leads', matches: true, providers: ['crm'] },
        { name: 'off', matches: false, providers: ['crm'], because: 'disabled' },
      ],
    });
  });

  it('tries a route that is not saved, and saves nothing', async () => {
    await addRoutes(leads);
    const route = { ...leads, filter: 'data.contact_type == "vip"', providers: ['erp'] };
    const { provider: _, ...sample } = auto('vip');
    expect((await api.ask('POST', '/routes/try', { ...sample, route })).body).toMatchObject({ providers: ['erp'] });
    expect((await api.ask('POST', '/routes/try', { ...sample, route: { ...route, filter: '?' } })).body).toMatchObject({
      code: 'invalid',
      errors: [{ path: 'route.filter' }],
    });
    expect((await api.ask('GET', '/routes/leads')).body).toMatchObject({ version: 1, filter: leads.filter });
    expect(await queued('erp', sample.record_id)).toBe(0);
  });

  it('shows what is remembered of the record', async () => {
    await addRoutes(leads);
    const { record_id } = (await send(auto('lead'))).body;
    const { body } = await api.ask('POST', '/routes/try', { operation: 'update', record_id, data: { email: 'a@example.com' } });
    expect(body).toMatchObject({ providers: ['crm'], remembered: ['crm'], routes: [{ name: 'leads', matches: false }] });
  });
});

describe('a key bound to a tenant', () => {
  const entries = [
    keyEntry('boss', ['ingest', 'read', 'admin']),
    keyEntry('acme', ['ingest', 'read', 'admin'], 'acme'),
    keyEntry('other', ['ingest', 'read', 'admin'], 'other'),
  ];

  it('sees and submits its own tenant’s, and changes no route', async () => {
    const locked = await startTestApi(api.redis.url, { SLUICE_API_KEYS: JSON.stringify(entries) });
    const ask = (id: string, method: string, path: string, body?: unknown) => locked.ask(method, path, body, by(id));
    await ask('boss', 'POST', '/providers', crm);
    for (const route of [leads, { ...leads, name: 'acme', tenant: 'acme' }]) await ask('boss', 'POST', '/routes', route);
    expect(await ask('acme', 'POST', '/routes', { ...leads, name: 'mine' })).toMatchObject({ status: 403 });
    expect(await ask('acme', 'PUT', '/routes/acme', leads)).toMatchObject({ status: 403 });
    expect(await ask('acme', 'DELETE', '/routes/acme')).toMatchObject({ status: 403 });
    const namesFor = async (id: string) => (await ask(id, 'GET', '/routes')).body.items.map(({ name }: { name: string }) => name);
    expect(await namesFor('acme')).toEqual(['acme', 'leads']);
    expect(await namesFor('other')).toEqual(['leads']);
    expect((await ask('other', 'GET', '/routes/acme')).status).toBe(404);
    expect((await ask('other', 'POST', '/routes/try', auto('lead'))).body.routes).toHaveLength(1);
    expect((await ask('other', 'POST', '/routes/try', auto('lead', { tenant: 'acme' }))).status).toBe(403);

    const { body } = await ask('acme', 'POST', '/sync', auto('lead'));
    expect((await ask('acme', 'GET', body.status_url)).body).toMatchObject({ tenant: 'acme', status: 'queued' });
    expect((await ask('boss', 'GET', body.status_url)).status).toBe(200);
    expect(await ask('other', 'GET', body.status_url)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    await locked.api.stop();
  });
});
