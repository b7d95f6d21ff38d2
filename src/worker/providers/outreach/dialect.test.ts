import { describe, expect, it } from 'vitest';
import { carryOutOne, dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import { answered, lost, unsent } from '../../../../test/support/played-exchange.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import type { ExchangeRequest } from '../exchange.ts';
import type { CallOutcome } from '../provider.ts';
import { createOutreachDialect } from './dialect.ts';

const prospects = '/api/v2/prospects';
const ada = { first_name: 'Ada', email: 'ada@x.test' };
const adaAttributes = { firstName: 'Ada', emails: ['ada@x.test'] };

function open(options: Record<string, unknown> = {}, part: Partial<ProviderConfig> = {}) {
  return createOutreachDialect(dialectConfig({ kind: 'outreach', options, ...part }));
}

const resource = (id: number, attributes: Record<string, unknown> = adaAttributes) => ({ type: 'prospect', id, attributes });
const one = (code: number, id: number, attributes?: Record<string, unknown>) => answered(code, { data: resource(id, attributes) });
const list = (...data: unknown[]) => answered(200, { data });
const refusal = (code: number, id: string, detail: string) => answered(code, { errors: [{ id, title: 'Error', detail }] });
const missing = refusal(404, 'resourceNotFound', "Could not find 'prospect' with ID '1'.");
const taken = refusal(422, 'validationError', 'Contacts email hash has already been taken.');
const shapeOf = (requests: readonly ExchangeRequest[]) => requests.map(({ method, path }) => `${method} ${path.slice(prospects.length)}`);
const filterOf = (request: ExchangeRequest | undefined) => [...new URLSearchParams(request?.path.split('?')[1])][0];
const messageOf = (outcome: CallOutcome) => (outcome.status === 'failed' ? outcome.error.message : '');

describe('a create', () => {
  it('is JSON:API, with our record id', async () => {
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ data: ada }), [one(201, 12)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 201, providerRecordId: '12' });
    expect(requests).toEqual([
      {
        method: 'POST',
        path: prospects,
        headers: { accept: 'application/vnd.api+json' },
        contentType: 'application/vnd.api+json',
        body: { data: { type: 'prospect', attributes: { ...adaAttributes, externalId: 'r1' } } },
      },
    ]);
  });

  it('leaves our record id out where that is said, and a payload’s own in', async () => {
    const without = await carryOutOne(open({ external_id: false }), dialectCall({ data: ada }), [one(201, 12)]);
    expect(without.requests[0]?.body).toEqual({ data: { type: 'prospect', attributes: adaAttributes } });
    const own = await carryOutOne(open(), dialectCall({ data: { externalId: 'x' } }), [one(201, 12)]);
    expect(own.requests[0]?.body).toEqual({ data: { type: 'prospect', attributes: { externalId: 'x' } } });
  });

  it.each([
    ['https://api.example.com', '/api/v2/prospects'],
    ['https://api.example.com/outreach', '/api/v2/prospects'],
    ['https://api.example.com/api/v2/', '/prospects'],
  ])('below %s goes to %s', async (baseUrl, path) => {
    const { requests } = await carryOutOne(open({}, { baseUrl }), dialectCall({ data: ada }), [one(201, 12)]);
    expect(requests[0]?.path).toBe(path);
  });

  it.each([
    ['validationError', 'Contacts email hash has already been taken.'],
    ['validationDuplicateValueError', 'A Contact with this email_hash already exists.'],
    ['validationError', 'Contacts contact is using an excluded email address.'],
  ])('refused as a duplicate (%s: %s) is linked to what has its e-mail', async (id, detail) => {
    const found = list(resource(8, { emails: ['ADA@x.test', 'ada@home.test'] }));
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ data: ada }), [refusal(422, id, detail), found, one(200, 8)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '8' });
    expect(filterOf(requests[1])).toEqual(['filter[emails]', 'ada@x.test']);
    expect(requests[2]).toMatchObject({ method: 'PATCH', path: `${prospects}/8` });
    // Its second e-mail stays.
    expect(requests[2]?.body).toEqual({ data: { type: 'prospect', id: 8, attributes: { firstName: 'Ada', externalId: 'r1' } } });
  });

  it('keeps the id that another system gave to the record', async () => {
    const found = list(
      resource(8, { emails: [], workPhones: [], externalId: 'theirs' }),
      resource(9, { emails: ['ada@x.test'], externalId: 'theirs' }),
    );
    const { requests } = await carryOutOne(open(), dialectCall({ data: ada }), [taken, found, one(200, 9)]);
    expect(requests[2]?.body).toEqual({ data: { type: 'prospect', id: 9, attributes: { firstName: 'Ada' } } });
  });

  it('reports the duplicate where nothing is to be linked, unless it is ours', async () => {
    const dialect = open({ on_duplicate: 'report' });
    const foreign = await carryOutOne(dialect, dialectCall({ data: ada }), [taken, list(resource(8))]);
    expect(foreign.outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'duplicate_record' } });
    expect(messageOf(foreign.outcome)).toContain('8');
    const ours = list(resource(8), resource(9, { ...adaAttributes, externalId: 'r1' }));
    expect((await carryOutOne(dialect, dialectCall({ data: ada }), [taken, ours, one(200, 9)])).outcome).toMatchObject({
      providerRecordId: '9',
    });
  });

  it('fails as it was refused where the duplicate cannot be found', async () => {
    const said = await carryOutOne(open({ external_id: false }), dialectCall({ data: ada }), [taken, list()]);
    expect(said.outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record', providerStatus: 422 } });
    const excluded = refusal(422, 'validationError', 'Contacts contact is using an excluded email address.');
    const possible = await carryOutOne(open({ external_id: false }), dialectCall({ data: ada }), [excluded, list()]);
    expect(possible.outcome).toMatchObject({ error: { kind: 'invalid', code: 'invalid_field' } });
    expect((await carryOutOne(open(), dialectCall({ data: ada }), [taken, answered(500)])).outcome).toMatchObject({
      error: { kind: 'transient' },
    });
    expect((await carryOutOne(open(), dialectCall({ data: ada }), [taken, unsent])).outcome).toMatchObject({ status: 'unsent' });
  });

  it('is an update where the record is linked, and made anew where that is gone', async () => {
    const call = dialectCall({ data: ada, providerRecordId: '7' });
    const linked = await carryOutOne(open(), call, [one(200, 7)]);
    expect(linked.outcome).toMatchObject({ providerRecordId: '7' });
    expect(linked.requests[0]?.body).toEqual({ data: { type: 'prospect', id: 7, attributes: adaAttributes } });
    const { outcome, requests } = await carryOutOne(open(), call, [missing, one(201, 12)]);
    expect(outcome).toMatchObject({ providerRecordId: '12' });
    expect(shapeOf(requests)).toEqual(['PATCH /7', 'POST ']);
  });

  it('whose answer has no id is ambiguous', async () => {
    for (const answer of [answered(201, '<html>'), answered(201, { data: { id: 'x' } })])
      expect((await carryOutOne(open(), dialectCall({ data: ada }), [answer])).outcome).toMatchObject({
        error: { kind: 'ambiguous', code: 'unreadable_answer' },
      });
  });

  it.each([
    [500, true],
    [502, true],
    [504, true],
    [503, undefined],
    [429, undefined],
  ])('answered %i is in doubt: %s', async (code, isInDoubt) => {
    const { outcome } = await carryOutOne(open(), dialectCall({ data: ada }), [answered(code)]);
    expect(outcome.status === 'failed' && outcome.error.isInDoubt).toBe(isInDoubt);
  });
});

it('a create answered 504 with a pause is in doubt, and the pause holds', async () => {
  const { outcome } = await carryOutOne(open(), dialectCall({ data: ada }), [answered(504, '<html>', { retryAfterMs: 3_000 })]);
  expect(outcome).toMatchObject({ error: { kind: 'rate_limited', retryAfterMs: 3_000, isInDoubt: true } });
});

describe('a create in doubt', () => {
  const call = (data: unknown = ada) => dialectCall({ data, isInDoubt: true });
  const nameless = { first_name: 'Ada' };

  it('looks for the e-mail first, and takes what has it', async () => {
    const { outcome, requests } = await carryOutOne(open(), call(), [list(resource(5)), one(200, 5)]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '5' });
    expect(shapeOf(requests)[1]).toBe('PATCH /5');
    expect(requests[0]).toMatchObject({ method: 'GET', isRead: true });
  });

  it.each([
    ['2026-05-01T11:54:59.000Z', 'theirs'],
    ['2026-05-01T11:55:00.000Z', 'ours'],
    [undefined, 'ours'],
  ])('that keeps no record id of ours takes a record made at %s for %s', async (createdAt, whose) => {
    const dialect = open({ external_id: false, on_duplicate: 'report' });
    const found = list(resource(5, { ...adaAttributes, createdAt }));
    const { outcome } = await carryOutOne(dialect, call(), whose === 'ours' ? [found, one(200, 5)] : [found]);
    if (whose === 'ours') expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '5' });
    else expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record' } });
  });

  it('is made where nobody has it', async () => {
    const { outcome, requests } = await carryOutOne(open(), call(), [list(), one(201, 6)]);
    expect(outcome).toMatchObject({ providerRecordId: '6' });
    expect(requests).toHaveLength(2);
  });

  it('looks for our record id where there is no e-mail', async () => {
    const { outcome, requests } = await carryOutOne(open(), call(nameless), [list(resource(5, { externalId: 'r1' })), one(200, 5)]);
    expect(filterOf(requests[0])).toEqual(['filter[externalId]', 'r1']);
    expect(outcome).toMatchObject({ providerRecordId: '5' });
    expect((await carryOutOne(open(), call(nameless), [list(), one(201, 6)])).outcome).toMatchObject({ providerRecordId: '6' });
  });

  it.each([
    ['ignored', list(resource(1, { externalId: 'another' }), resource(2, {}))],
    ['refused', refusal(400, 'invalidFilter', 'Cannot filter by externalId.')],
    ['not understood', answered(200, '<html>')],
  ])('stays in doubt where the filter is %s', async (_, answer) => {
    const { outcome, requests } = await carryOutOne(open(), call(nameless), [answer]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'invalid', code: 'create_in_doubt' } });
    expect(requests).toHaveLength(1);
  });

  it('asks by our record id as well where the e-mail’s filter is ignored', async () => {
    const { requests, outcome } = await carryOutOne(open(), call(), [list(resource(1, { emails: ['b@x.test'] })), list(), one(201, 6)]);
    expect(requests.map(filterOf).slice(0, 2)).toEqual([
      ['filter[emails]', 'ada@x.test'],
      ['filter[externalId]', 'r1'],
    ]);
    expect(outcome).toMatchObject({ providerRecordId: '6' });
  });

  it('is refused where nothing can find it, before it costs a call', () => {
    const preparation = open({ external_id: false }).prepare(call(nameless));
    expect(preparation).toMatchObject({ status: 'refused', error: { kind: 'invalid', code: 'create_in_doubt' } });
  });

  it('does not filter by what would be a list or a range', async () => {
    for (const recordId of ['a,b', '1..5']) {
      const { outcome, requests } = await carryOutOne(open(), { ...call(nameless), recordId }, []);
      expect(requests).toEqual([]);
      expect(outcome).toMatchObject({ error: { code: 'create_in_doubt' } });
    }
  });

  it('takes no foreign record where such are reported', async () => {
    const dialect = open({ on_duplicate: 'report' });
    expect((await carryOutOne(dialect, call(), [list(resource(5))])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
    const unmarked = open({ on_duplicate: 'report', external_id: false });
    expect((await carryOutOne(unmarked, call(), [list(resource(5)), one(200, 5)])).outcome).toMatchObject({ status: 'accepted' });
  });

  it('fails with the lookup', async () => {
    expect((await carryOutOne(open(), call(), [answered(429)])).outcome).toMatchObject({ error: { kind: 'rate_limited' } });
    expect((await carryOutOne(open(), call(), [unsent])).outcome).toMatchObject({ status: 'unsent' });
    expect((await carryOutOne(open(), call(), [list(), lost])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
  });
});

describe('an upsert', () => {
  const call = dialectCall({ kind: 'upsert', data: ada });

  it('changes what it finds, also where duplicates are reported', async () => {
    const { outcome, requests } = await carryOutOne(open({ on_duplicate: 'report' }), call, [list(resource(5)), one(200, 5)]);
    expect(shapeOf(requests)[1]).toBe('PATCH /5');
    expect(outcome).toMatchObject({ providerRecordId: '5' });
  });

  it('makes what it does not find', async () => {
    expect((await carryOutOne(open(), call, [list(), one(201, 6)])).outcome).toMatchObject({ providerRecordId: '6' });
    const plain = await carryOutOne(open({ external_id: false }), { ...call, dataJson: '{"first_name":"Ada"}' }, [one(201, 6)]);
    expect(plain.outcome).toMatchObject({ providerRecordId: '6' });
  });

  it('goes by the id that is known', async () => {
    const { requests } = await carryOutOne(open(), { ...call, providerRecordId: '7' }, [one(200, 7)]);
    expect(shapeOf(requests)).toEqual(['PATCH /7']);
  });
});

describe('an update', () => {
  it('sends what changed; null clears, and a list by an empty one', async () => {
    const data = { title: null, email: null, phone: null, tags: ['a', 'b'] };
    const { requests } = await carryOutOne(open(), dialectCall({ kind: 'update', data, providerRecordId: '7' }), [one(200, 7)]);
    const attributes = { title: null, emails: [], workPhones: [], tags: ['a', 'b'] };
    expect(requests[0]?.body).toEqual({ data: { type: 'prospect', id: 7, attributes } });
  });

  it('of what is gone fails', async () => {
    const call = dialectCall({ kind: 'update', data: ada, providerRecordId: '7' });
    expect((await carryOutOne(open(), call, [missing])).outcome).toMatchObject({ error: { kind: 'gone', code: 'not_found' } });
  });

  it('to another record’s e-mail names that record', async () => {
    const call = dialectCall({ kind: 'update', data: ada, providerRecordId: '7' });
    const { outcome, requests } = await carryOutOne(open(), call, [taken, list(resource(8))]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'duplicate_record' } });
    expect(messageOf(outcome)).toContain('8');
    expect(requests).toHaveLength(2);
  });

  it('of an unknown record is looked up by our record id, if the answer proves it', async () => {
    const call = dialectCall({ kind: 'update', data: ada });
    const known = await carryOutOne(open(), call, [list(resource(5, { externalId: 'r1' })), one(200, 5)]);
    expect(known.outcome).toMatchObject({ status: 'accepted', providerRecordId: '5' });
    expect((await carryOutOne(open(), call, [list()])).outcome).toMatchObject({ error: { kind: 'gone', code: 'not_found' } });
    const ignored = await carryOutOne(open(), call, [list(resource(5, { externalId: 'x' }))]);
    expect(ignored.outcome).toMatchObject({ error: { kind: 'invalid', code: 'unknown_provider_record_id' } });
    expect(open({ external_id: false }).prepare(call)).toMatchObject({ error: { code: 'unknown_provider_record_id' } });
  });
});

describe('deletes and reads', () => {
  const remove = dialectCall({ kind: 'delete', providerRecordId: '7' });
  const read = dialectCall({ kind: 'read', providerRecordId: '7' });

  it('delete; what is not there is done', async () => {
    const { outcome, requests } = await carryOutOne(open(), remove, [answered(204)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204 });
    expect(shapeOf(requests)).toEqual(['DELETE /7']);
    expect((await carryOutOne(open(), remove, [missing])).outcome).toEqual({ status: 'accepted', providerStatus: 404 });
    const unknown = { ...remove, providerRecordId: undefined };
    expect((await carryOutOne(open(), unknown, [list()])).outcome).toMatchObject({ status: 'accepted' });
    expect((await carryOutOne(open(), unknown, [list(resource(5, { externalId: 'r1' })), answered(204)])).requests).toHaveLength(2);
  });

  it('a wrong address is no deleted record', async () => {
    const wrong = refusal(404, 'routeNotFound', 'The request path does not match any known resource endpoints.');
    expect((await carryOutOne(open(), remove, [wrong])).outcome).toMatchObject({ error: { kind: 'invalid', code: 'rejected' } });
  });

  it('read', async () => {
    const { outcome } = await carryOutOne(open(), read, [one(200, 7)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '7', result: resource(7) });
    expect((await carryOutOne(open(), read, [missing])).outcome).toMatchObject({ error: { kind: 'gone' } });
    expect(open({}, { schema: { required: ['emails'] } }).prepare(read).status).toBe('prepared');
  });
});

describe('resources', () => {
  it('other than prospects have their own names, ids and lookups', async () => {
    const call = dialectCall({ entity: 'account', data: { name: 'A', tags: null }, isInDoubt: true });
    const { requests } = await carryOutOne(open(), call, [list(), answered(201, { data: { type: 'account', id: 3, attributes: {} } })]);
    expect(filterOf(requests[0])).toEqual(['filter[customId]', 'r1']);
    expect(requests[1]).toMatchObject({
      path: '/api/v2/accounts',
      body: { data: { type: 'account', attributes: { name: 'A', tags: [], customId: 'r1' } } },
    });
    const other = await carryOutOne(open(), dialectCall({ entity: 'opportunity', data: { name: 'A' } }), [
      answered(201, { data: { id: 4 } }),
    ]);
    expect(other.requests[0]?.path).toBe('/api/v2/opportunities');
  });

  it('need a proper name and proper ids', () => {
    expect(open().prepare(dialectCall({ entity: '../x' }))).toMatchObject({ error: { code: 'invalid_record_id' } });
    expect(open().prepare(dialectCall({ kind: 'update', providerRecordId: '../x' }))).toMatchObject({
      error: { code: 'invalid_record_id' },
    });
  });

  it('go one by one', () => {
    expect(open()).toMatchObject({ maxBatch: 1, batchWaitMs: 0 });
    expect(open().canShareBatch(dialectCall(), dialectCall({}, 2))).toBe(true);
    expect(open().canShareBatch(dialectCall(), dialectCall({ entity: 'account' }))).toBe(false);
  });
});
