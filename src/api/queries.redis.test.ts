/** Queries: what a route does not know is refused, never ignored; every fault once, in the API's own words. */
import { describe, expect, it } from 'vitest';
import { good, register } from '../../test/support/api-bodies.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi();

async function errorsOf(method: string, path: string, body?: unknown) {
  const answer = await api.ask(method, path, body);
  expect(answer, `${method} ${path}`).toMatchObject({ status: 422, body: { code: 'invalid' } });
  return answer.body.errors as { path: string; message: string }[];
}

describe('the filter of many dead letters', () => {
  it('belongs into the body: one in the query touches no letter and is refused by name', async () => {
    await register(api, 'kept');
    await api.ask('POST', '/sync', { ...good, provider: 'kept' });
    await api.ask('DELETE', '/providers/kept?force=true');
    await register(api, 'kept');
    for (const [method, path] of [
      ['DELETE', '/dlq'],
      ['POST', '/dlq/retry'],
    ] as const) {
      for (const body of [{}, undefined]) {
        expect(await errorsOf(method, `${path}?provider=hubspot&x=1`, body)).toEqual([
          { path: 'provider', message: expect.stringContaining('JSON body') },
          { path: 'x', message: expect.stringContaining('JSON body') },
        ]);
      }
    }
    expect((await api.ask('GET', '/dlq?provider=kept')).body.items).toHaveLength(1);
  });
});

describe('a query', () => {
  it.each([
    '/dlq',
    '/providers',
    '/providers/kinds',
    '/routes',
    '/providers/any/tenants',
    '/providers/any/status',
    '/sync/status/0.a.1.crm',
  ])('of %s with a parameter that is not known is refused by its name', async (path) => {
    const [error] = await errorsOf('GET', `${path}?providr=hubspot`);
    expect(error).toEqual({ path: 'providr', message: expect.stringContaining('no such parameter') });
  });

  it('that does not know a parameter says which it knows', async () => {
    expect((await errorsOf('GET', '/dlq?limt=3'))[0]?.message).toContain('provider, tenant, code, record_id, limit, cursor');
    expect((await errorsOf('DELETE', '/providers/any?forced=true'))[0]?.message).toContain('force');
  });

  it.each([
    ['limit', 'expected a whole number from 1 to 500', '/dlq?limit=abc'],
    ['limit', 'expected at most 500', '/dlq?limit=501'],
    ['wait', 'expected seconds from 0 to 30', '/sync/status/0.a.1.crm?wait=abc'],
    ['wait', 'expected at most 30', '/sync/status/0.a.1.crm?wait=31'],
    ['provider', 'expected 1 to 1024 characters', '/dlq?provider='],
    ['code', 'expected 1 to 1024 characters', `/dlq?code=${'x'.repeat(1_025)}`],
    ['cursor', 'expected 1 to 1000 characters', '/routes?cursor='],
    ['tenant', 'expected 1 to 200 characters', '/providers/any/status?tenant='],
    ['limit', 'expected one value', '/dlq?limit=1&limit=2'],
  ])('has one fault for %s: %s', async (path, message, address) => {
    expect(await errorsOf('GET', address)).toEqual([{ path, message }]);
  });

  it.each(['0', '0.1234', '0.30000000000000004', '30.0000'])('may wait for any decimal number of seconds up to 30: %s', async (wait) => {
    expect((await api.ask('GET', `/sync/status/0.a.1.crm?wait=${wait}`)).status).toBe(404);
  });

  it.each(['', '-1', '+1', '1e1', '.5', '5.', '1,5', '30.0001', '0x1'])('waits for no such time: %j', async (wait) => {
    expect((await errorsOf('GET', `/sync/status/0.a.1.crm?wait=${encodeURIComponent(wait)}`)).map(({ path }) => path)).toEqual(['wait']);
  });

  it('may be anything where a route takes none', async () => {
    expect((await api.ask('GET', '/healthz?probe=1')).status).toBe(200);
  });
});

describe('an id in an address', () => {
  it.each([
    ['GET', '/sync/status/'],
    ['GET', '/dlq/'],
    ['DELETE', '/dlq/'],
    ['GET', '/providers/'],
    ['GET', '/routes/'],
    ['GET', '/docs/'],
  ])('of %s %s that is too long to be one names nothing: 404', async (method, path) => {
    expect((await api.ask(method, path + 'x'.repeat(5_000))).status).toBe(404);
  });
});
