/** What answers show of a provider, or of a tenant there, and nobody sets; and writes that name the version they have seen. */
import { describe, expect, it } from 'vitest';
import { crm, register } from '../../test/support/api-bodies.ts';
import { encryption } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi(encryption);

const places = [
  ['a provider', '/providers/p', { base_url: crm.base_url, timeout_ms: 500 }],
  ['a tenant', '/providers/base/tenants/acme', { max_concurrency: 3 }],
] as const;

describe.each(places)('members that are shown of %s', (_, path, body) => {
  const stored = async () => {
    await register(api, 'base');
    await api.ask('DELETE', path);
    await api.ask('PUT', path, body);
    return (await api.ask('GET', path)).body;
  };

  it('may be sent back as they are stored', async () => {
    for (const method of ['PUT', 'PATCH']) {
      const shown = await stored();
      expect(await api.ask(method, path, shown), method).toMatchObject({ status: 200, body: { version: 2 } });
    }
  });

  it.each([
    [{ version: 99 }, 'version'],
    [{ version: null }, 'version'],
    [{ paused: true }, 'paused'],
    [{ paused: 'yes' }, 'paused'],
    [{ created_at: '2020-01-01T00:00:00Z' }, 'created_at'],
    [{ updated_at: 5 }, 'updated_at'],
    [path.includes('tenants') ? { tenant: 'zz' } : { name: 'zz' }, path.includes('tenants') ? 'tenant' : 'name'],
    [{ colour: 'red' }, 'colour'],
    [{ colour: null }, 'colour'],
  ])('are refused with another value, and nothing changes: %j', async (change, name) => {
    const shown = await stored();
    const sent = [['PATCH', change], ...('colour' in change && change.colour === null ? [] : [['PUT', { ...body, ...change }]])] as const;
    for (const [method, fields] of sent) {
      expect(await api.ask(method as string, path, fields), method as string).toMatchObject({
        status: 422,
        body: { code: 'invalid', errors: [{ path: name, message: expect.stringMatching(/^is /) }] },
      });
    }
    expect((await api.ask('GET', path)).body).toEqual(shown);
  });

  it('do not make writers that only repeat the address compete', async () => {
    await stored();
    const same = path.includes('tenants') ? { tenant: 'acme' } : { name: 'p' };
    const writes = await Promise.all(Array.from({ length: 5 }, () => api.ask('PUT', path, { ...body, ...same })));
    expect(writes.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });

  it('of an older state are refused, so that a change in between is not undone', async () => {
    const shown = await stored();
    await api.ask('PATCH', path, { max_concurrency: 9 });
    expect(await api.ask('PUT', path, shown)).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'version' }, { path: 'updated_at' }] },
    });
  });
});

describe.each(places)('the version of %s', (_, path, body) => {
  it('comes as ETag with every answer, and with If-Match a write of an older one is refused', async () => {
    await register(api, 'base');
    await api.ask('DELETE', path);
    const created = await api.ask('PUT', path, body);
    expect([created.status, created.headers.get('etag')]).toEqual([201, '"1"']);
    const changed = await api.ask('PATCH', path, { max_concurrency: 4 }, { 'if-match': '"1"' });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    for (const method of ['PUT', 'PATCH']) {
      const late = await api.ask(method, path, body, { 'if-match': '"1"' });
      expect(late, method).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringContaining('version 2') } });
    }
    expect((await api.ask('GET', path)).headers.get('etag')).toBe('"2"');
    expect((await api.ask('PUT', path, body, { 'if-match': '"2"' })).headers.get('etag')).toBe('"3"');
    expect((await api.ask('PUT', path, body, { 'if-match': '*' })).status).toBe(200);
    for (const given of ['3', 'W/"3"', '"x"', '']) {
      expect(await api.ask('PUT', path, body, { 'if-match': given }), given).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'If-Match' }] },
      });
    }
    for (const given of ['"1"', '"5"'])
      expect(await api.ask('DELETE', path, undefined, { 'if-match': given }), given).toMatchObject({
        status: 409,
        body: { code: 'conflict' },
      });
    expect((await api.ask('DELETE', path, undefined, { 'if-match': '"4"' })).status).toBe(204);
    expect(await api.ask('PUT', path, body, { 'if-match': '*' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await api.ask('GET', path)).status).toBe(404);
  });
});

describe('a provider that is not there yet', () => {
  it('is not paused, whatever its body says, and takes what was read of it before it was removed', async () => {
    for (const [method, path] of [
      ['POST', '/providers'],
      ['PUT', '/providers/new'],
    ] as const) {
      expect(await api.ask(method, path, { ...crm, name: 'new', paused: true }), method).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'paused' }] },
      });
      const exported = { paused: false, version: 7, created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z' };
      expect(await api.ask(method, path, { ...crm, name: 'new', ...exported })).toMatchObject({ status: 201, body: { version: 1 } });
      await api.ask('DELETE', '/providers/new');
    }
    for (const version of [0, 1])
      expect((await api.ask('PUT', '/providers/new', { ...crm, name: 'new' }, { 'if-match': `"${version}"` })).status).toBe(409);
    expect((await api.ask('PATCH', '/providers/new', {}, { 'if-match': '"1"' })).status).toBe(404);
  });

  it('shows its ETag when it is registered, paused and resumed', async () => {
    expect((await api.ask('POST', '/providers', { ...crm, name: 'tagged' })).headers.get('etag')).toBe('"1"');
    expect((await api.ask('POST', '/providers/tagged/pause')).headers.get('etag')).toBe('"2"');
    expect((await api.ask('POST', '/providers/tagged/resume')).headers.get('etag')).toBe('"3"');
  });
});
