import { describe, expect, it } from 'vitest';
import { crm, good, register } from '../../test/support/api-bodies.ts';
import { encryption, startTestApi } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi(encryption);

describe('providers', () => {
  it('are registered once, shown, replaced, changed and removed', async () => {
    const created = await api.ask('POST', '/providers', { ...crm, name: 'life' });
    expect(created).toMatchObject({ status: 201, body: { name: 'life', kind: 'http', max_concurrency: 50, version: 1 } });
    expect(created.headers.get('location')).toBe('/providers/life');
    expect(await api.ask('POST', '/providers', { ...crm, name: 'life' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await register(api, 'life', { max_concurrency: 7 })).status).toBe(200);
    expect((await api.ask('PATCH', '/providers/life', { timeout_ms: 99 })).body).toMatchObject({ timeout_ms: 99, max_concurrency: 7 });
    expect((await api.ask('GET', '/providers/life')).body).toMatchObject({ timeout_ms: 99 });
    expect((await api.ask('DELETE', '/providers/life')).status).toBe(204);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/status'],
      ['GET', '/schema'],
      ['POST', '/pause'],
      ['PATCH', ''],
    ] as const) {
      const answer = await api.ask(method, `/providers/life${path}`, method === 'PATCH' ? {} : undefined);
      expect(answer, `${method} ${path}`).toMatchObject({ status: 404, body: { code: 'unknown_provider', status: 404 } });
    }
    expect((await register(api, 'life')).status).toBe(201);
  });

  it('are told fifty of their faults, each with the beginning of its place', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`a${index}`, 1]));
    for (const [path, method] of [
      ['/providers/many', 'PUT'],
      ['/providers/crm/tenants/acme', 'PUT'],
    ] as const) {
      await register(api, 'crm');
      const { status, text, body } = await api.ask(method, path, { base_url: crm.base_url, [`long${'x'.repeat(5_000)}`]: 1, ...unknown });
      expect(status, path).toBe(422);
      expect(body.errors).toHaveLength(50);
      expect(text.length, path).toBeLessThan(10_000);
    }
  });

  it('never show a secret, and keep it when it comes back masked', async () => {
    const sent = await register(api, 'secret', { auth_config: { type: 'bearer', token: 'hunter2hunter2' } });
    const again = await api.ask('PUT', '/providers/secret', sent.body);
    expect(again).toMatchObject({ status: 200, body: { auth_config: { type: 'bearer', token: '***' } } });
    const shown = [
      sent,
      again,
      await api.ask('GET', '/providers'),
      await api.ask('GET', '/providers/secret'),
      await api.ask('PATCH', '/providers/secret', { auth_config: { type: 'x', token: 'hunter2' } }),
    ];
    for (const { text } of shown) expect(text).not.toContain('hunter2');
    expect(JSON.stringify(api.log)).not.toContain('hunter2');
  });

  it('are refused with all that is wrong, by path', async () => {
    const { status, body } = await api.ask('POST', '/providers', {
      name: 'Bad Name',
      base_url: 'ftp://x',
      max_concurrency: 0,
      colour: 'red',
    });
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'invalid' });
    expect(body.errors.map((error: { path: string }) => error.path)).toEqual(expect.arrayContaining(['name', 'max_concurrency', 'colour']));
    for (const name of ['kinds', 'auto'])
      expect(await api.ask('POST', '/providers', { ...crm, name })).toMatchObject({ status: 422, body: { errors: [{ path: 'name' }] } });
    for (const bad of ['null', '[]', '5', '"x"']) expect((await api.ask('POST', '/providers', bad)).status, bad).toBe(422);
    expect((await api.ask('POST', '/providers', '{')).status).toBe(400);
  });

  it('are refused credentials where there is no key to seal them with, by name', async () => {
    const keyless = await startTestApi(api.redis.url);
    const { status, body } = await keyless.ask('POST', '/providers', { ...crm, auth_config: { type: 'bearer', token: 'x' } });
    expect(status).toBe(422);
    expect(body.errors[0].message).toContain('SLUICE_ENCRYPTION_KEY');
    await keyless.api.stop();
  });

  it('pause and resume', async () => {
    await register(api, 'paused');
    expect((await api.ask('POST', '/providers/paused/pause')).body).toMatchObject({ paused: true });
    expect((await api.ask('GET', '/providers/paused/status')).body).toMatchObject({
      paused: true,
      paused_until: null,
      pause_reason: 'operator',
    });
    expect((await api.ask('POST', '/sync', { ...good, provider: 'paused' })).status).toBe(202);
    expect((await api.ask('POST', '/providers/paused/resume')).body).toMatchObject({ paused: false });
  });

  it('tell what waits and what is left of their limits', async () => {
    await register(api, 'busy');
    await api.ask('POST', '/sync', [
      { ...good, provider: 'busy' },
      { ...good, provider: 'busy', record_id: 'c2' },
    ]);
    expect((await api.ask('GET', '/providers/busy/status')).body).toMatchObject({
      name: 'busy',
      backlog: 2,
      in_flight: 0,
      dead_letters: 0,
      oldest_at: expect.stringMatching(/^20/),
      windows: [{ requests: 100, per_ms: 10_000, left: 100 }],
      breaker: 'closed',
      paused: false,
    });
  });

  it('are not removed while operations are queued, unless forced, which makes them dead letters', async () => {
    await register(api, 'full');
    const { body: accepted } = await api.ask('POST', '/sync', { ...good, provider: 'full' });
    expect(await api.ask('DELETE', '/providers/full')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await api.ask('DELETE', '/providers/full?force=yes')).status).toBe(422);
    expect((await api.ask('DELETE', '/providers/full?force=true')).status).toBe(204);
    expect((await api.ask('POST', '/sync', { ...good, provider: 'full' })).body).toMatchObject({ code: 'unknown_provider' });
    expect((await api.ask('GET', `/dlq/${accepted.operation_id}`)).body).toMatchObject({
      operation: 'update',
      error: { code: 'provider_removed' },
    });
    expect((await api.ask('GET', accepted.status_url)).body).toMatchObject({ status: 'dead_lettered' });
  });

  it('are listed by name in pages', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) await register(api, name);
    const names: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/providers?limit=2${cursor}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      names.push(...body.items.map((item: { name: string }) => item.name));
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`;
    } while (cursor !== '');
    expect(names).toEqual([...new Set(names)].sort());
    expect(names).toEqual(expect.arrayContaining(['page-a', 'page-b', 'page-c']));
    for (const limit of ['0', '501', '-1', 'x', '1.5', ''])
      expect((await api.ask('GET', `/providers?limit=${limit}`)).status, limit).toBe(422);
  });

  it('tell what their kinds need', async () => {
    const { body } = await api.ask('GET', '/providers/kinds');
    expect(body).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ name: 'http', schema: expect.any(Object) })]),
      next_cursor: null,
    });
    expect(body.items.find((item: { name: string }) => item.name === 'outreach')).toMatchObject({
      can: { batch: false, upsert: false, read: true },
      auth_types: ['oauth2_refresh_token', 'bearer'],
    });
    await register(api, 'typed');
    expect((await api.ask('GET', '/providers/typed/schema')).body).toMatchObject({ type: 'object', properties: { base_url: {} } });
    expect((await api.ask('GET', '/providers/salesforce/schema')).body).toMatchObject({ properties: { options: {} } });
  });

  it('have kinds that are listed in pages, by name', async () => {
    const { body: first } = await api.ask('GET', '/providers/kinds?limit=3');
    const { body: second } = await api.ask('GET', `/providers/kinds?cursor=${first.next_cursor}`);
    const names = [...first.items, ...second.items].map(({ name }: { name: string }) => name);
    expect(names).toEqual(['http', 'hubspot', 'outreach', 'salesforce']);
    expect([first.items.length, second.next_cursor]).toEqual([3, null]);
  });

  it('registered on one process are known to another at once', async () => {
    const env = { SLUICE_KEY_PREFIX: 'two:' };
    const [one, two] = await Promise.all([startTestApi(api.redis.url, env), startTestApi(api.redis.url, env)]);
    await one.ask('POST', '/providers', crm);
    expect((await two.ask('POST', '/sync', good)).status).toBe(202);
    expect((await two.ask('POST', '/sync', [good])).body).toMatchObject({ accepted: 1 });
    await Promise.all([one.api.stop(), two.api.stop()]);
  });
});
