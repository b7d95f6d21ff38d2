import { describe, expect, it } from 'vitest';
import { acceptedAtMs, carryOutOne, dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import { answered, lost, unsent } from '../../../../test/support/played-exchange.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { createHubspotDialect } from './dialect.ts';

const contacts = '/crm/v3/objects/contacts';

function open(options: Record<string, unknown> = {}, part: Partial<ProviderConfig> = {}) {
  return createHubspotDialect(dialectConfig({ kind: 'hubspot', options, ...part }));
}

const ada = { first_name: 'Ada', email: 'ada@x.test' };
const adaProperties = { firstname: 'Ada', email: 'ada@x.test' };
const record = (id: string, extra: Record<string, unknown> = {}) => ({ id, properties: adaProperties, archived: false, ...extra });
const missing = answered(404, { status: 'error', message: 'resource not found', category: 'OBJECT_NOT_FOUND' });
const taken = answered(409, { status: 'error', message: 'Contact already exists. Existing ID: 77', category: 'CONFLICT' });
const complete = (results: unknown[], errors: unknown[] = []) =>
  answered(errors.length > 0 ? 207 : 200, {
    status: 'COMPLETE',
    results,
    ...(errors.length > 0 ? { numErrors: errors.length, errors } : {}),
  });

describe('a create', () => {
  it('is plain, and gives HubSpot’s id', async () => {
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ data: ada }), [answered(201, record('512'))]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 201, providerRecordId: '512' });
    expect(requests).toEqual([{ method: 'POST', path: contacts, body: { properties: adaProperties, associations: [] } }]);
  });

  it('goes where the configuration says', async () => {
    const dialect = open({ api_path: '/crm/objects/2026-09', objects: { contact: 'people' } });
    const { requests } = await carryOutOne(dialect, dialectCall({ data: { firstname: 'Ada' } }), [answered(201, record('512'))]);
    expect(requests[0]?.path).toBe('/crm/objects/2026-09/people');
  });

  it('is linked to the record that stands in the way', async () => {
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ data: ada }), [taken, answered(200, record('77'))]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '77' });
    expect(requests[1]).toEqual({ method: 'PATCH', path: `${contacts}/77`, body: { properties: adaProperties } });
  });

  it('reports that record where nothing is to be linked', async () => {
    const { outcome, requests } = await carryOutOne(open({ on_duplicate: 'report' }), dialectCall({ data: ada }), [taken]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'duplicate_record' } });
    expect(outcome.status === 'failed' && outcome.error.message).toContain('77');
    expect(requests).toHaveLength(1);
  });

  it('fails where the conflict names nobody', async () => {
    const unnamed = answered(409, { status: 'error', message: 'Contact already exists', category: 'CONFLICT' });
    const { outcome } = await carryOutOne(open(), dialectCall({ data: ada }), [unnamed, unnamed]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'duplicate_record' } });
  });

  it('ends where HubSpot names a record that is not there, again and again', async () => {
    const dialect = open();
    const call = dialectCall({ data: ada });
    const { outcome, requests } = await carryOutOne(dialect, call, ({ method }) => (method === 'POST' ? taken : missing));
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'gone' } });
    expect(requests.length).toBeLessThanOrEqual(6);
  });

  it('is an update where the record is linked already', async () => {
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ data: ada, providerRecordId: '9' }), [
      answered(200, record('9')),
    ]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '9' });
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`PATCH ${contacts}/9`]);
  });

  it('is made anew where the linked record is gone', async () => {
    const { outcome } = await carryOutOne(open(), dialectCall({ data: ada, providerRecordId: '9' }), [
      missing,
      answered(201, record('10')),
    ]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '10' });
  });

  it('whose answer has no id is ambiguous', async () => {
    const { outcome } = await carryOutOne(open(), dialectCall({ data: ada }), [answered(201, '<html>')]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'ambiguous', code: 'unreadable_answer' } });
  });

  it.each([
    [500, true],
    [502, true],
    [504, true],
    [524, true],
    [503, undefined],
    [521, undefined],
    [423, undefined],
  ])('answered %i is in doubt: %s', async (code, isInDoubt) => {
    const { outcome } = await carryOutOne(open(), dialectCall({ data: ada }), [answered(code, '')]);
    expect(outcome.status === 'failed' && outcome.error).toMatchObject({ kind: 'transient' });
    expect(outcome.status === 'failed' && outcome.error.isInDoubt).toBe(isInDoubt);
  });

  it('hands on why there is no answer', async () => {
    expect((await carryOutOne(open(), dialectCall({ data: ada }), [lost])).outcome).toMatchObject({ error: { kind: 'ambiguous' } });
    expect((await carryOutOne(open(), dialectCall({ data: ada }), [unsent])).outcome).toEqual({ status: 'unsent', reason: 'no permit' });
    // Nothing was made: the conflict says so.
    expect((await carryOutOne(open(), dialectCall({ data: ada }), [taken, unsent])).outcome).toMatchObject({ status: 'unsent' });
  });
});

describe('a create in doubt', () => {
  const call = (data: unknown = ada) => dialectCall({ data, isInDoubt: true });

  it('looks first, and takes what it finds', async () => {
    const { outcome, requests } = await carryOutOne(open(), call(), [answered(200, record('5')), answered(200, record('5'))]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '5' });
    expect(requests[0]).toMatchObject({ method: 'GET', isRead: true });
    expect(requests[0]?.path).toMatch(/^\/crm\/v3\/objects\/contacts\/ada%40x\.test\?properties=email%2Cfirstname.*&idProperty=email$/);
    expect(requests[1]).toMatchObject({ method: 'PATCH', path: `${contacts}/5` });
  });

  it('is made where it finds nothing', async () => {
    const { outcome, requests } = await carryOutOne(open(), call(), [missing, answered(201, record('6'))]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '6' });
    expect(requests[1]).toMatchObject({ method: 'POST', path: contacts });
  });

  it('is refused where nothing can find it, before it costs a call', () => {
    for (const data of [{ first_name: 'Ada' }, { first_name: 'Ada', email: null }]) {
      const preparation = open().prepare(call(data));
      expect(preparation).toMatchObject({ status: 'refused', error: { kind: 'invalid', code: 'create_in_doubt' } });
      expect(preparation.status === 'refused' && preparation.error.message).toContain('options.record_id_property');
    }
  });

  it('fails with the lookup', async () => {
    const { outcome } = await carryOutOne(open(), call(), [answered(503)]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'transient' } });
  });

  it('does not take a record for its own that is older, where such are reported', async () => {
    const dialect = open({ on_duplicate: 'report' });
    const older = answered(200, record('5', { createdAt: new Date(acceptedAtMs - 3_600_000).toISOString() }));
    expect((await carryOutOne(dialect, call(), [older])).outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record' } });
    const own = answered(200, record('5', { createdAt: new Date(acceptedAtMs + 1_000).toISOString() }));
    expect((await carryOutOne(dialect, call(), [own, answered(200, record('5'))])).outcome).toMatchObject({ status: 'accepted' });
  });
});

describe('a create in doubt that meets a record which came meanwhile', () => {
  const call = dialectCall({ data: ada, isInDoubt: true });
  const madeAt = (ms: number, properties = {}) => answered(200, record('77', { createdAt: new Date(ms).toISOString(), properties }));
  const [own, older] = [madeAt(acceptedAtMs + 1_000), madeAt(acceptedAtMs - 3_600_000)];
  const report = { on_duplicate: 'report' };

  it('is linked to it where it made it itself, though others’ records are only reported', async () => {
    const { outcome, requests } = await carryOutOne(open(report), call, [missing, taken, own, answered(200, record('77'))]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '77' });
    expect(requests.map(({ method, path }) => [method, path.split('?')[0]])).toEqual([
      ['GET', `${contacts}/ada%40x.test`],
      ['POST', contacts],
      ['GET', `${contacts}/77`],
      ['PATCH', `${contacts}/77`],
    ]);
  });

  it('reports what was there before', async () => {
    const { outcome } = await carryOutOne(open(report), call, [missing, taken, older]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record', message: expect.stringContaining('77') } });
  });

  it('goes by our record id where that is kept', async () => {
    const dialect = open({ ...report, record_id_property: 'sluice_id' });
    const [marked, unmarked] = [madeAt(acceptedAtMs + 1_000, { sluice_id: 'r1' }), own];
    const results = complete([record('77')]);
    expect((await carryOutOne(dialect, call, [taken, marked, answered(200, record('77'))])).outcome).toMatchObject({
      providerRecordId: '77',
    });
    expect((await carryOutOne(dialect, call, [taken, unmarked])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
    expect((await carryOutOne(dialect, call, [results])).outcome).toMatchObject({ providerRecordId: '77' });
  });
});

describe('with a property for our record id', () => {
  const dialect = open({ record_id_property: 'sluice_id' });
  const properties = { ...adaProperties, sluice_id: 'r1' };

  it.each(['create', 'upsert'] as const)('a %s is an upsert by it, in doubt or not', async (kind) => {
    for (const isInDoubt of [false, true]) {
      const call = dialectCall({ kind, data: ada, isInDoubt });
      const { outcome, requests } = await carryOutOne(dialect, call, [complete([record('3', { new: true })])]);
      expect(outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '3' });
      const input = { id: 'r1', idProperty: 'sluice_id', properties, objectWriteTraceId: call.operationId };
      expect(requests).toEqual([{ method: 'POST', path: `${contacts}/batch/upsert`, body: { inputs: [input] } }]);
    }
  });

  it('a record with the same e-mail is linked, and gets the property', async () => {
    const { outcome, requests } = await carryOutOne(dialect, dialectCall({ data: ada }), [taken, answered(200, record('77'))]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '77' });
    expect(requests[1]?.body).toEqual({ properties });
  });

  it('finds the record of an update, a read and a delete', async () => {
    const update = await carryOutOne(dialect, dialectCall({ kind: 'update', data: ada }), [answered(200, record('3'))]);
    expect(update.outcome).toMatchObject({ status: 'accepted', providerRecordId: '3' });
    expect(update.requests[0]).toMatchObject({
      method: 'PATCH',
      path: `${contacts}/r1?idProperty=sluice_id`,
      body: { properties: adaProperties },
    });
    const read = await carryOutOne(dialect, dialectCall({ kind: 'read' }), [answered(200, record('3'))]);
    expect(read.outcome).toEqual({ status: 'accepted', providerStatus: 200, providerRecordId: '3', result: record('3') });
    const remove = await carryOutOne(dialect, dialectCall({ kind: 'delete' }), [answered(200, record('3')), answered(204)]);
    expect(remove.outcome).toEqual({ status: 'accepted', providerStatus: 204 });
    expect(remove.requests[1]).toEqual({ method: 'DELETE', path: `${contacts}/3` });
  });

  it('a record id that no path can hold goes in a body', async () => {
    const call = dialectCall({ kind: 'update', data: ada, recordId: '..' });
    const { outcome, requests } = await carryOutOne(dialect, call, [complete([record('3')])]);
    expect(requests[0]?.path).toBe(`${contacts}/batch/update`);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '3' });
  });
});

describe('an upsert', () => {
  it('goes by the id that is known', async () => {
    const call = dialectCall({ kind: 'upsert', data: ada, providerRecordId: '9' });
    const { requests } = await carryOutOne(open(), call, [answered(200, record('9'))]);
    expect(requests[0]).toMatchObject({ method: 'PATCH', path: `${contacts}/9` });
  });

  it('else by the lookup property', async () => {
    const call = dialectCall({ kind: 'upsert', data: ada });
    const { outcome, requests } = await carryOutOne(open(), call, [complete([record('4', { new: false })])]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: '4' });
    expect(requests[0]?.body).toMatchObject({ inputs: [{ id: 'ada@x.test', idProperty: 'email' }] });
  });

  it('else makes the record, unless that is in doubt', async () => {
    const call = dialectCall({ kind: 'upsert', data: { first_name: 'Ada' } });
    const { requests } = await carryOutOne(open(), call, [answered(201, record('4'))]);
    expect(requests[0]).toMatchObject({ method: 'POST', path: contacts });
    expect(open().prepare({ ...call, isInDoubt: true })).toMatchObject({ status: 'refused', error: { code: 'create_in_doubt' } });
  });

  it('tells a refused record of its answer from the whole', async () => {
    const error = {
      status: 'error',
      category: 'VALIDATION_ERROR',
      message: 'bad',
      context: { objectWriteTraceId: [dialectCall().operationId] },
    };
    const { outcome } = await carryOutOne(open(), dialectCall({ kind: 'upsert', data: ada }), [complete([], [error])]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'invalid', code: 'invalid_field', providerStatus: 207 } });
  });
});

describe('an update', () => {
  it('sends what changed, and clears by the empty text', async () => {
    const call = dialectCall({ kind: 'update', data: { title: null }, providerRecordId: '9' });
    const { requests } = await carryOutOne(open(), call, [answered(200, record('9'))]);
    expect(requests[0]?.body).toEqual({ properties: { jobtitle: '' } });
  });

  it('of what is gone fails', async () => {
    const { outcome } = await carryOutOne(open(), dialectCall({ kind: 'update', data: ada, providerRecordId: '9' }), [missing]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'gone', code: 'not_found', providerStatus: 404 } });
  });

  it('to another record’s e-mail names that record, and never changes it', async () => {
    const { outcome, requests } = await carryOutOne(open(), dialectCall({ kind: 'update', data: ada, providerRecordId: '9' }), [taken]);
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'conflict', code: 'duplicate_record' } });
    expect(outcome.status === 'failed' && outcome.error.message).toContain('77');
    expect(requests).toHaveLength(1);
  });

  it('of a record nobody knows is refused: its e-mail may be the new one', () => {
    for (const kind of ['update', 'delete', 'read'] as const)
      expect(open().prepare(dialectCall({ kind, data: ada }))).toMatchObject({
        error: { kind: 'invalid', code: 'unknown_provider_record_id' },
      });
  });
});

describe('a delete', () => {
  const call = dialectCall({ kind: 'delete', providerRecordId: '9' });

  it('archives', async () => {
    const { outcome, requests } = await carryOutOne(open(), call, [answered(204)]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204 });
    expect(requests).toEqual([{ method: 'DELETE', path: `${contacts}/9` }]);
  });

  it('of what is not there is done', async () => {
    expect((await carryOutOne(open(), call, [missing])).outcome).toEqual({ status: 'accepted', providerStatus: 404 });
    const dialect = open({ record_id_property: 'sluice_id' });
    expect((await carryOutOne(dialect, dialectCall({ kind: 'delete' }), [missing])).outcome).toMatchObject({ status: 'accepted' });
  });
});

describe('a read', () => {
  const call = dialectCall({ kind: 'read', providerRecordId: '9' });

  it('asks for the properties that are known here', async () => {
    const dialect = open({}, { mapping: { tier: 'customer_tier', secret: null } });
    const { outcome, requests } = await carryOutOne(dialect, call, [answered(200, record('9'))]);
    expect(outcome).toMatchObject({ status: 'accepted', result: record('9') });
    const query = new URLSearchParams(requests[0]?.path.split('?')[1]);
    expect(query.get('properties')?.split(',')).toEqual(expect.arrayContaining(['email', 'jobtitle', 'zip', 'customer_tier']));
    expect(query.has('idProperty')).toBe(false);
  });

  it('of what is gone fails', async () => {
    expect((await carryOutOne(open(), call, [missing])).outcome).toMatchObject({ error: { kind: 'gone' } });
  });

  it('is not held against the schema', () => {
    expect(open({}, { schema: { required: ['email'] } }).prepare(call).status).toBe('prepared');
  });
});

describe('what is refused before it is sent', () => {
  it.each([
    ['a value without a spelling', dialectCall({ data: { firstname: { a: 1 } } }), 'invalid_payload'],
    ['a bad e-mail', dialectCall({ data: { email: 'nobody' } }), 'invalid_payload'],
    ['an entity that is no name', dialectCall({ entity: 'a/b', data: ada }), 'invalid_record_id'],
  ])('%s', (_, call, code) => {
    expect(open().prepare(call)).toMatchObject({ status: 'refused', error: { kind: 'invalid', code } });
  });
});
