import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from '../../test/support/in-process-api.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';
import { problemKinds } from './problem.ts';

let redis: RedisServer;
let api: TestApi;
const crm = { name: 'crm', base_url: 'http://127.0.0.1:9', limits: [{ requests: 100, per: '10s', burst: 10 }] };
const good = { operation: 'update', provider: 'crm', record_id: 'c1', data: { email: 'ada@example.com' } };

beforeAll(async () => {
  redis = await startRedis();
  api = await startTestApi(redis.url, { SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') });
});
afterAll(async () => {
  await api?.api.stop();
  await redis?.stop();
});

const register = (name: string, more: object = {}) => api.ask('PUT', `/providers/${name}`, { ...crm, name, ...more });

/** Dead letters without a worker: what was queued for a provider that is removed. */
async function makeDeadLetters(provider: string, operations: readonly object[]): Promise<string[]> {
  await register(provider);
  const { body } = await api.ask(
    'POST',
    '/sync',
    operations.map((operation) => ({ ...good, provider, ...operation })),
  );
  expect((await api.ask('DELETE', `/providers/${provider}?force=true`)).status).toBe(204);
  await register(provider);
  return body.results.map((result: { operation_id: string }) => result.operation_id);
}

describe('providers', () => {
  it('are registered once, shown, replaced, changed and removed', async () => {
    const created = await api.ask('POST', '/providers', { ...crm, name: 'life' });
    expect(created).toMatchObject({ status: 201, body: { name: 'life', kind: 'http', max_concurrency: 50, version: 1 } });
    expect(created.headers.get('location')).toBe('/providers/life');
    expect(await api.ask('POST', '/providers', { ...crm, name: 'life' })).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await register('life', { max_concurrency: 7 })).status).toBe(200);
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
    expect((await register('life')).status).toBe(201);
  });

  it('never show a secret, and keep it when it comes back masked', async () => {
    const sent = await register('secret', { auth_config: { type: 'bearer', token: 'hunter2hunter2' } });
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
    const keyless = await startTestApi(redis.url);
    const { status, body } = await keyless.ask('POST', '/providers', { ...crm, auth_config: { type: 'bearer', token: 'x' } });
    expect(status).toBe(422);
    expect(body.errors[0].message).toContain('SLUICE_ENCRYPTION_KEY');
    await keyless.api.stop();
  });

  it('pause and resume', async () => {
    await register('paused');
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
    await register('busy');
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
    await register('full');
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
    for (const name of ['page-a', 'page-b', 'page-c']) await register(name);
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
    await register('typed');
    expect((await api.ask('GET', '/providers/typed/schema')).body).toMatchObject({ type: 'object', properties: { base_url: {} } });
    expect((await api.ask('GET', '/providers/salesforce/schema')).body).toMatchObject({ properties: { options: {} } });
  });

  it('registered on one process are known to another at once', async () => {
    const env = { SLUICE_KEY_PREFIX: 'two:' };
    const [one, two] = await Promise.all([startTestApi(redis.url, env), startTestApi(redis.url, env)]);
    await one.ask('POST', '/providers', crm);
    expect((await two.ask('POST', '/sync', good)).status).toBe(202);
    expect((await two.ask('POST', '/sync', [good])).body).toMatchObject({ accepted: 1 });
    await Promise.all([one.api.stop(), two.api.stop()]);
  });
});

describe('dead letters', () => {
  it('are listed newest first in pages, by provider, tenant, code and record', async () => {
    const ids = await makeDeadLetters('dead-a', [
      { record_id: 'r1' },
      { record_id: 'r2', tenant: 'acme' },
      { record_id: 'r3', tenant: 'acme' },
    ]);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/dlq?provider=dead-a&limit=1${cursor}`);
      seen.push(...body.items.map((item: { operation_id: string }) => item.operation_id));
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`;
    } while (cursor !== '');
    expect(seen.sort()).toEqual(ids.sort());
    const count = async (query: string) => (await api.ask('GET', `/dlq?provider=dead-a&${query}`)).body.items.length;
    expect(await count('tenant=acme')).toBe(2);
    expect(await count('record_id=r1')).toBe(1);
    expect(await count('code=provider_removed')).toBe(3);
    expect(await count('code=other')).toBe(0);
    expect((await api.ask('GET', '/dlq?cursor=nonsense')).status).toBe(422);
    expect((await api.ask('GET', `/dlq/${ids[0]}`)).body).toMatchObject({
      provider: 'dead-a',
      entity: 'contact',
      data: { email: 'ada@example.com' },
      source: 'api',
      timestamp: expect.stringMatching(/Z$/),
      attempts: 0,
    });
  });

  it('go back into their queue as new operations', async () => {
    const [id] = await makeDeadLetters('dead-b', [{}]);
    const retried = await api.ask('POST', `/dlq/${id}/retry`);
    expect(retried).toMatchObject({ status: 202, body: { status: 'queued', operation_id: expect.any(String) } });
    expect(retried.body.operation_id).not.toBe(id);
    expect((await api.ask('GET', retried.body.status_url)).body).toMatchObject({ status: 'queued', record_id: 'c1' });
    expect((await api.ask('GET', `/sync/status/${id}`)).body).toMatchObject({
      status: 'dead_lettered',
      retried_as: retried.body.operation_id,
    });
    expect((await api.ask('POST', `/dlq/${id}/retry`)).status).toBe(404);
  });

  it('go back, or go away, by a filter', async () => {
    await makeDeadLetters('dead-c', [{ record_id: 'r1' }, { record_id: 'r2' }, { record_id: 'r3' }]);
    expect(await api.ask('POST', '/dlq/retry', { provider: 'dead-c', record_id: 'r1' })).toMatchObject({
      status: 202,
      body: { requeued: 1 },
    });
    expect(await api.ask('DELETE', '/dlq', { provider: 'dead-c', record_id: 'r2' })).toMatchObject({ status: 200, body: { deleted: 1 } });
    const { body } = await api.ask('GET', '/dlq?provider=dead-c');
    expect(body.items.map((item: { record_id: string }) => item.record_id)).toEqual(['r3']);
    expect((await api.ask('DELETE', `/dlq/${body.items[0].operation_id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/dlq/${body.items[0].operation_id}`)).status).toBe(404);
  });

  it('are not touched by a filter that is not one', async () => {
    await makeDeadLetters('dead-d', [{}]);
    for (const filter of [{ providr: 'dead-d' }, { provider: 5 }, { provider: '' }, [], null]) {
      expect((await api.ask('DELETE', '/dlq', filter === null ? 'null' : filter)).status, JSON.stringify(filter)).toBe(422);
      expect((await api.ask('POST', '/dlq/retry', filter === null ? 'null' : filter)).status).toBe(422);
    }
    expect((await api.ask('DELETE', '/dlq')).status).toBe(415);
    expect((await api.ask('GET', '/dlq?provider=dead-d')).body.items).toHaveLength(1);
  });
});

describe('keys', () => {
  const entry = (id: string, scopes: string[], tenant?: string) => ({
    id,
    hash: `sha256:${createHash('sha256').update(`key-${id}`).digest('hex')}`,
    scopes,
    ...(tenant ? { tenant } : {}),
  });
  const by = (id: string) => ({ authorization: `Bearer key-${id}` });
  let locked: TestApi;

  beforeAll(async () => {
    const entries = [
      entry('in', ['ingest']),
      entry('out', ['read']),
      entry('boss', ['admin', 'read', 'ingest']),
      entry('acme', ['ingest', 'read', 'admin'], 'acme'),
    ];
    locked = await startTestApi(redis.url, { SLUICE_API_KEYS: JSON.stringify(entries) });
    await locked.ask('POST', '/providers', crm, by('boss'));
  });
  afterAll(() => locked.api.stop());

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

describe('what is not a route', () => {
  it('is a problem: 404, or 405 with the methods there are', async () => {
    expect(await api.ask('GET', '/nope')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await api.ask('GET', '/v1')).toMatchObject({ status: 404 });
    for (const [method, path, allow] of [
      ['GET', '/sync', 'POST'],
      ['PATCH', '/v1/sync', 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['PURGE', '/dlq', 'DELETE, GET, HEAD'],
      ['OPTIONS', '/providers', 'GET, HEAD, POST'],
    ] as const) {
      const answer = await api.ask(method, path);
      expect(answer, `${method} ${path}`).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } });
      expect(answer.headers.get('allow')).toBe(allow);
    }
    expect(await api.ask('HEAD', '/healthz')).toMatchObject({ status: 200, text: '' });
    expect(await api.ask('HEAD', '/sync')).toMatchObject({ status: 405, text: '' });
  });
});

describe('operating', () => {
  it('shows every shard and the metrics of process and fleet', async () => {
    const { body } = await api.ask('GET', '/fleet');
    expect(body).toMatchObject({ workers: [], shards: [{ shard: 0, owner: null }, {}, {}, {}] });
    const { text, headers } = await api.ask('GET', '/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    for (const name of [
      'submissions_total',
      'http_requests_total',
      'backlog',
      'pending',
      'oldest_seconds',
      'breaker_state',
      'paused',
      'dead_letters',
    ]) {
      expect(text).toMatch(new RegExp(`^sluice_${name}\\{`, 'm'));
    }
  });

  it('publishes a document with every route, and pages that ask no other host', async () => {
    const { body: document } = await api.ask('GET', '/openapi.json');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/dlq',
      '/dlq/retry',
      '/dlq/{operation_id}',
      '/dlq/{operation_id}/retry',
      '/docs',
      '/docs/{asset}',
      '/fleet',
      '/healthz',
      '/metrics',
      '/openapi.json',
      '/providers',
      '/providers/kinds',
      '/providers/{name}',
      '/providers/{name}/pause',
      '/providers/{name}/resume',
      '/providers/{name}/schema',
      '/providers/{name}/status',
      '/providers/{name}/tenants',
      '/providers/{name}/tenants/{tenant}',
      '/readyz',
      '/routes',
      '/routes/try',
      '/routes/{name}',
      '/sync',
      '/sync/status/{operation_id}',
    ]);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const schemas = JSON.parse(JSON.stringify(document.components.schemas).replaceAll('#/components/schemas/', ''));
    for (const [name, schema] of Object.entries(schemas)) ajv.addSchema(schema as object, name);
    const inline = JSON.parse(JSON.stringify(document.paths).replaceAll('#/components/schemas/', ''));
    for (const [path, methods] of Object.entries(inline as Record<string, Record<string, Operation>>)) {
      for (const [method, operation] of Object.entries(methods)) {
        expect(operation.operationId, `${method} ${path}`).toBeTruthy();
        for (const { content } of [operation.requestBody ?? {}, ...Object.values(operation.responses)]) {
          for (const { schema } of Object.values(content ?? {})) expect(() => ajv.compile(schema), `${method} ${path}`).not.toThrow();
        }
      }
    }
    const page = await api.ask('GET', '/docs');
    expect(page.text).not.toMatch(/https?:\/\//);
    for (const asset of [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1])) {
      expect((await api.ask('GET', `/${asset}`)).status, asset).toBe(200);
    }
    for (const asset of ['package.json', '..%2fpackage.json', '__proto__', 'swagger-ui.css.map'])
      expect((await api.ask('GET', `/docs/${asset}`)).status, asset).toBe(404);
  });

  it('documents every code of a problem with its status', () => {
    const page = readFileSync(new URL('../../docs/api-errors.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| ([0-9/ ]+) \| `([a-z_]+)` \| \S/gm)].map(([, status, code]) => `${code} ${status?.trim()}`);
    const kinds = Object.entries(problemKinds).map(([code, { status }]) => `${code} ${code === 'unknown_provider' ? '404 / 422' : status}`);
    expect(rows.sort()).toEqual(kinds.sort());
  });
});

interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content?: Record<string, { schema: object }> };
  readonly responses: Record<string, { readonly content?: Record<string, { schema: object }> }>;
}
