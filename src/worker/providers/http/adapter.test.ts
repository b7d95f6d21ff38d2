import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { prepare } from '../../../../test/support/dialect-calls.ts';
import { eventually } from '../../../../test/support/eventually.ts';
import { callOf, openHttpAdapter, send, sendOne, yes } from '../../../../test/support/http-adapter.ts';
import { receive } from '../../../../test/support/receiver.ts';

describe('one call for each operation', () => {
  it('sends what the contract says', async () => {
    const receiver = await receive();
    const adapter = openHttpAdapter(`${receiver.url}/v1`);
    for (const kind of ['create', 'update', 'upsert', 'delete', 'read'] as const)
      expect((await sendOne(adapter, { kind })).status).toBe('accepted');
    expect(receiver.calls.map(({ method, path, text }) => [method, path, text])).toEqual([
      ['POST', '/v1/contact', '{"id":"r1","a": 1}'],
      ['PATCH', '/v1/contact/r1', '{"a": 1}'],
      ['PUT', '/v1/contact/r1', '{"a": 1}'],
      ['DELETE', '/v1/contact/r1', ''],
      ['GET', '/v1/contact/r1', ''],
    ]);
    const [create, , , remove] = receiver.calls;
    expect(create?.headers).toMatchObject({
      'idempotency-key': '3.abc.1.crm',
      'x-record-timestamp': '2026-05-01T11:59:00.000Z',
      'content-type': 'application/json',
    });
    expect(remove?.headers['content-type']).toBeUndefined();
    expect(adapter.maxBatch).toBe(1);
  });

  it.each([
    [{ type: 'none' }, 'authorization', undefined],
    [{ type: 'bearer', token: 't0ken' }, 'authorization', 'Bearer t0ken'],
    [{ type: 'basic', username: 'key', password: '' }, 'authorization', `Basic ${Buffer.from('key:').toString('base64')}`],
    [{ type: 'basic', username: 'u', password: 'pä:ß' }, 'authorization', `Basic ${Buffer.from('u:pä:ß').toString('base64')}`],
    [{ type: 'api_key', value: 'k3y' }, 'x-api-key', 'k3y'],
    [{ type: 'api_key', header: 'X-Token', value: 'k3y' }, 'x-token', 'k3y'],
  ])('authenticates by %j', async (auth_config, header, value) => {
    const receiver = await receive();
    await sendOne(openHttpAdapter(receiver.url, { auth_config }));
    expect(receiver.calls[0]?.headers[header]).toBe(value);
  });

  it('keeps the id that a create is answered with', async () => {
    let body: unknown = { id: 'p-9', more: true };
    const receiver = await receive(() => ({ status: 201, body }));
    const adapter = openHttpAdapter(receiver.url);
    expect(await sendOne(adapter, { kind: 'create' })).toEqual({ status: 'accepted', providerStatus: 201, providerRecordId: 'p-9' });
    body = { id: 12, filler: 'x'.repeat(100_000) };
    expect(await sendOne(adapter, { kind: 'create' })).toMatchObject({ providerRecordId: '12' });
    body = 'no json';
    expect(await sendOne(adapter, { kind: 'create' })).toEqual({ status: 'accepted', providerStatus: 201 });
  });

  it('gives what a read has found, up to a bound', async () => {
    let body: unknown = { id: 1, name: 'n' };
    const receiver = await receive(() => ({ body }));
    const adapter = openHttpAdapter(receiver.url);
    expect(await sendOne(adapter, { kind: 'read' })).toMatchObject({ status: 'accepted', result: { id: 1, name: 'n' } });
    body = 'plain text';
    expect(await sendOne(adapter, { kind: 'read' })).toMatchObject({ result: 'plain text' });
    body = 'x'.repeat(50_000);
    expect(await sendOne(adapter, { kind: 'read' })).toMatchObject({ result: { truncated: true, text: 'x'.repeat(16 * 1024) } });
  });

  it('by an id that a double cannot hold leads to that record', async () => {
    const receiver = await receive(({ method }) => ({ status: method === 'POST' ? 201 : 200, body: '{"id":1234567890123456789}' }));
    const adapter = openHttpAdapter(receiver.url, { endpoints: { update: { path: '/items/{provider_record_id}' } } });
    const providerRecordId = '1234567890123456789';
    expect(await sendOne(adapter, { kind: 'create' })).toMatchObject({ status: 'accepted', providerRecordId });
    await sendOne(adapter, { kind: 'update', providerRecordId });
    expect(receiver.calls[1]?.path).toBe(`/items/${providerRecordId}`);
    expect(await sendOne(adapter, { kind: 'read' })).toMatchObject({ result: { id: providerRecordId } });
    const batches = await receive(() => ({ body: '{"results":[{"status":201,"id":1234567890123456789}]}' }));
    const batching = openHttpAdapter(batches.url, { batch: { path: '/batch' } });
    expect(await sendOne(batching, { kind: 'create' })).toMatchObject({ status: 'accepted', providerRecordId });
  });

  it('does not mind how long the answer to an update is, and ends the connection where it is too long', async () => {
    const receiver = await receive(() => ({ body: 'x'.repeat(3 * 1024 * 1024) }));
    const adapter = openHttpAdapter(receiver.url);
    expect(await sendOne(adapter)).toEqual({ status: 'accepted', providerStatus: 200 });
    await eventually(() => receiver.calls[0]?.endedAtMs !== undefined);
  });

  it('takes a delete of what is gone for done', async () => {
    const receiver = await receive(() => ({ status: 404 }));
    const adapter = openHttpAdapter(receiver.url);
    expect(await sendOne(adapter, { kind: 'delete' })).toEqual({ status: 'accepted', providerStatus: 404 });
    expect(await sendOne(adapter, { kind: 'update' })).toMatchObject({ status: 'failed', error: { kind: 'gone', code: 'not_found' } });
  });

  it('refuses before sending what cannot be sent', () => {
    const adapter = openHttpAdapter('http://127.0.0.1:1', { schema: { required: ['email'] } });
    expect(adapter.prepare(callOf({ recordId: '..' }))).toMatchObject({ status: 'refused', error: { code: 'invalid_record_id' } });
    expect(adapter.prepare(callOf({ kind: 'upsert' }))).toMatchObject({
      status: 'refused',
      error: { code: 'invalid_payload', message: 'email is required' },
    });
    expect(adapter.prepare(callOf({ timestampMs: 9e15 }))).toMatchObject({ status: 'refused', error: { code: 'invalid_request' } });
  });
});

describe('a refusal', () => {
  it('carries the status and the answer, our credentials masked', async () => {
    const receiver = await receive((call) => ({ status: 422, body: { error: `bad token in ${call.headers['authorization']}` } }));
    const outcome = await sendOne(openHttpAdapter(receiver.url, { auth_config: { type: 'bearer', token: 'open-sesame' } }));
    expect(outcome).toEqual({
      status: 'failed',
      error: {
        kind: 'invalid',
        code: 'rejected',
        message: 'the provider answered 422',
        providerStatus: 422,
        answer: '{"error":"bad token in Bearer ***"}',
      },
    });
  });

  it('shows no credential however often or where it stands', async () => {
    const secret = 'abcdefghijklmnopqrstuvwxyz0123456789';
    const bodies = [secret.repeat(5_000), `${'x'.repeat(4_090)}${secret}`, `${'x'.repeat(65_530)}${secret}`];
    const receiver = await receive((call) => ({ status: 400, body: bodies[call.index % 3] }));
    for (const auth_config of [
      { type: 'api_key', value: secret },
      { type: 'basic', username: 'u', password: secret },
    ]) {
      const adapter = openHttpAdapter(receiver.url, { auth_config });
      for (const _ of bodies) {
        const outcome = await sendOne(adapter);
        const answer = outcome.status === 'failed' ? (outcome.error.answer ?? '') : '';
        expect(answer.length).toBeLessThanOrEqual(4_096);
        expect(answer).not.toContain('abcdef');
      }
    }
  });

  it('masks credentials in what a read has found', async () => {
    const receiver = await receive((call) => ({ body: { echo: call.headers['x-api-key'] } }));
    const outcome = await sendOne(openHttpAdapter(receiver.url, { auth_config: { type: 'api_key', value: 'open"sesame' } }), {
      kind: 'read',
    });
    expect(outcome).toMatchObject({ result: { echo: '***' } });
  });

  it('says how long the provider wants to be left alone', async () => {
    let answer: { status: number; headers: Record<string, string> } = { status: 429, headers: { 'retry-after': '7' } };
    const receiver = await receive(() => answer);
    const adapter = openHttpAdapter(receiver.url);
    expect(await sendOne(adapter)).toMatchObject({ error: { kind: 'rate_limited', retryAfterMs: 7_000, providerStatus: 429 } });
    answer = { status: 503, headers: { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() } };
    expect(await sendOne(adapter)).toMatchObject({ error: { kind: 'rate_limited', retryAfterMs: expect.closeTo(3_600_000, -4) } });
    for (const headers of [{}, { 'retry-after': '0' }, { 'retry-after': '-5' }, { 'retry-after': 'Fri, 01 May 2015 12:00:00 GMT' }]) {
      answer = { status: 429, headers: headers as Record<string, string> };
      const unsaid = await sendOne(adapter);
      expect(unsaid).toMatchObject({ error: { kind: 'rate_limited' } });
      expect(unsaid.status === 'failed' && unsaid.error.retryAfterMs).toBeUndefined();
    }
    answer = { status: 503, headers: {} };
    expect(await sendOne(adapter)).toMatchObject({ error: { kind: 'transient', code: 'provider_error' } });
  });

  it('by redirect is not followed', async () => {
    const target = await receive();
    const receiver = await receive(() => ({ status: 307, headers: { location: `${target.url}/elsewhere` } }));
    expect(await sendOne(openHttpAdapter(receiver.url))).toMatchObject({ error: { kind: 'invalid', code: 'redirect' } });
    expect(target.calls).toEqual([]);
  });

  it('of fixed credentials is final', async () => {
    const receiver = await receive(() => ({ status: 401 }));
    expect(await sendOne(openHttpAdapter(receiver.url, { auth_config: { type: 'bearer', token: 't' } }))).toMatchObject({
      error: { kind: 'auth', code: 'unauthorized' },
    });
  });
});

describe('what goes wrong on the way', () => {
  it('is ambiguous after the call was sent', async () => {
    const receiver = await receive((call) => (call.index === 0 ? { hang: true } : { drop: true }));
    const adapter = openHttpAdapter(receiver.url, { timeout_ms: 100 });
    expect(await sendOne(adapter)).toMatchObject({ status: 'failed', error: { kind: 'ambiguous', code: 'timeout' } });
    expect(await sendOne(adapter)).toMatchObject({ status: 'failed', error: { kind: 'ambiguous', code: 'connection_lost' } });
  });

  it('is transient before it', async () => {
    const probe = createServer();
    await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening));
    const { port } = probe.address() as { port: number };
    await new Promise((closed) => probe.close(closed));
    expect(await sendOne(openHttpAdapter(`http://127.0.0.1:${port}`))).toMatchObject({
      error: { kind: 'transient', code: 'connection_refused' },
    });
    expect(await sendOne(openHttpAdapter('http://provider.test'))).toMatchObject({ error: { kind: 'transient', code: 'host_not_found' } });
  });

  it('is a refused address where private networks are not allowed', async () => {
    const receiver = await receive();
    const network = { allowPrivateNetworks: false };
    expect(await sendOne(openHttpAdapter(receiver.url, {}, { network }))).toMatchObject({
      error: { kind: 'transient', code: 'address_refused' },
    });
    const rebound = openHttpAdapter(
      `http://provider.test:${receiver.port}`,
      {},
      { network, resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
    );
    expect(await sendOne(rebound)).toMatchObject({ error: { code: 'address_refused' } });
    expect(receiver.calls).toEqual([]);
  });

  it('charges nobody where the guard says no or the call is cut in time', async () => {
    const receiver = await receive();
    const adapter = openHttpAdapter(receiver.url);
    expect(await send(adapter, [callOf()], { ...yes, mayStart: () => false })).toMatchObject([{ status: 'unsent' }]);
    const prepared = prepare(adapter, callOf());
    const cut = new Promise((done) => {
      openHttpAdapter(receiver.url).send([prepared], yes, done).abort('lease lost');
    });
    expect(await cut).toEqual([{ status: 'unsent', reason: 'lease lost' }]);
    expect(receiver.calls).toEqual([]);
  });

  it('ends calls in flight when the adapter closes', async () => {
    const receiver = await receive(() => ({ hang: true }));
    const adapter = openHttpAdapter(receiver.url);
    const outcomes = send(adapter, [callOf()]);
    await eventually(() => receiver.calls.length > 0);
    await adapter.close();
    expect(await outcomes).toMatchObject([{ status: 'failed', error: { kind: 'ambiguous', code: 'aborted' } }]);
  });
});
