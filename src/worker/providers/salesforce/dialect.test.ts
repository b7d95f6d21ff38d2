import { describe, expect, it } from 'vitest';
import { providerConfig } from '../../../../test/support/engine.ts';
import { type Answering, answered, createPlayedExchange, lost, unsent } from '../../../../test/support/played-exchange.ts';
import { salesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Dialect, ExchangeReply } from '../exchange.ts';
import type { Call, PreparedCall } from '../provider.ts';
import { createSalesforceDialect } from './dialect.ts';

const base = '/services/data/v62.0';
const id = '003000000000001AAA';
const otherId = '003000000000002AAA';

function open(options: Record<string, unknown> = {}, part: Parameters<typeof providerConfig>[0] = {}): Dialect {
  return createSalesforceDialect(providerConfig({ kind: 'salesforce', options: salesforceOptions.parse(options), ...part }));
}

function callOf(part: Partial<Call> = {}): Call {
  const kind = part.kind ?? 'create';
  return {
    operationId: 'op',
    idempotencyKey: 'op',
    kind,
    tenant: 'default',
    entity: 'contact',
    recordId: 'r/1',
    timestampMs: Date.parse('2026-05-01T11:59:00.900Z'),
    dataJson: kind === 'delete' || kind === 'read' ? undefined : '{"last_name":"Lovelace","email":"ADA@example.com","title":null}',
    providerRecordId: undefined,
    isInDoubt: false,
    ...part,
  };
}

function prepare(dialect: Dialect, call: Call): PreparedCall {
  const preparation = dialect.prepare(call);
  if (preparation.status === 'refused') throw new Error(preparation.error.message);
  return preparation.prepared;
}

async function carryOut(dialect: Dialect, calls: readonly Partial<Call>[], answers: readonly ExchangeReply[] | Answering) {
  const exchange = createPlayedExchange(answers);
  const prepared = calls.map((call) => prepare(dialect, callOf(call)));
  const outcomes = await dialect.carryOut(prepared, exchange);
  const requests = exchange.requests.map(({ method, path, body }) => [method, path.replace(base, ''), body]);
  return { outcomes, requests, sent: exchange.requests };
}

async function carryOutOne(dialect: Dialect, call: Partial<Call>, answers: readonly ExchangeReply[]) {
  const { outcomes, ...rest } = await carryOut(dialect, [call], answers);
  expect(outcomes).toHaveLength(1);
  expect(rest.requests).toHaveLength(answers.length);
  return { outcome: outcomes[0], ...rest };
}

const refusal = (errorCode: string, message = 'text') => [{ errorCode, message }];
const fields = { LastName: 'Lovelace', Email: 'ada@example.com', Title: null };
const created = answered(201, { id, success: true, errors: [] });
const deleted = answered(404, refusal('ENTITY_IS_DELETED'));
const external = { external_id_field: 'Ext__c' };

describe('a single record', () => {
  it('is made, and its id kept', async () => {
    const { outcome, requests, sent } = await carryOutOne(open(), {}, [created]);
    expect(requests).toEqual([['POST', '/sobjects/Contact', fields]]);
    expect(sent[0]?.headers).toEqual({ 'sforce-call-options': 'client=sluice' });
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 201, providerRecordId: id });
  });

  it('is found by the id that is known, whatever the operation', async () => {
    const known = { providerRecordId: id };
    for (const kind of ['update', 'upsert', 'create'] as const) {
      const { outcome, requests } = await carryOutOne(open(external), { kind, ...known }, [answered(204)]);
      expect(requests).toEqual([['PATCH', `/sobjects/Contact/${id}`, fields]]);
      expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
    }
    const removed = await carryOutOne(open(), { kind: 'delete', ...known }, [answered(204)]);
    expect(removed.requests).toEqual([['DELETE', `/sobjects/Contact/${id}`, undefined]]);
    const read = await carryOutOne(open(), { kind: 'read', ...known }, [answered(200, { Id: id, LastName: 'L' })]);
    expect(read.requests[0]?.[1]).toMatch(new RegExp(`^/sobjects/Contact/${id}\\?fields=Id,FirstName,LastName,`));
    expect(read.outcome).toMatchObject({ status: 'accepted', result: { Id: id, LastName: 'L' } });
  });

  it('goes by external id, which is in the path and not in the body', async () => {
    const dialect = open(external);
    const dataJson = '{"last_name":"L","Ext__c":"mine","Id":"x","attributes":{"type":"User"}}';
    const upserted = answered(200, { id, success: true, errors: [], created: false });
    for (const kind of ['create', 'upsert'] as const) {
      const { outcome, requests } = await carryOutOne(dialect, { kind, dataJson }, [upserted]);
      expect(requests).toEqual([['PATCH', '/sobjects/Contact/Ext__c/r%2F1', { LastName: 'L' }]]);
      expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
    }
    const updated = await carryOutOne(dialect, { kind: 'update' }, [upserted]);
    expect(updated.requests).toEqual([['PATCH', '/sobjects/Contact/Ext__c/r%2F1?updateOnly=true', fields]]);
    const read = await carryOutOne(dialect, { kind: 'read' }, [answered(200, { Id: id })]);
    expect(read.requests[0]?.[1]).toMatch(/^\/sobjects\/Contact\/Ext__c\/r%2F1\?fields=.*Ext__c/);
  });

  it('upserted without an answer that says its id is asked for it', async () => {
    const { outcome, requests } = await carryOutOne(open(external), {}, [answered(204), answered(200, { Id: id })]);
    expect(requests[1]).toEqual(['GET', '/sobjects/Contact/Ext__c/r%2F1?fields=Id', undefined]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('made without an answer that says its id is in doubt', async () => {
    const { outcome } = await carryOutOne(open(), {}, [answered(201, 'no json')]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'ambiguous', code: 'malformed_answer' } });
  });

  it('that is gone already need not be deleted', async () => {
    const call = { kind: 'delete', providerRecordId: id } as const;
    expect((await carryOutOne(open(), call, [deleted])).outcome).toEqual({ status: 'accepted', providerStatus: 404 });
    const missing = answered(404, refusal('NOT_FOUND'));
    expect((await carryOutOne(open(), call, [missing])).outcome).toMatchObject({ status: 'accepted' });
    expect((await carryOutOne(open(external), { kind: 'delete' }, [missing])).outcome).toMatchObject({ status: 'accepted' });
  });

  it('is found before it is deleted by external id', async () => {
    const { outcome, requests } = await carryOutOne(open(external), { kind: 'delete' }, [answered(200, { Id: id }), answered(204)]);
    expect(requests.map(([method, path]) => [method, path])).toEqual([
      ['GET', '/sobjects/Contact/Ext__c/r%2F1?fields=Id'],
      ['DELETE', `/sobjects/Contact/${id}`],
    ]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204 });
  });

  it('is not taken for deleted because the external id field does not exist', async () => {
    const noField = answered(404, refusal('NOT_FOUND', 'Provided external ID field does not exist or is not accessible: Ext__c'));
    expect((await carryOutOne(open(external), { kind: 'delete' }, [noField])).outcome).toMatchObject({ error: { kind: 'invalid' } });
  });

  it('whose link leads nowhere is gone for an update, and made anew by a create or an upsert', async () => {
    const known = { providerRecordId: id };
    const { outcome } = await carryOutOne(open(), { kind: 'update', ...known }, [deleted]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'gone', code: 'gone' } });
    const anew = answered(201, { id: otherId, success: true, errors: [] });
    const plain = await carryOutOne(open(), { kind: 'create', ...known }, [deleted, anew]);
    expect(plain.requests[1]).toEqual(['POST', '/sobjects/Contact', fields]);
    expect(plain.outcome).toMatchObject({ providerRecordId: otherId });
    const keyed = await carryOutOne(open(external), { kind: 'upsert', ...known }, [deleted, anew]);
    expect(keyed.requests[1]).toEqual(['PATCH', '/sobjects/Contact/Ext__c/r%2F1', fields]);
  });

  it('that several have the external id of stays as it is', async () => {
    const { outcome } = await carryOutOne(open(external), {}, [answered(300, ['/a', '/b'])]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'multiple_matches' } });
  });

  it('takes the headers that are configured', async () => {
    const dialect = open({ client_name: 'acme/sync', allow_duplicates: true, api_version: 'v67.0' });
    const { sent } = await carryOutOne(dialect, {}, [created]);
    expect(sent[0]).toMatchObject({
      path: '/services/data/v67.0/sobjects/Contact',
      headers: { 'sforce-call-options': 'client=acme/sync', 'sforce-duplicate-rule-header': 'allowSave=true' },
    });
  });

  it('ends as its request ended', async () => {
    expect((await carryOutOne(open(), {}, [lost])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
    expect((await carryOutOne(open(), {}, [unsent])).outcome).toMatchObject({ status: 'unsent' });
  });

  it('may have been made where only what stands between gave up', async () => {
    expect((await carryOutOne(open(), {}, [answered(504, '<html>')])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
    expect((await carryOutOne(open(external), {}, [answered(504, '<html>')])).outcome).toMatchObject({ error: { kind: 'transient' } });
    const down = answered(503, refusal('SERVER_UNAVAILABLE'));
    expect((await carryOutOne(open(), {}, [down])).outcome).toMatchObject({ error: { kind: 'transient' } });
  });
});

describe('what cannot be sent is refused, and says why', () => {
  it.each([
    [{}, { dataJson: '{"first_name":"Ada"}' }, 'invalid_payload', 'LastName is required of a Contact'],
    [{}, { dataJson: '{"last_name":null}', kind: 'upsert' }, 'invalid_payload', 'LastName'],
    [{}, { dataJson: '{}', entity: 'lead' }, 'invalid_payload', 'LastName, Company are required of a Lead'],
    [{}, { dataJson: '{"last_name":"L","phone":"call me"}' }, 'invalid_payload', 'phone'],
    [{}, { kind: 'update' }, 'unknown_provider_record_id', 'external_id_field'],
    [{}, { kind: 'delete' }, 'unknown_provider_record_id', 'external_id_field'],
    [external, { recordId: '..' }, 'invalid_record_id', 'path'],
    [{}, { entity: 'a/b' }, 'invalid_record_id', 'path'],
  ] as const)('%j %j', (options, call, code, message) => {
    expect(open(options).prepare(callOf(call))).toMatchObject({
      status: 'refused',
      error: { code, message: expect.stringContaining(message) },
    });
  });

  it('but an upsert by external id may find the record, so it needs nothing', () => {
    expect(open(external).prepare(callOf({ kind: 'upsert', dataJson: '{"title":"T"}' }))).toMatchObject({ status: 'prepared' });
  });
});

describe('a create in doubt', () => {
  const inDoubt = { isInDoubt: true };
  const found = (...ids: string[]) => answered(200, { totalSize: ids.length, done: true, records: ids.map((Id) => ({ Id })) });

  it('is linked to what it made', async () => {
    const { outcome, requests } = await carryOutOne(open(), inDoubt, [found(id), answered(204)]);
    expect(requests[0]?.[1]).toBe(`/query?q=${encodeURIComponent("SELECT Id FROM Contact WHERE Email = 'ada@example.com' LIMIT 2")}`);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, fields]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('is made where nothing is found', async () => {
    const { outcome } = await carryOutOne(open(), inDoubt, [found(), created]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
  });

  it('is not made a third time where several are found', async () => {
    const { outcome } = await carryOutOne(open(), inDoubt, [found(id, otherId)]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'create_in_doubt', message: expect.stringContaining(otherId) } });
  });

  it('without a value to look for says what to configure', async () => {
    const { outcome } = await carryOutOne(open(), { ...inDoubt, dataJson: '{"last_name":"L"}' }, []);
    expect(outcome).toMatchObject({
      error: { kind: 'invalid', code: 'create_in_doubt', message: expect.stringContaining('external_id_field') },
    });
  });

  it('stays undone where the question fails', async () => {
    expect((await carryOutOne(open(), inDoubt, [unsent])).outcome).toMatchObject({ status: 'unsent' });
    expect((await carryOutOne(open(), inDoubt, [answered(503, '')])).outcome).toMatchObject({ error: { kind: 'transient' } });
    expect((await carryOutOne(open(), inDoubt, [answered(200, '{}')])).outcome).toMatchObject({ error: { kind: 'transient' } });
  });

  it('meets itself where the lookup is late', async () => {
    const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: x duplicates value on record with id: ${id}`));
    const { outcome } = await carryOutOne(open(), inDoubt, [found(), value, answered(204)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('by external id is simply repeated', async () => {
    expect((await carryOutOne(open(external), inDoubt, [created])).outcome).toMatchObject({ providerRecordId: id });
  });
});

describe('a duplicate', () => {
  const detected = (name: string, ...found: readonly (readonly [string, string])[]) =>
    answered(400, [
      {
        errorCode: 'DUPLICATES_DETECTED',
        message: 'Use one of these records?',
        [name]: { matchResults: [{ matchRecords: found.map(([Id, type]) => ({ record: { Id, attributes: { type } } })) }] },
      },
    ]);

  it('is reported by default, naming the record', async () => {
    const { outcome } = await carryOutOne(open(), {}, [detected('duplicateResut', [id, 'Contact'])]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record', message: expect.stringContaining(id) } });
  });

  it.each(['duplicateResut', 'duplicateResult'])('is linked where that is wanted (%s)', async (name) => {
    const { outcome, requests } = await carryOutOne(open({ on_duplicate: 'link' }), {}, [detected(name, [id, 'Contact']), answered(204)]);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, fields]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('that is linked gets our id as well', async () => {
    const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: Key__c duplicates value on record with id: ${id}`));
    const { requests } = await carryOutOne(open({ ...external, on_duplicate: 'link' }), {}, [value, answered(204)]);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, { ...fields, Ext__c: 'r/1' }]);
  });

  it('of two records, or of another sObject, is never linked', async () => {
    const dialect = open({ on_duplicate: 'link' });
    const two = detected('duplicateResult', [id, 'Contact'], [otherId, 'Contact']);
    expect((await carryOutOne(dialect, {}, [two])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
    const lead = detected('duplicateResult', ['00Q000000000001AAA', 'Lead']);
    expect((await carryOutOne(dialect, {}, [lead])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
  });

  it('that an update would make is reported', async () => {
    const dialect = open({ on_duplicate: 'link' });
    const call = { kind: 'update', providerRecordId: otherId } as const;
    const { outcome } = await carryOutOne(dialect, call, [detected('duplicateResult', [id, 'Contact'])]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record' } });
  });
});

describe('protecting foreign edits', () => {
  const dialect = open({ protect_foreign_edits: true });
  const call = { kind: 'update', providerRecordId: id } as const;
  const precondition = answered(412, [{ errorCode: 'PRECONDITION_FAILED', message: 'x' }]);

  it('goes one by one, with the operation’s time as the condition', async () => {
    expect(dialect.maxBatch).toBe(1);
    expect(dialect.bulk).toBeUndefined();
    expect(dialect.canShareBatch(callOf(call), callOf(call))).toBe(false);
    const { outcome, sent } = await carryOutOne(dialect, call, [precondition]);
    expect(sent[0]?.headers).toMatchObject({ 'if-unmodified-since': 'Fri, 01 May 2026 11:59:00 GMT' });
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'foreign_edit' } });
  });

  it('tells an edit of an earlier attempt by what the record holds', async () => {
    const inDoubt = { ...call, isInDoubt: true };
    const ours = answered(200, { Id: id, ...fields });
    const theirs = answered(200, { Id: id, ...fields, Title: 'Countess' });
    expect((await carryOutOne(dialect, inDoubt, [precondition, ours])).outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
    expect((await carryOutOne(dialect, inDoubt, [precondition, theirs])).outcome).toMatchObject({ error: { code: 'foreign_edit' } });
  });
});

describe('calls that share a batch', () => {
  const dialect = open();
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
    expect(open({}, { batch: { maxRecords: 500, maxWaitMs: 7 } })).toMatchObject({ maxBatch: 200, batchWaitMs: 7 });
    expect(open({}, { batch: { maxRecords: 50, maxWaitMs: 7 } })).toMatchObject({ maxBatch: 50 });
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
    const { outcomes, requests } = await carryOut(open(), two('create', { providerRecordId: undefined }), [
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
    const update = await carryOut(open(), two('update'), [answered(200, [ok(id), bad('UNABLE_TO_LOCK_ROW')])]);
    expect(update.requests[0]).toEqual([
      'PATCH',
      '/composite/sobjects',
      { allOrNone: false, records: [id, otherId].map((own) => ({ attributes: { type: 'Contact' }, id: own, ...fields })) },
    ]);
    expect(update.outcomes).toMatchObject([{ status: 'accepted' }, { error: { kind: 'transient', code: 'record_locked' } }]);

    const upsert = await carryOut(open(external), two('upsert', { providerRecordId: undefined }), [
      answered(200, [{ ...ok(id), created: true }, ok(otherId)]),
    ]);
    expect(upsert.requests[0]).toEqual([
      'PATCH',
      '/composite/sobjects/Contact/Ext__c',
      { allOrNone: false, records: ['r1', 'r2'].map((key) => ({ attributes: { type: 'Contact' }, Ext__c: key, ...fields })) },
    ]);
    expect(upsert.outcomes).toMatchObject([{ providerStatus: 201, providerRecordId: id }, { providerStatus: 200 }]);

    const remove = await carryOut(open(), two('delete'), [answered(200, [ok(id), bad('ENTITY_IS_DELETED')])]);
    expect(remove.requests[0]).toEqual(['DELETE', `/composite/sobjects?ids=${id},${otherId}&allOrNone=false`, undefined]);
    expect(remove.outcomes).toMatchObject([{ status: 'accepted' }, { status: 'accepted' }]);

    const read = await carryOut(open(), two('read'), [answered(200, [{ Id: id, LastName: 'L' }, null])]);
    expect(read.requests[0]).toMatchObject(['POST', '/composite/sobjects/Contact', { ids: [id, otherId] }]);
    expect(read.sent[0]?.isRead).toBe(true);
    expect(read.outcomes).toMatchObject([{ result: { Id: id, LastName: 'L' } }, { error: { kind: 'gone', code: 'not_found' } }]);
  });

  it('refused as a whole is marked for taking apart; throttled or lost it is not', async () => {
    const refused = await carryOut(open(), two('update'), [answered(400, refusal('INVALID_FIELD', "No such column 'Foo'"))]);
    expect(refused.outcomes.map((outcome) => outcome.status === 'failed' && outcome.error.isWholeBatch)).toEqual([true, true]);
    const limit = await carryOut(open(), two('update'), [
      answered(403, refusal('REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.')),
    ]);
    expect(limit.outcomes).toMatchObject([{ error: { kind: 'rate_limited' } }, { error: { kind: 'rate_limited' } }]);
    expect(limit.outcomes[0]).not.toHaveProperty('error.isWholeBatch');
    expect((await carryOut(open(), two('update'), [lost])).outcomes[1]).toMatchObject({ error: { kind: 'ambiguous' } });
  });

  it.each([[[ok(id)]], ['text'], [{}], [[ok(id), {}]], [[ok(id), null]]])('answered by %j says nothing about anybody', async (body) => {
    const { outcomes } = await carryOut(open(), two('update'), [answered(200, body)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ error: { kind: 'ambiguous', code: 'malformed_batch_answer' } });
  });

  it('never has a record twice: the later comes again', async () => {
    const calls = [...two('update'), { kind: 'update', recordId: 'r3', providerRecordId: id.slice(0, 15) } as const];
    const { outcomes, requests } = await carryOut(open(), calls, [answered(200, [ok(id), ok(otherId)])]);
    expect(requests).toMatchObject([[expect.anything(), expect.anything(), { records: [{ id }, { id: otherId }] }]]);
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'unsent']);
  });

  it('reports a duplicate without naming it, so that record goes alone', async () => {
    const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: x duplicates value on record with id: ${otherId}`));
    const { outcomes, requests } = await carryOut(open(), two('create', { providerRecordId: undefined }), [
      answered(200, [ok(id), bad('DUPLICATES_DETECTED')]),
      value,
    ]);
    expect(requests[1]).toEqual(['POST', '/sobjects/Contact', fields]);
    expect(outcomes[1]).toMatchObject({ error: { code: 'duplicate_record', message: expect.stringContaining(otherId) } });
  });

  it('makes anew what a create or an upsert was linked to in vain', async () => {
    const anew = answered(201, { id: '003000000000009AAA' });
    const { outcomes } = await carryOut(open(), two('upsert'), [answered(200, [ok(id), bad('ENTITY_IS_DELETED')]), anew]);
    expect(outcomes).toMatchObject([{ providerRecordId: id }, { providerRecordId: '003000000000009AAA' }]);
  });
});

it('the budget is what the last 24 hours have left', () => {
  const dialect = open();
  const budgets = (text: string) => dialect.budgetsOf?.(answered(200, '', { headers: { 'sforce-limit-info': text } }), 0);
  expect(budgets('api-usage=10018/100000')).toEqual([{ perMs: 86_400_000, requests: 100_000, remaining: 89_982, resetInMs: undefined }]);
  expect(budgets('api-usage=120/100; per-app-api-usage=17/250(appName=x)')).toMatchObject([{ remaining: 0, requests: 100 }]);
  expect(budgets('api-bursts=1/750')).toEqual([]);
  expect(dialect.budgetsOf?.(answered(200), 0)).toEqual([]);
});
