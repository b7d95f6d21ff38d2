import { describe, expect, it } from 'vitest';
import { answered, lost } from '../../../../test/support/played-exchange.ts';
import { callOf, carryOutAll, external, fields, id, openSalesforce, otherId, refusal } from '../../../../test/support/salesforce-calls.ts';
import type { ExchangeAnswer } from '../exchange.ts';
import type { Call } from '../provider.ts';

describe('calls that share a batch', () => {
  const dialect = openSalesforce();
  const known = { providerRecordId: id };

  it.each([
    [{}, {}, true],
    [{ kind: 'update', ...known }, { kind: 'update', ...known }, true],
    [{ kind: 'update', ...known }, { kind: 'create', ...known }, true],
    [{ kind: 'delete', ...known }, { kind: 'delete', ...known }, true],
    [{ kind: 'read', ...known }, { kind: 'read', ...known }, true],
    [{}, { entity: 'lead' }, false],
    [{}, { isInDoubt: true }, false],
    [{}, { kind: 'create', ...known }, false],
    [{ kind: 'update', ...known }, { kind: 'delete', ...known }, false],
    [{ kind: 'read', entity: 'Thing__c', ...known }, { kind: 'read', entity: 'Thing__c', ...known }, false],
  ] as const)('%j and %j: %s', (a, b, expected) => {
    expect(dialect.canShareBatch(callOf(a), callOf(b))).toBe(expected);
  });

  it('are at most as many as Salesforce takes', () => {
    expect(dialect.maxBatch).toBe(200);
    expect(openSalesforce({}, { batch: { maxRecords: 500, maxWaitMs: 7 } })).toMatchObject({ maxBatch: 200, batchWaitMs: 7 });
    expect(openSalesforce({}, { batch: { maxRecords: 50, maxWaitMs: 7 } })).toMatchObject({ maxBatch: 50 });
  });
});

describe('a collection', () => {
  const two = (kind: Call['kind'], part: Partial<Call> = {}): Partial<Call>[] => [
    { kind, recordId: 'r1', providerRecordId: id, ...part },
    { kind, recordId: 'r2', providerRecordId: otherId, ...part },
  ];
  const ok = (own: string) => ({ id: own, success: true, errors: [] });
  const bad = (statusCode: string, message = 'text') => ({ success: false, errors: [{ statusCode, message, fields: ['Email'] }] });

  it('makes records, each with its result', async () => {
    const { outcomes, requests } = await carryOutAll(openSalesforce(), two('create', { providerRecordId: undefined }), [
      answered(200, [ok(id), bad('INVALID_EMAIL_ADDRESS')]),
    ]);
    const record = { attributes: { type: 'Contact' }, ...fields };
    expect(requests).toEqual([['POST', '/composite/sobjects', { allOrNone: false, records: [record, record] }]]);
    expect(outcomes).toMatchObject([
      { status: 'accepted', providerRecordId: id },
      { status: 'failed', error: { kind: 'invalid', code: 'invalid_field', message: expect.stringContaining('Email') } },
    ]);
    expect(outcomes[1]).not.toHaveProperty('error.isWholeBatch');
  });

  it('updates, upserts, deletes and reads', async () => {
    const update = await carryOutAll(openSalesforce(), two('update'), [answered(200, [ok(id), bad('UNABLE_TO_LOCK_ROW')])]);
    expect(update.requests[0]).toEqual([
      'PATCH',
      '/composite/sobjects',
      { allOrNone: false, records: [id, otherId].map((own) => ({ attributes: { type: 'Contact' }, id: own, ...fields })) },
    ]);
    expect(update.outcomes).toMatchObject([{ status: 'accepted' }, { error: { kind: 'transient', code: 'record_locked' } }]);

    const upsert = await carryOutAll(openSalesforce(external), two('upsert', { providerRecordId: undefined }), [
      answered(200, [{ ...ok(id), created: true }, ok(otherId)]),
    ]);
    expect(upsert.requests[0]).toEqual([
      'PATCH',
      '/composite/sobjects/Contact/Ext__c',
      { allOrNone: false, records: ['r1', 'r2'].map((key) => ({ attributes: { type: 'Contact' }, Ext__c: key, ...fields })) },
    ]);
    expect(upsert.outcomes).toMatchObject([{ providerStatus: 201, providerRecordId: id }, { providerStatus: 200 }]);

    const remove = await carryOutAll(openSalesforce(), two('delete'), [answered(200, [ok(id), bad('ENTITY_IS_DELETED')])]);
    expect(remove.requests[0]).toEqual(['DELETE', `/composite/sobjects?ids=${id},${otherId}&allOrNone=false`, undefined]);
    expect(remove.outcomes).toMatchObject([{ status: 'accepted' }, { status: 'accepted' }]);

    const read = await carryOutAll(openSalesforce(), two('read'), [answered(200, [{ Id: id, LastName: 'L' }, null])]);
    expect(read.requests[0]).toMatchObject(['POST', '/composite/sobjects/Contact', { ids: [id, otherId] }]);
    expect(read.sent[0]?.isRead).toBe(true);
    expect(read.outcomes).toMatchObject([{ result: { Id: id, LastName: 'L' } }, { error: { kind: 'gone', code: 'not_found' } }]);
  });

  it('refused as a whole is marked for taking apart; throttled or lost it is not', async () => {
    const refused = await carryOutAll(openSalesforce(), two('update'), [answered(400, refusal('INVALID_FIELD', "No such column 'Foo'"))]);
    expect(refused.outcomes.map((outcome) => outcome.status === 'failed' && outcome.error.isWholeBatch)).toEqual([true, true]);
    const limit = await carryOutAll(openSalesforce(), two('update'), [
      answered(403, refusal('REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.')),
    ]);
    expect(limit.outcomes).toMatchObject([{ error: { kind: 'rate_limited' } }, { error: { kind: 'rate_limited' } }]);
    expect(limit.outcomes[0]).not.toHaveProperty('error.isWholeBatch');
    expect((await carryOutAll(openSalesforce(), two('update'), [lost])).outcomes[1]).toMatchObject({ error: { kind: 'ambiguous' } });
  });

  it.each([500, 502, 503, 504])('of creates that is answered %i by what stands between leaves them in doubt', async (code) => {
    const creates = two('create', { providerRecordId: undefined });
    const doubtOf = async (calls: Partial<Call>[], answer: ExchangeAnswer, options = {}) => {
      const { outcomes } = await carryOutAll(openSalesforce(options), calls, [answer]);
      return outcomes.map(
        (outcome) => outcome.status === 'failed' && (outcome.error.kind === 'ambiguous' || outcome.error.isInDoubt === true),
      );
    };
    expect(await doubtOf(creates, answered(code, '<html>Bad gateway</html>'))).toEqual([true, true]);
    expect(await doubtOf(creates, answered(code, '<html>', { retryAfterMs: 3_000 }))).toEqual([true, true]);
    // Salesforce's own word is that nothing was done; what can be repeated is never in doubt.
    expect(await doubtOf(creates, answered(code, refusal('SERVER_UNAVAILABLE')))).toEqual([false, false]);
    expect(await doubtOf(creates, answered(code, '<html>'), external)).toEqual([false, false]);
    expect(await doubtOf(two('update'), answered(code, '<html>'))).toEqual([false, false]);
  });

  it.each([[[ok(id)]], ['text'], [{}], [[ok(id), {}]], [[ok(id), null]]])('answered by %j says nothing about anybody', async (body) => {
    const { outcomes } = await carryOutAll(openSalesforce(), two('update'), [answered(200, body)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ error: { kind: 'ambiguous', code: 'malformed_batch_answer' } });
  });

  it('never has a record twice: the later comes again', async () => {
    const calls = [...two('update'), { kind: 'update', recordId: 'r3', providerRecordId: id.slice(0, 15) } as const];
    const { outcomes, requests } = await carryOutAll(openSalesforce(), calls, [answered(200, [ok(id), ok(otherId)])]);
    expect(requests).toMatchObject([[expect.anything(), expect.anything(), { records: [{ id }, { id: otherId }] }]]);
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'unsent']);
  });

  it('reports a duplicate without naming it, so that record goes alone', async () => {
    const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: x duplicates value on record with id: ${otherId}`));
    const { outcomes, requests } = await carryOutAll(openSalesforce(), two('create', { providerRecordId: undefined }), [
      answered(200, [ok(id), bad('DUPLICATES_DETECTED')]),
      value,
    ]);
    expect(requests[1]).toEqual(['POST', '/sobjects/Contact', fields]);
    expect(outcomes[1]).toMatchObject({ error: { code: 'duplicate_record', message: expect.stringContaining(otherId) } });
  });

  it('makes anew what a create or an upsert was linked to in vain', async () => {
    const anew = answered(201, { id: '003000000000009AAA' });
    const { outcomes } = await carryOutAll(openSalesforce(), two('upsert'), [answered(200, [ok(id), bad('ENTITY_IS_DELETED')]), anew]);
    expect(outcomes).toMatchObject([{ providerRecordId: id }, { providerRecordId: '003000000000009AAA' }]);
  });
});
