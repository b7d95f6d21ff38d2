import { describe, expect, it } from 'vitest';
import { callOf, openHttpAdapter, send, sendOne } from '../../../../test/support/http-adapter.ts';
import { receive } from '../../../../test/support/receiver.ts';

describe('batches', () => {
  const batch = { path: '/batch', max_records: 10, max_wait_ms: 5 };
  const five = (['create', 'update', 'upsert', 'delete', 'read'] as const).map((kind, index) =>
    callOf({ kind, recordId: `r"${index}`, operationId: `op-${index}`, idempotencyKey: `op-${index}` }),
  );
  const answering = (results: unknown, status = 200) => receive(() => ({ status, body: { results } }));

  it('are one POST of what the contract says', async () => {
    const receiver = await answering(five.map(() => ({ status: 200 })));
    const adapter = openHttpAdapter(`${receiver.url}/v1`, { batch });
    expect(adapter).toMatchObject({ maxBatch: 10, batchWaitMs: 5 });
    expect(adapter.canShareBatch(callOf(), callOf({ kind: 'delete', entity: 'deal' }))).toBe(true);
    expect(await send(adapter, five)).toEqual(five.map(() => ({ status: 'accepted', providerStatus: 200 })));
    expect(receiver.calls).toHaveLength(1);
    expect(receiver.calls[0]).toMatchObject({ method: 'POST', path: '/v1/batch' });
    expect(receiver.calls[0]?.json).toEqual({
      operations: five.map((call) => ({
        operation_id: call.operationId,
        operation: call.kind,
        entity: 'contact',
        record_id: call.recordId,
        ...(call.dataJson === undefined ? {} : { data: { a: 1 } }),
        timestamp: '2026-05-01T11:59:00.000Z',
      })),
    });
  });

  it('give each record its own outcome', async () => {
    const receiver = await answering([
      { status: 201, id: 77 },
      { status: 422, error: { field: 'a' } },
      { status: 503, error: 'later' },
      { status: 404 },
      { status: 200, data: { name: 'n' } },
    ]);
    expect(await send(openHttpAdapter(receiver.url, { batch }), five)).toEqual([
      { status: 'accepted', providerStatus: 201, providerRecordId: '77' },
      {
        status: 'failed',
        error: { kind: 'invalid', code: 'rejected', message: 'the provider answered 422', providerStatus: 422, answer: '{"field":"a"}' },
      },
      { status: 'failed', error: expect.objectContaining({ kind: 'transient', answer: 'later' }) },
      { status: 'accepted', providerStatus: 404 },
      { status: 'accepted', providerStatus: 200, result: { name: 'n' } },
    ]);
  });

  it.each([
    ['too few', [{ status: 200 }]],
    ['too many', Array.from({ length: 6 }, () => ({ status: 200 }))],
    ['without statuses', [1, 2, 3, 4, 5]],
    ['with one that is null', [null, ...Array.from({ length: 4 }, () => ({ status: 200 }))]],
    ['with a status that is none', Array.from({ length: 5 }, () => ({ status: '200' }))],
    ['not in an array', 'ok'],
  ])('with results %s are ambiguous for all', async (_, results) => {
    const receiver = await answering(results);
    const outcomes = await send(openHttpAdapter(receiver.url, { batch }), five);
    expect(outcomes).toHaveLength(5);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ error: { kind: 'ambiguous', code: 'malformed_batch_answer' } });
  });

  it.each(['', 'null', '[]', 'no json'])('answered by %j are ambiguous for all', async (body) => {
    const receiver = await receive(() => ({ body }));
    expect(await send(openHttpAdapter(receiver.url, { batch }), five)).toMatchObject(five.map(() => ({ error: { kind: 'ambiguous' } })));
  });

  it.each([400, 404, 409, 413, 422])('refused as one by %i say so', async (status) => {
    const receiver = await receive(() => ({ status, body: 'no' }));
    for (const outcome of await send(openHttpAdapter(receiver.url, { batch }), five)) {
      expect(outcome).toMatchObject({ status: 'failed', error: { isWholeBatch: true, providerStatus: status, answer: 'no' } });
    }
  });

  it.each([
    [429, 'rate_limited'],
    [500, 'transient'],
    [503, 'transient'],
    [401, 'auth'],
    [302, 'invalid'],
  ])('refused by %i fail for a reason that is not in them', async (status, kind) => {
    const receiver = await receive(() => ({ status }));
    for (const outcome of await send(openHttpAdapter(receiver.url, { batch }), five)) {
      expect(outcome).toMatchObject({ status: 'failed', error: { kind } });
      expect(outcome.status === 'failed' && outcome.error.isWholeBatch).toBeUndefined();
    }
  });

  it('mask credentials in the errors of their records', async () => {
    const receiver = await receive((call) => ({ body: { results: [{ status: 400, error: call.headers['authorization'] }] } }));
    const adapter = openHttpAdapter(receiver.url, { batch, auth_config: { type: 'bearer', token: 'open-sesame' } });
    expect(await sendOne(adapter)).toMatchObject({ error: { answer: 'Bearer ***' } });
  });

  it('are not made where there is no path for them', () => {
    expect(openHttpAdapter('http://127.0.0.1:1', { batch: { max_records: 10 } }).maxBatch).toBe(1);
  });

  it('of reads take as much as the reads would one by one', async () => {
    const data = { text: 'x'.repeat(15_000) };
    const reads = Array.from({ length: 100 }, (_, index) => callOf({ kind: 'read', recordId: `r${index}` }));
    const receiver = await answering(reads.map(() => ({ status: 200, data })));
    const outcomes = await send(openHttpAdapter(receiver.url, { batch: { ...batch, max_records: 100 } }), reads);
    expect(outcomes).toEqual(reads.map(() => ({ status: 'accepted', providerStatus: 200, result: data })));
  });
});
