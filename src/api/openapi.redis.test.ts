/** The OpenAPI document says what the service does, and what it shows can be used as it is. */
import { describe, expect, it } from 'vitest';
import { register } from '../../test/support/api-bodies.ts';
import { encryption } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly responses: Record<string, object>;
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
