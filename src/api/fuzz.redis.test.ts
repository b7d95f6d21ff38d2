/** No input of any kind gets a 5xx, and every refusal is a problem. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crm, good } from '../../test/support/api-bodies.ts';
import { type Answer, encryption } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';
import { problemKinds } from '../shared/domain/problem.ts';

const api = useTestApi(encryption, (started) => started.ask('POST', '/providers', crm));

function expectProper({ status, headers, body, text }: Answer, what: unknown) {
  const told = JSON.stringify(what)?.slice(0, 2_000);
  expect(status, told).toBeLessThan(500);
  if (status < 400) return;
  expect(headers.get('content-type'), told).toBe('application/problem+json');
  if (text !== '') expect(Object.keys(problemKinds), told).toContain(body.code);
}

const strange = fc.oneof(
  fc.jsonValue(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    '\u0000',
    '\ud800',
    '__proto__',
    'constructor',
    '../..',
    '%{x}',
    '\r\nx: y',
    '🙂'.repeat(300),
    1e308,
    -0,
    2 ** 53,
    '1e400',
    'NaN',
  ),
  fc.double(),
);
const fields = [
  'operation',
  'provider',
  'record_id',
  'entity',
  'data',
  'timestamp',
  'tenant',
  'source',
  'idempotency_key',
  '__proto__',
  'x',
];

/** A good operation with some fields made strange. */
const nearlyGood = fc
  .array(fc.tuple(fc.constantFrom(...fields), strange), { maxLength: 3 })
  .map((changes) => Object.fromEntries([...Object.entries(good), ...changes]));

describe('POST /sync', () => {
  it.each(['/sync', '/sync?by=hono'])('survives any JSON at %s', async (path) => {
    const body = fc.oneof(nearlyGood, fc.array(nearlyGood, { maxLength: 5 }), strange);
    await fc.assert(
      fc.asyncProperty(body, async (input) => expectProper(await api.ask('POST', path, JSON.stringify(input) ?? 'null'), input)),
      { numRuns: 300 },
    );
  });

  it('survives any bytes and any headers', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .constantFrom('['.repeat(200_000), '{"a":'.repeat(50_000), `${'['.repeat(5_000)}${']'.repeat(5_000)}`)
        .map((text) => Buffer.from(text)),
      nearlyGood.map((input) => Buffer.from(JSON.stringify(input)).subarray(0, 60)),
    );
    const token = fc.constantFrom(
      'application/json',
      'text/plain',
      'application/json;charset=x',
      '',
      'gzip',
      'identity',
      'a'.repeat(3_000),
      'Bearer',
      'Bearer x y',
      '\u00e9',
    );
    const headers = fc.dictionary(
      fc.constantFrom('content-type', 'content-encoding', 'idempotency-key', 'authorization', 'x-api-key', 'x-request-id'),
      token,
    );
    await fc.assert(
      fc.asyncProperty(bytes, headers, fc.constantFrom('/sync', '/v1/sync', '/sync?x'), async (sent, given, path) => {
        const response = await fetch(`${api.url}${path}`, {
          method: 'POST',
          body: Buffer.from(sent),
          headers: { 'content-type': 'application/json', ...given },
        });
        const text = await response.text();
        expectProper({ status: response.status, headers: response.headers, text, body: JSON.parse(text) }, [given, sent]);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps what it accepts as it was sent', async () => {
    const recordId = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(recordId, recordId, async (record_id, tenant) => {
        const { status, body } = await api.ask('POST', '/sync', { ...good, record_id, tenant: [...tenant].slice(0, 64).join('') });
        expect(status).toBe(202);
        expect(body.record_id).toBe(record_id);
        const { body: view } = await api.ask('GET', body.status_url);
        expect(view).toMatchObject({ record_id, tenant: [...tenant].slice(0, 64).join(''), status: 'queued' });
      }),
      { numRuns: 100 },
    );
  });
});

describe('/providers', () => {
  it('survives any JSON', async () => {
    const names = [
      'name',
      'kind',
      'base_url',
      'auth_config',
      'rate_limit',
      'burst_limit',
      'limits',
      'max_concurrency',
      'timeout_ms',
      'retry',
      'breaker',
      'batch',
      'mapping',
      'schema',
      'endpoints',
      'coalesce',
      '__proto__',
    ];
    const nested = fc.oneof(
      strange,
      fc.record({ type: fc.constantFrom('bearer', 'basic', '__proto__', 'salesforce_jwt'), token: strange }, { requiredKeys: [] }),
      fc.array(fc.record({ requests: strange, per: strange, burst: strange }, { requiredKeys: [] }), { maxLength: 3 }),
      fc.record({ type: fc.constantFrom('object', 'x'), pattern: strange, properties: strange, $ref: strange }, { requiredKeys: [] }),
    );
    const provider = fc
      .array(fc.tuple(fc.constantFrom(...names), nested), { maxLength: 3 })
      .map((changes) => Object.fromEntries([...Object.entries({ ...crm, name: 'fuzzed' }), ...changes]));
    const request = fc.tuple(
      fc.constantFrom('POST /providers', 'PUT /providers/fuzzed', 'PATCH /providers/fuzzed', 'PUT /providers/__proto__'),
      fc.oneof(provider, strange),
    );
    await fc.assert(
      fc.asyncProperty(request, async ([route, input]) => {
        const [method, path] = route.split(' ') as [string, string];
        expectProper(await api.ask(method, path, JSON.stringify(input) ?? 'null'), [route, input]);
      }),
      { numRuns: 400 },
    );
    expectProper(await api.ask('GET', '/providers?limit=500'), 'list');
    expect((await api.ask('GET', '/metrics')).status).toBe(200);
  });
});

describe('every address', () => {
  it('survives any path and query', async () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => (/\p{Surrogate}/u.test(text) ? '%ed%a0%80' : encodeURIComponent(text))),
      fc.constantFrom(
        '%',
        '%zz',
        '%00',
        '..',
        '%2e%2e',
        'retry',
        'kinds',
        'x'.repeat(3_000),
        '0.a.1.crm',
        '0.zzzzzzzzz.zzzzzzzzzzz.crm.~____',
        '9999.0.0.crm',
      ),
    );
    const path = fc
      .tuple(
        fc.constantFrom('/sync/status/', '/providers/', '/dlq/', '/docs/', '/v1/', '/'),
        part,
        fc.constantFrom('', '/retry', '/status', '/schema', '/pause'),
      )
      .map((parts) => parts.join(''));
    const query = fc
      .array(fc.tuple(fc.constantFrom('limit', 'cursor', 'wait', 'provider', 'tenant', 'code', 'record_id', 'force'), part), {
        maxLength: 3,
      })
      .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'));
    const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH');
    await fc.assert(
      fc.asyncProperty(method, path, query, async (verb, address, search) => {
        // Somebody else's waiting is not what is tried here.
        const asked = `${address}?${search.replaceAll(/wait=[0-9.]+/g, 'wait=0')}`;
        expectProper(await api.ask(verb, asked), [verb, asked]);
      }),
      { numRuns: 500 },
    );
  });

  it('survives what is hardly HTTP', async () => {
    const lines = [
      'GET /healthz HTTP/1.1\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nhost: \r\n\r\n',
      'GET /healthz HTTP/1.1\r\nhost: a b<>\r\n\r\n',
      'GET http://other/healthz HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET //healthz HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET \\healthz HTTP/1.1\r\nhost: x\r\n\r\n',
      'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n',
      'TRACE /healthz HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET /healthz?\u0001 HTTP/1.1\r\nhost: x\r\n\r\n',
      'nonsense\r\n\r\n',
      `GET /healthz HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`,
      'POST /sync HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
      'POST /sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      'POST /sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: -1\r\n\r\n',
      'POST /sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\r\n',
    ];
    for (const text of lines) {
      const answer = await askRaw(text);
      expect(answer, text.slice(0, 60)).toMatch(/^HTTP\/1\.1 [24]\d\d /);
    }
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
  });
});

function askRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(api.api.port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.once('data', (chunk) => {
      resolve(chunk.toString('latin1'));
      socket.destroy();
    });
    socket.once('close', () => resolve('closed'));
    socket.once('error', reject);
  });
}
