import { describe, expect, it } from 'vitest';
import { answered, lost, unsent } from '../../../../test/support/played-exchange.ts';
import {
  callOf,
  carryOutOne,
  created,
  deleted,
  external,
  fields,
  id,
  openSalesforce,
  otherId,
  refusal,
} from '../../../../test/support/salesforce-calls.ts';

describe('a single record', () => {
  it('is made, and its id kept', async () => {
    const { outcome, requests, sent } = await carryOutOne(openSalesforce(), {}, [created]);
    expect(requests).toEqual([['POST', '/sobjects/Contact', fields]]);
    expect(sent[0]?.headers).toEqual({ 'sforce-call-options': 'client=sluice' });
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 201, providerRecordId: id });
  });

  it('is found by the id that is known, whatever the operation', async () => {
    const known = { providerRecordId: id };
    for (const kind of ['update', 'upsert', 'create'] as const) {
      const { outcome, requests } = await carryOutOne(openSalesforce(external), { kind, ...known }, [answered(204)]);
      expect(requests).toEqual([['PATCH', `/sobjects/Contact/${id}`, fields]]);
      expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
    }
    const removed = await carryOutOne(openSalesforce(), { kind: 'delete', ...known }, [answered(204)]);
    expect(removed.requests).toEqual([['DELETE', `/sobjects/Contact/${id}`, undefined]]);
    const read = await carryOutOne(openSalesforce(), { kind: 'read', ...known }, [answered(200, { Id: id, LastName: 'L' })]);
    expect(read.requests[0]?.[1]).toMatch(new RegExp(`^/sobjects/Contact/${id}\\?fields=Id,FirstName,LastName,`));
    expect(read.outcome).toMatchObject({ status: 'accepted', result: { Id: id, LastName: 'L' } });
  });

  it('goes by external id, which is in the path and not in the body', async () => {
    const dialect = openSalesforce(external);
    const dataJson = '{"last_name":"L","Ext__c":"mine","Id":"x","attributes":{"type":"User"}}';
    const upserted = answered(200, { id, success: true, errors: [], created: false });
    for (const kind of ['create', 'upsert'] as const) {
      const { outcome, requests } = await carryOutOne(dialect, { kind, dataJson }, [upserted]);
      expect(requests).toEqual([['PATCH', '/sobjects/Contact/Ext__c/r%2F1', { LastName: 'L' }]]);
      expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
    }
    const spelled = await carryOutOne(dialect, { dataJson: '{"last_name":"L","ext__C":"another"}' }, [upserted]);
    expect(spelled.requests).toEqual([['PATCH', '/sobjects/Contact/Ext__c/r%2F1', { LastName: 'L' }]]);
    const updated = await carryOutOne(dialect, { kind: 'update' }, [upserted]);
    expect(updated.requests).toEqual([['PATCH', '/sobjects/Contact/Ext__c/r%2F1?updateOnly=true', fields]]);
    const read = await carryOutOne(dialect, { kind: 'read' }, [answered(200, { Id: id })]);
    expect(read.requests[0]?.[1]).toMatch(/^\/sobjects\/Contact\/Ext__c\/r%2F1\?fields=.*Ext__c/);
  });

  it('upserted without an answer that says its id is asked for it', async () => {
    const { outcome, requests } = await carryOutOne(openSalesforce(external), {}, [answered(204), answered(200, { Id: id })]);
    expect(requests[1]).toEqual(['GET', '/sobjects/Contact/Ext__c/r%2F1?fields=Id', undefined]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('made without an answer that says its id is in doubt', async () => {
    const { outcome } = await carryOutOne(openSalesforce(), {}, [answered(201, 'no json')]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'ambiguous', code: 'malformed_answer' } });
  });

  it('that is gone already need not be deleted', async () => {
    const call = { kind: 'delete', providerRecordId: id } as const;
    expect((await carryOutOne(openSalesforce(), call, [deleted])).outcome).toEqual({ status: 'accepted', providerStatus: 404 });
    const missing = answered(404, refusal('NOT_FOUND'));
    expect((await carryOutOne(openSalesforce(), call, [missing])).outcome).toMatchObject({ status: 'accepted' });
    expect((await carryOutOne(openSalesforce(external), { kind: 'delete' }, [missing])).outcome).toMatchObject({ status: 'accepted' });
  });

  it('is found before it is deleted by external id', async () => {
    const { outcome, requests } = await carryOutOne(openSalesforce(external), { kind: 'delete' }, [
      answered(200, { Id: id }),
      answered(204),
    ]);
    expect(requests.map(([method, path]) => [method, path])).toEqual([
      ['GET', '/sobjects/Contact/Ext__c/r%2F1?fields=Id'],
      ['DELETE', `/sobjects/Contact/${id}`],
    ]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204 });
  });

  it('is not taken for deleted because the external id field does not exist', async () => {
    const noField = answered(404, refusal('NOT_FOUND', 'Provided external ID field does not exist or is not accessible: Ext__c'));
    expect((await carryOutOne(openSalesforce(external), { kind: 'delete' }, [noField])).outcome).toMatchObject({
      error: { kind: 'invalid' },
    });
  });

  it('whose link leads nowhere is gone for an update, and made anew by a create or an upsert', async () => {
    const known = { providerRecordId: id };
    const { outcome } = await carryOutOne(openSalesforce(), { kind: 'update', ...known }, [deleted]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'gone', code: 'gone' } });
    const anew = answered(201, { id: otherId, success: true, errors: [] });
    const plain = await carryOutOne(openSalesforce(), { kind: 'create', ...known }, [deleted, anew]);
    expect(plain.requests[1]).toEqual(['POST', '/sobjects/Contact', fields]);
    expect(plain.outcome).toMatchObject({ providerRecordId: otherId });
    const keyed = await carryOutOne(openSalesforce(external), { kind: 'upsert', ...known }, [deleted, anew]);
    expect(keyed.requests[1]).toEqual(['PATCH', '/sobjects/Contact/Ext__c/r%2F1', fields]);
  });

  it('that several have the external id of stays as it is', async () => {
    const { outcome } = await carryOutOne(openSalesforce(external), {}, [answered(300, ['/a', '/b'])]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'multiple_matches' } });
  });

  it('takes the headers that are configured', async () => {
    const dialect = openSalesforce({ client_name: 'acme/sync', allow_duplicates: true, api_version: 'v67.0' });
    const { sent } = await carryOutOne(dialect, {}, [created]);
    expect(sent[0]).toMatchObject({
      path: '/services/data/v67.0/sobjects/Contact',
      headers: { 'sforce-call-options': 'client=acme/sync', 'sforce-duplicate-rule-header': 'allowSave=true' },
    });
  });

  it('ends as its request ended', async () => {
    expect((await carryOutOne(openSalesforce(), {}, [lost])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
    expect((await carryOutOne(openSalesforce(), {}, [unsent])).outcome).toMatchObject({ status: 'unsent' });
  });

  it('may have been made where only what stands between gave up', async () => {
    expect((await carryOutOne(openSalesforce(), {}, [answered(504, '<html>')])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
    expect((await carryOutOne(openSalesforce(external), {}, [answered(504, '<html>')])).outcome).toMatchObject({
      error: { kind: 'transient' },
    });
    const down = answered(503, refusal('SERVER_UNAVAILABLE'));
    expect((await carryOutOne(openSalesforce(), {}, [down])).outcome).toMatchObject({ error: { kind: 'transient' } });
  });
});

it('a pause that comes with a doubt takes nothing away from it', async () => {
  const { outcome } = await carryOutOne(openSalesforce(), {}, [answered(504, '<html>', { retryAfterMs: 3_000 })]);
  expect(outcome).toMatchObject({ error: { kind: 'rate_limited', retryAfterMs: 3_000, isInDoubt: true } });
  const down = answered(503, refusal('SERVER_UNAVAILABLE'), { retryAfterMs: 3_000 });
  const told = await carryOutOne(openSalesforce(), {}, [down]);
  expect(told.outcome).toMatchObject({ error: { kind: 'rate_limited', retryAfterMs: 3_000 } });
  expect(told.outcome).not.toHaveProperty('error.isInDoubt');
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
    expect(openSalesforce(options).prepare(callOf(call))).toMatchObject({
      status: 'refused',
      error: { code, message: expect.stringContaining(message) },
    });
  });

  it('but an upsert by external id may find the record, so it needs nothing', () => {
    expect(openSalesforce(external).prepare(callOf({ kind: 'upsert', dataJson: '{"title":"T"}' }))).toMatchObject({ status: 'prepared' });
  });
});

describe('protecting foreign edits', () => {
  const dialect = openSalesforce({ protect_foreign_edits: true });
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

it('the budget is what the last 24 hours have left', () => {
  const dialect = openSalesforce();
  const budgets = (text: string) => dialect.budgetsOf?.(answered(200, '', { headers: { 'sforce-limit-info': text } }), 0);
  expect(budgets('api-usage=10018/100000')).toEqual([{ perMs: 86_400_000, requests: 100_000, remaining: 89_982, resetInMs: undefined }]);
  expect(budgets('api-usage=120/100; per-app-api-usage=17/250(appName=x)')).toMatchObject([{ remaining: 0, requests: 100 }]);
  expect(budgets('api-bursts=1/750')).toEqual([]);
  expect(dialect.budgetsOf?.(answered(200), 0)).toEqual([]);
});
