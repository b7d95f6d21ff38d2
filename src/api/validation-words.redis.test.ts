/** Bodies of providers and routes: no refusal is in the words of a library. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crm } from '../../test/support/api-bodies.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi();

async function errorsOf(path: string, body: unknown) {
  const answer = await api.ask('POST', path, body);
  return (answer.body?.errors ?? []) as { path: string; message: string }[];
}

describe('a refused body', () => {
  it.each<[object, string, string]>([
    [{ base_url: '' }, 'base_url', 'must have at least 1 character'],
    [{ base_url: `http://${'x'.repeat(3_000)}` }, 'base_url', 'must have at most 2048 characters'],
    [{ base_url: 5 }, 'base_url', 'must be a string'],
    [{ base_url: undefined }, 'base_url', 'is required (string)'],
    [{ endpoints: { create: { method: 'HEAD', path: '/x' } } }, 'endpoints.create.method', 'must be one of POST, PUT, PATCH'],
    [{ endpoints: { create: { path: `/${'x'.repeat(2_000)}` } } }, 'endpoints.create.path', 'must have at most 1024 characters'],
    [{ coalesce: 'yes' }, 'coalesce', 'must be true or false'],
    [{ retry: [] }, 'retry', 'must be an object'],
    [{ limits: {} }, 'limits', 'must be a list'],
    [{ breaker: { failure_rate: '1' } }, 'breaker.failure_rate', 'must be a number'],
    [{ mapping: { email: '' } }, 'mapping.email', 'must have at least 1 character'],
    [{ mapping: { '': 'x' } }, 'mapping.', 'is not an allowed name'],
  ])('of a provider says what must be (%#)', async (fields, path, message) => {
    expect(await errorsOf('/providers', { ...crm, ...fields })).toContainEqual({ path, message });
  });

  it.each<[object, string, string]>([
    [{ entity: '' }, 'entity', 'must have at least 1 character'],
    [{ providers: 'crm' }, 'providers', 'must be a list'],
    [{ position: -1 }, 'position', 'must be a whole number from 0 to 1000000'],
    [{ enabled: 'no' }, 'enabled', 'must be true or false'],
    [{ name: undefined }, 'name', 'is required (string)'],
  ])('of a route says what must be (%#)', async (fields, path, message) => {
    expect(await errorsOf('/routes', { name: 'r', providers: ['crm'], ...fields })).toContainEqual({ path, message });
  });

  it('is never told in a library’s words', async () => {
    const names = ['base_url', 'auth_config', 'limits', 'retry', 'batch', 'mapping', 'schema', 'endpoints', 'options', 'conflict', 'kind'];
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom({ type: 'bearer' }, { type: 'bearer', token: '' }, [{ requests: 'x' }], { create: { method: 'x' } }, { path: 5 }),
    );
    const body = fc
      .array(fc.tuple(fc.constantFrom(...names), value), { minLength: 1, maxLength: 4 })
      .map((fields) => ({ ...crm, name: 'worded', ...Object.fromEntries(fields) }));
    await fc.assert(
      fc.asyncProperty(body, async (input) => {
        for (const { message } of await errorsOf('/providers', input))
          expect(message, JSON.stringify(input)).not.toMatch(/^(Invalid|Too|Unrecognized)\b|expected .* to (have|be)/);
      }),
      { numRuns: 200 },
    );
  });
});
