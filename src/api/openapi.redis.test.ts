/** The OpenAPI document says what the service does, and what it shows can be used as it is. */
import { describe, expect, it } from 'vitest';
import { register } from '../../test/support/api-bodies.ts';
import { encryption } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object; readonly example?: object }> };
  readonly responses: Record<
    string,
    { readonly content?: Record<string, { readonly examples?: Record<string, { readonly value: object }> }> }
  >;
}

let operations: readonly (Operation & { readonly method: string; readonly path: string })[];
const api = useTestApi(encryption, async (used) => {
  await register(used, 'crm');
  const { body } = await used.ask('GET', '/openapi.json');
  operations = Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  );
});

const followers = (header: string) =>
  operations.filter(({ parameters = [] }) => parameters.some((each) => each.in === 'header' && each.name === header));

describe('headers', () => {
  it('are told of each route that follows them, and what becomes of a bad one', async () => {
    const asked = followers('If-Match').map(({ method, path, responses }) => ({ method, path, answers: Object.keys(responses) }));
    expect(asked.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'DELETE /providers/{name}',
      'DELETE /providers/{name}/tenants/{tenant}',
      'DELETE /routes/{name}',
      'PATCH /providers/{name}',
      'PATCH /providers/{name}/tenants/{tenant}',
      'PUT /providers/{name}',
      'PUT /providers/{name}/tenants/{tenant}',
      'PUT /routes/{name}',
    ]);
    for (const { method, path, answers } of asked) {
      const { status } = await api.ask(method, path.replaceAll(/\{\w+\}/g, 'crm'), method === 'DELETE' ? undefined : {}, {
        'if-match': 'seven',
      });
      expect([status, answers], `${method} ${path}`).toEqual([422, expect.arrayContaining(['422'])]);
    }
    expect(followers('Idempotency-Key').map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /sync']);
  });

  it('and Markdown have no place in summaries, which are plain text', () => {
    expect(operations.filter(({ summary }) => /[`*]/.test(summary))).toEqual([]);
  });
});

describe('examples', () => {
  it('of bodies are taken as they are, where what npm start registers is there', async () => {
    await register(api, 'demo');
    await api.ask('PUT', '/providers/demo/tenants/acme', {});
    const withBody = operations.flatMap(({ requestBody, ...operation }) => (requestBody ? [{ ...operation, requestBody }] : []));
    expect(withBody.length).toBeGreaterThan(8);
    for (const { method, path, requestBody } of withBody) {
      const { example } = requestBody.content['application/json'] ?? {};
      const { status, text } = await api.ask(method, path.replace('{name}', 'demo').replace('{tenant}', 'acme'), example);
      expect(status, `${method} ${path} ${text}`).toBeLessThan(300);
    }
    expect((await api.ask('GET', '/routes/customers')).body).toMatchObject({ providers: ['demo'] });
  });

  it('of problems are problems of that status', () => {
    for (const { method, path, responses } of operations) {
      for (const [status, { content = {} }] of Object.entries(responses)) {
        const { examples } = content['application/problem+json'] ?? {};
        if (Number(status) < 400) continue;
        for (const [code, { value }] of Object.entries(examples ?? { none: { value: {} } }))
          expect(value, `${method} ${path} ${status}`).toMatchObject({
            type: `urn:sluice:problem:${code}`,
            code,
            status: Number(status),
            title: expect.any(String),
          });
      }
    }
  });
});

describe('the pages', () => {
  it('send nothing before somebody asks to try a route out', async () => {
    expect((await api.ask('GET', '/docs/start.js')).text).not.toContain('tryItOutEnabled');
  });
});
