/** No route and no operation addressed to `auto` gets a 5xx, whatever it holds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auto, both, leads, useRoutes } from '../../test/support/use-routes.ts';

const { api, addRoutes, send } = useRoutes();

describe('any input', () => {
  const strange = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '*',
      'try',
      'auto',
      '\u0000',
      '\ud800',
      '__proto__',
      'data',
      'data.a',
      '"',
      '((((',
      1e308,
      2 ** 53,
      -0,
      'data.a == 1',
      'true',
    ),
  );
  const changed = (base: object, names: readonly string[]) =>
    fc.array(fc.tuple(fc.constantFrom(...names), strange), { maxLength: 3 }).map((parts) => ({ ...base, ...Object.fromEntries(parts) }));
  const route = changed({ ...leads, name: 'fuzzed' }, [
    'name',
    'entity',
    'filter',
    'providers',
    'enabled',
    'position',
    'tenant',
    'version',
    '__proto__',
  ]);
  const operation = changed(auto('lead'), [
    'operation',
    'record_id',
    'entity',
    'data',
    'tenant',
    'source',
    'timestamp',
    'idempotency_key',
    'x',
  ]);

  it('to /routes and /routes/try gets no 5xx', async () => {
    const request = fc.oneof(
      fc.tuple(
        fc.constantFrom('POST /routes', 'PUT /routes/fuzzed', 'PUT /routes/__proto__', 'PUT /routes/:version'),
        fc.oneof(route, strange),
      ),
      fc.tuple(
        fc.constant('POST /routes/try'),
        fc.oneof(
          operation,
          strange,
          fc.tuple(operation, route).map(([sample, route]) => ({ ...sample, route })),
        ),
      ),
      fc.tuple(
        fc.constantFrom(
          'DELETE /routes/%00',
          'DELETE /routes/:version',
          'GET /routes/%ff',
          'GET /routes?cursor=%00',
          'GET /routes?cursor=__8',
        ),
        fc.constant(undefined),
      ),
    );
    await fc.assert(
      fc.asyncProperty(request, strange, async ([line, body], ifMatch) => {
        const [method, path] = line.split(' ') as [string, string];
        const headers: Record<string, string> =
          typeof ifMatch === 'string' && /^[\x20-\x7e]+$/.test(ifMatch) ? { 'if-match': ifMatch } : {};
        const answer = await api.ask(method, path, body === undefined ? undefined : (JSON.stringify(body) ?? 'null'), headers);
        expect(answer.status, `${line} ${JSON.stringify(body)}`).toBeLessThan(500);
      }),
      { numRuns: 300, seed: 5 },
    );
    expect((await api.ask('GET', '/routes?limit=500')).status).toBe(200);
  });

  it('addressed to auto gets no 5xx, alone and in arrays', async () => {
    await addRoutes(leads, { ...both, filter: 'has(data.contact_type) || operation == "read"' });
    await fc.assert(
      fc.asyncProperty(fc.oneof(operation, fc.array(operation, { maxLength: 4 })), async (body) => {
        const answer = await send(body);
        expect(answer.status, JSON.stringify(body)).toBeLessThan(500);
        if (answer.status === 202 && !Array.isArray(body)) expect((await api.ask('GET', answer.body.status_url)).status).toBe(200);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
