import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { crm, good } from '../../test/support/api-bodies.ts';
import { eventually } from '../../test/support/eventually.ts';
import { type Answer, startTestApi } from '../../test/support/in-process-api.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi({}, (started) => started.ask('POST', '/providers', crm));

/** The direct way, and the way through Hono: a query keeps the direct one from being taken. */
const ways = [
  ['directly', '/sync'],
  ['through Hono', '/sync?by=hono'],
  ['under /v1', '/v1/sync'],
] as const;

function withoutIds(answer: Answer) {
  const text = answer.text.replaceAll(/[0-9]+\.[0-9a-z]+\.[0-9a-z]+\.crm/g, '<id>').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<uuid>');
  const { status, headers } = answer;
  return { status, text, type: headers.get('content-type'), retryAfter: headers.get('retry-after'), hasLocation: headers.has('location') };
}

it('answers 202 where Redis failed for a part of an array, and says which', async () => {
  const other = await startTestApi(api.redis.url, { SLUICE_KEY_PREFIX: 'part:', SLUICE_SHARDS: '1' });
  try {
    await Promise.all(['crm', 'broken'].map((name) => other.ask('POST', '/providers', { ...crm, name })));
    await api.redis.ask('SET', 'part:{00}:q:broken', 'not a stream');
    // More than goes in one call.
    const large = { ...good, data: { text: 'x'.repeat(60_000) } };
    const part = await other.ask('POST', '/sync', [large, ...Array.from({ length: 16 }, () => ({ ...large, provider: 'broken' }))]);
    expect(part).toMatchObject({ status: 202, body: { accepted: 1, rejected: 16 } });
    expect(part.body.results[0]).toMatchObject({ status: 'queued' });
    expect(part.body.results[1].error).toMatchObject({ status: 503, code: 'unavailable' });
    expect(other.log.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect((await other.ask('GET', '/metrics')).text).toContain('result="unavailable"} 16');
  } finally {
    await other.api.stop();
  }
});

describe.each(ways)('POST /sync %s', (_, path) => {
  const post = (body: unknown, headers?: Record<string, string>) => api.ask('POST', path, body, headers);

  it('answers 202 once Redis holds the operation, with its id, record and address', async () => {
    const { status, body, headers } = await post(good);
    expect(status).toBe(202);
    expect(body).toEqual({
      operation_id: expect.any(String),
      record_id: 'c1',
      status: 'queued',
      status_url: `/sync/status/${body.operation_id}`,
    });
    expect(headers.get('location')).toBe(body.status_url);
    expect(headers.get('x-request-id')).toBeTruthy();
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({
      status: 'queued',
      operation: 'update',
      provider: 'crm',
      record_id: 'c1',
      attempts: 0,
    });
  });

  it('makes a UUIDv7 for a create without a record id', async () => {
    const { body } = await post({ operation: 'create', provider: 'crm', data: {} });
    expect(body.record_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('takes the good of an array and refuses the bad, in order', async () => {
    const { status, body } = await post([
      good,
      { ...good, operation: 'jump' },
      { ...good, provider: 'nobody' },
      { ...good, record_id: 'c2' },
    ]);
    expect(status).toBe(202);
    expect(body).toMatchObject({ accepted: 2, rejected: 2 });
    expect(body.results.map((result: { record_id?: string; error?: { code: string } }) => result.record_id ?? result.error?.code)).toEqual([
      'c1',
      'invalid',
      'unknown_provider',
      'c2',
    ]);
  });

  it('answers 422 where nothing of an array was accepted, with the results', async () => {
    const { status, body, headers } = await post([{ ...good, provider: 'nobody' }, 5]);
    expect(status).toBe(422);
    expect(headers.get('content-type')).toBe('application/problem+json');
    expect(body).toMatchObject({
      code: 'invalid',
      accepted: 0,
      rejected: 2,
      results: [{ error: { code: 'unknown_provider' } }, { error: { code: 'invalid' } }],
    });
  });

  it('takes arrays of 1 to 1,000', async () => {
    expect((await post([])).status).toBe(422);
    expect((await post(Array.from({ length: 1_001 }, () => good))).status).toBe(422);
    expect((await post(Array.from({ length: 1_000 }, (__, index) => ({ ...good, record_id: `many-${index}` })))).body).toMatchObject({
      accepted: 1_000,
    });
  });

  it.each([
    ['no JSON', '{"operation":', {}, 400, 'malformed_json'],
    ['an empty body', '', {}, 400, 'malformed_json'],
    ['another type', 'x', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['another charset', '{}', { 'content-type': 'application/json; charset=utf-16' }, 415, 'unsupported_media_type'],
    ['a compressed body', '{}', { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
    ['a number', '5', {}, 422, 'invalid'],
    ['null', 'null', {}, 422, 'invalid'],
    ['an unknown provider', JSON.stringify({ ...good, provider: 'nobody' }), {}, 422, 'unknown_provider'],
    ['a far timestamp', JSON.stringify({ ...good, timestamp: Date.now() + 3_600_000 }), {}, 422, 'timestamp_in_future'],
    ['an empty header key', JSON.stringify(good), { 'idempotency-key': '' }, 422, 'invalid'],
    ['two keys', JSON.stringify({ ...good, idempotency_key: 'a' }), { 'idempotency-key': 'b' }, 422, 'invalid'],
    ['1 MiB and more', JSON.stringify({ ...good, data: { a: 'x'.repeat(1_048_576) } }), {}, 413, 'too_large'],
    ['8 MiB and more', `[${JSON.stringify({ ...good, data: { a: 'x'.repeat(8_388_608) } })}]`, {}, 413, 'too_large'],
  ] as const)('refuses %s', async (__, body, headers, status, code) => {
    const answer = await post(body, { 'content-type': 'application/json', ...headers });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ status, code, type: `urn:sluice:problem:${code}`, title: expect.any(String) });
  });

  it('gives the first answer again for the same key and operation, in whatever order its fields come', async () => {
    const key = `same-${path}`;
    const first = await post({ ...good, data: { a: 1, b: { c: 2, d: 3 } } }, { 'idempotency-key': key });
    const again = await post({
      data: { b: { d: 3, c: 2 }, a: 1 },
      idempotency_key: key,
      record_id: 'c1',
      provider: 'crm',
      operation: 'UPDATE',
    });
    expect(again.status).toBe(202);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const other = await post({ ...good, data: { a: 2 } }, { 'idempotency-key': key });
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  });

  it('keeps the record id that was made for a keyed create', async () => {
    const create = { operation: 'create', provider: 'crm', data: { a: 1 }, idempotency_key: `create-${path}` };
    expect((await post(create)).body).toEqual((await post(create)).body);
  });

  it('lets the header’s key cover each operation of an array', async () => {
    const many = [good, { ...good, record_id: 'c2' }];
    const first = await post(many, { 'idempotency-key': `array-${path}` });
    expect((await post(many, { 'idempotency-key': `array-${path}` })).body).toEqual(first.body);
    expect(new Set(first.body.results.map((result: { operation_id: string }) => result.operation_id)).size).toBe(2);
  });

  it('names requests as their senders do', async () => {
    expect((await post(good, { 'x-request-id': 'mine-1' })).headers.get('x-request-id')).toBe('mine-1');
    expect((await post(good, { 'x-request-id': 'not plain!' })).headers.get('x-request-id')).not.toBe('not plain!');
  });
});

describe('both ways of POST /sync', () => {
  it('answer alike', async () => {
    const bodies = [
      '',
      '{',
      '5',
      '[]',
      '[5]',
      JSON.stringify(good),
      JSON.stringify([good, {}]),
      '{"operation":"create","provider":"crm","data":{}}',
      'x'.repeat(2_000_000),
    ];
    for (const body of bodies) {
      for (const headers of [{}, { 'content-type': 'text/plain' }, { 'idempotency-key': 'x'.repeat(256) }]) {
        const asked = ways.slice(0, 2).map(([, path]) => api.ask('POST', path, body, { 'content-type': 'application/json', ...headers }));
        const [direct, viaHono] = (await Promise.all(asked)).map(withoutIds);
        expect(direct, body.slice(0, 50)).toEqual(viaHono);
      }
    }
  });

  it.each(ways)('tell a sender %s that a body is too large before it has sent it all, and hang up', async (_, path) => {
    const answer = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(api.api.port, '127.0.0.1', () => {
        const chunk = `{${' '.repeat(1_100_000)}`;
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${(1_200_000).toString(16)}\r\n${chunk}`,
        );
      });
      socket.on('data', (chunk) => {
        received += chunk.toString();
      });
      socket.once('close', () => resolve(received));
      socket.once('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });
});

describe('the door’s bounds', () => {
  it('turns operations away with 429 when the provider’s backlog is full', async () => {
    const small = await startTestApi(api.redis.url, { SLUICE_MAX_BACKLOG: '3' });
    await small.ask('POST', '/providers', { name: 'crm', base_url: 'http://127.0.0.1:9' });
    const { body } = await small.ask(
      'POST',
      '/sync',
      Array.from({ length: 5 }, (_, index) => ({ ...good, record_id: `r${index}` })),
    );
    expect(body).toMatchObject({ accepted: 3, rejected: 2 });
    const single = await small.ask('POST', '/sync', good);
    expect(single).toMatchObject({ status: 429, body: { code: 'backlog_full' } });
    expect(Number(single.headers.get('retry-after'))).toBeGreaterThan(0);
    await small.api.stop();
  });

  it('limits each key’s requests a second over all processes', async () => {
    const env = { SLUICE_REQUESTS_PER_SECOND: '5', SLUICE_KEY_PREFIX: 'limited:' };
    const [one, two] = await Promise.all([startTestApi(api.redis.url, env), startTestApi(api.redis.url, env)]);
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? one : two).ask('GET', '/providers')));
    const passed = answers.filter((answer) => answer.status === 200).length;
    const refused = answers.find((answer) => answer.status === 429);
    expect(passed).toBeGreaterThanOrEqual(5);
    expect(passed).toBeLessThanOrEqual(10);
    expect(refused?.body.code).toBe('rate_limited');
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await one.ask('GET', '/healthz')).status).toBe(200);
    await Promise.all([one.api.stop(), two.api.stop()]);
  });
});

describe('GET /sync/status', () => {
  it('answers 404 for what is no operation’s id, and for one that never was', async () => {
    for (const id of ['x', '99.a.1.crm', '1.a.1.crm', '1.mwqa7a85.zzz.crm', '..%2f..', '%00', '%zz', 'a'.repeat(700)]) {
      const { status, body } = await api.ask('GET', `/sync/status/${id}`);
      expect([404, 422], id).toContain(status);
      expect(['not_found', 'invalid'], id).toContain(body.code);
    }
  });

  it('waits as long as it is asked to, at most 30 seconds', async () => {
    const { body } = await api.ask('POST', '/sync', good);
    expect((await api.ask('GET', `${body.status_url}?wait=0.05`)).body).toMatchObject({ status: 'queued' });
    for (const wait of ['31', '-1', 'x', '', '1e1'])
      expect((await api.ask('GET', `${body.status_url}?wait=${wait}`)).status, wait).toBe(422);
  });

  it('does not keep a stopping process waiting', async () => {
    const stopping = await startTestApi(api.redis.url, { SLUICE_KEY_PREFIX: 'stopping:' });
    await stopping.ask('POST', '/providers', { name: 'crm', base_url: 'http://127.0.0.1:9' });
    const { body } = await stopping.ask('POST', '/sync', good);
    const waiting = stopping.ask('GET', `${body.status_url}?wait=30`);
    await eventually(async () => (await api.redis.ask('KEYS', 'stopping:*:waiting')) !== '0');
    await stopping.api.stop();
    expect(await waiting.catch(() => ({ status: 'cut' }))).toMatchObject({ status: 200 });
  });
});
