import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { good, register } from '../../test/support/api-bodies.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';
import { problemKinds } from '../shared/domain/problem.ts';

const api = useTestApi();

describe('what is not a route', () => {
  it('is a problem: 404, or 405 with the methods there are', async () => {
    expect(await api.ask('GET', '/nope')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    for (const path of ['/v1', '/openapi_json']) expect(await api.ask('GET', path), path).toMatchObject({ status: 404 });
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

describe('a body of more than 1 MiB', () => {
  it('is refused by every route, whatever it begins with; only arrays of operations may have more', async () => {
    const { body: document } = await api.ask('GET', '/openapi.json');
    const routes = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { requestBody }]) =>
        requestBody && path !== '/sync' ? [[method.toUpperCase(), path]] : [],
      ),
    ) as [string, string][];
    expect(routes).toContainEqual(['POST', '/routes/try']);
    for (const [method, path] of routes) {
      for (const text of [`{${' '.repeat(1_048_576)}}`, `[${' '.repeat(1_048_576)}]`, `[${' '.repeat(8_388_608)}]`]) {
        const answer = await api.ask(method, path.replaceAll(/\{\w+\}/g, 'x'), text);
        expect(answer, `${method} ${path} ${text[0]}`).toMatchObject({
          status: 413,
          body: { code: 'too_large', detail: 'at most 1048576 bytes' },
        });
      }
    }
    const operations = Array.from({ length: 30 }, () => ({ ...good, provider: 'nobody', data: { a: 'x'.repeat(60_000) } }));
    expect(await api.ask('POST', '/sync', operations)).toMatchObject({ status: 422, body: { accepted: 0, rejected: 30 } });
  });
});

describe('operating', () => {
  it('shows every shard and the metrics of process and fleet', async () => {
    const { body } = await api.ask('GET', '/fleet');
    expect(body).toMatchObject({ workers: [], shards: [{ shard: 0, owner: null }, {}, {}, {}] });
    await register(api, 'seen');
    expect((await api.ask('POST', '/sync', { ...good, provider: 'seen' })).status).toBe(202);
    await api.ask('POST', '/sync', { ...good, operation: 'UPSERT', provider: 'nobody' });
    await api.ask('POST', '/sync', [{ ...good, operation: 'erase', provider: 'seen' }]);
    const { text, headers } = await api.ask('GET', '/metrics');
    expect(text).toContain('sluice_submissions_total{provider="unknown",operation="upsert",result="unknown_provider"} 1\n');
    expect(text).toContain('sluice_submissions_total{provider="seen",operation="unknown",result="invalid"} 1\n');
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

  it.each(['/', '/docs/', '/v1/docs/'])('leads from %s to the pages', async (path) => {
    const { status, text, headers } = await api.ask('GET', path);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8']);
    expect(text).toContain('<title>Sluice API</title>');
    const answer = await fetch(`${api.url}${path}`, { redirect: 'manual' });
    expect(answer.status).toBe(302);
    expect(new URL(answer.headers.get('location') ?? '', answer.url).pathname).toMatch(/^(\/v1)?\/docs$/);
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
