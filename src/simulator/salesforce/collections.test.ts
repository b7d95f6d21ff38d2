import { expect, test } from 'vitest';
import { openOrg } from '../../../test/support/simulated-org.ts';

const contact = (fields: object) => ({ attributes: { type: 'Contact' }, ...fields });
const failure = (statusCode: string) => ({ success: false, errors: [{ statusCode }] });

async function start() {
  const org = await openOrg();
  const create = (records: unknown[], allOrNone = false) => org.api('/composite/sobjects', { body: { allOrNone, records } });
  const update = (records: unknown[]) => org.api('/composite/sobjects', { method: 'PATCH', body: { records } });
  const upsert = (records: unknown[]) => org.api('/composite/sobjects/Contact/ExtId__c', { method: 'PATCH', body: { records } });
  const titles = () => Object.values(org.provider.records('Contact')).map((row) => (row as { Title?: string }).Title);
  return { ...org, create, update, upsert, titles };
}

test('each record is answered in its place, with a statusCode for what went wrong', async () => {
  const { create, update, upsert } = await start();
  const made = await create([
    contact({ LastName: 'A', ExtId__c: '1' }),
    contact({}),
    { LastName: 'B' },
    contact({ LastName: 'C', Id: 'x' }),
  ]);
  expect(made).toMatchObject({ status: 200, headers: { 'sforce-limit-info': 'api-usage=1/5000000' } });
  expect(made.body).toMatchObject([
    { success: true, errors: [] },
    { success: false, errors: [{ statusCode: 'REQUIRED_FIELD_MISSING', fields: ['LastName'] }] },
    failure('INVALID_TYPE'),
    failure('INVALID_FIELD_FOR_INSERT_UPDATE'),
  ]);
  const [{ id }] = made.body as [{ id: string }];
  const changed = await update([
    contact({ id, Title: 'x' }),
    contact({ id: id.slice(0, 15), Title: 'y' }),
    contact({ Title: 'z' }),
    contact({ id: '001D000000IRFmaIAH' }),
    contact({ id: '0035g00ZZZZZZZZ' }),
  ]);
  const idMissing = { errors: [{ statusCode: 'MISSING_ARGUMENT', message: 'Id not specified in an update call', fields: [] }] };
  expect(changed.body).toMatchObject([
    { id, success: true },
    failure('DUPLICATE_VALUE'),
    idMissing,
    failure('MALFORMED_ID'),
    failure('INVALID_CROSS_REFERENCE_KEY'),
  ]);
  const put = await upsert([
    contact({ ExtId__c: '1', Title: 'z' }),
    contact({ ExtId__c: '2', LastName: 'N' }),
    contact({ ExtId__c: '2' }),
    contact({}),
  ]);
  expect(put.body).toMatchObject([
    { id, created: false },
    { success: true, created: true },
    failure('DUPLICATE_VALUE'),
    failure('MISSING_ARGUMENT'),
  ]);
});

test('a call that is malformed as a whole fails as a whole', async () => {
  const { api, create, set } = await start();
  expect(await create([])).toMatchObject({
    status: 400,
    body: [{ message: 'At least 1 record is required', errorCode: 'REQUIRED_FIELD_MISSING' }],
  });
  const many = Array.from({ length: 201 }, () => contact({ LastName: 'A' }));
  expect(await create(many)).toMatchObject({ status: 400, body: [{ errorCode: 'EXCEEDED_ID_LIMIT' }] });
  const mixed = Array.from({ length: 11 }, (_, n) => ({ attributes: { type: n % 2 ? 'Lead' : 'Contact' }, LastName: 'A', Company: 'B' }));
  expect(await create(mixed)).toMatchObject({ status: 400 });
  expect(await create(['no object'])).toMatchObject({ status: 400, body: [{ errorCode: 'JSON_PARSER_ERROR' }] });
  set({ max_collection: 1 });
  expect(await create([contact({ LastName: 'A' }), contact({ LastName: 'B' })])).toMatchObject({ status: 400 });
  expect(await api('/composite/sobjects?ids=')).toMatchObject({ status: 405 });
});

test('all or none: one bad record takes back what the others did', async () => {
  const { create, titles, provider, api } = await start();
  const [{ id }] = (await create([contact({ LastName: 'A', Title: 'old', ExtId__c: '1' })])).body as [{ id: string }];
  const records = [contact({ id, Title: 'new', ExtId__c: '2' }), contact({ id: '0035g00ZZZZZZZZ' })];
  const answer = await api('/composite/sobjects', { method: 'PATCH', body: { allOrNone: true, records } });
  expect(answer).toMatchObject({
    status: 200,
    body: [failure('ALL_OR_NONE_OPERATION_ROLLED_BACK'), failure('INVALID_CROSS_REFERENCE_KEY')],
  });
  expect(titles()).toEqual(['old']);
  expect(await api('/sobjects/Contact/ExtId__c/1')).toMatchObject({ status: 200 });
  expect(await api('/sobjects/Contact/ExtId__c/2')).toMatchObject({ status: 404 });
  await create([contact({ LastName: 'B' }), contact({})], true);
  expect(Object.keys(provider.records(undefined))).toHaveLength(1);
  const removed = await api(`/composite/sobjects?ids=${id},nonsense&allOrNone=true`, { method: 'DELETE' });
  expect(removed.body).toMatchObject([failure('ALL_OR_NONE_OPERATION_ROLLED_BACK'), failure('MALFORMED_ID')]);
  expect(titles()).toEqual(['old']);
});

test('faults strike single records by any of their names, or the whole call', async () => {
  const { create, update, fault, titles, simulator } = await start();
  const made = await create([
    contact({ LastName: 'A', ExtId__c: '1' }),
    contact({ LastName: 'B', Email: 'b@example.com' }),
    contact({ LastName: 'C' }),
  ]);
  const [a, b, c] = (made.body as { id: string }[]).map(({ id }) => id) as [string, string, string];
  const change = () => update([a, b, c].map((id) => contact({ id, Title: 'x' })));
  fault({ error_rate: 1, status: 400, code: 'UNABLE_TO_LOCK_ROW', record_ids: ['1', c] });
  expect((await change()).body).toMatchObject([failure('UNABLE_TO_LOCK_ROW'), { success: true }, failure('UNABLE_TO_LOCK_ROW')]);
  fault({ error_rate: 1, record_ids: ['b@example.com'] });
  expect((await change()).body).toMatchObject([{ success: true }, failure('SERVER_UNAVAILABLE'), { success: true }]);
  fault({ error_rate: 1, status: 500, record_ids: ['1'], whole_batch: true });
  expect(await change()).toMatchObject({ status: 500, body: [{ errorCode: 'UNKNOWN_EXCEPTION' }] });
  expect(titles()).toEqual(['x', 'x', 'x']);
  const names = simulator.log.list(1, 10)[0]?.items.map((item) => [item.operation, item.entity, item.recordId]);
  expect(names).toEqual([
    ['update', 'Contact', '1'],
    ['update', 'Contact', 'b@example.com'],
    ['update', 'Contact', c],
  ]);
});

test('locks strike records one by one', async () => {
  const { create, set, random } = await start();
  set({ lock_rate: 0.4 });
  random.next = 0.3;
  expect((await create([contact({ LastName: 'A' })])).body).toMatchObject([failure('UNABLE_TO_LOCK_ROW')]);
});

test('many rows are read by GET or POST, with null for those that are not there', async () => {
  const { create, api } = await start();
  const [{ id }] = (await create([contact({ LastName: 'A' })])).body as [{ id: string }];
  const none = '0035g00ZZZZZZZZ';
  const rows = [{ attributes: { type: 'Contact' }, LastName: 'A' }, null];
  expect(await api(`/composite/sobjects/Contact?ids=${id},${none}&fields=LastName`)).toMatchObject({ status: 200, body: rows });
  expect(await api('/composite/sobjects/Contact', { body: { ids: [id, none], fields: ['LastName'] } })).toMatchObject({ body: rows });
  expect(await api('/composite/sobjects/Contact', { body: { ids: [id], fields: ['No'] } })).toMatchObject({ status: 400 });
});

test('composite calls run in order, refer to each other, and count as one', async () => {
  const { api, provider, fault } = await start();
  const part = (referenceId: string, method: string, path: string, body?: object) => ({
    referenceId,
    method,
    url: `/services/data/v60.0${path}`,
    body,
  });
  const parts = [
    part('a', 'POST', '/sobjects/Account', { Name: 'Works' }),
    part('c', 'POST', '/sobjects/Contact', { LastName: 'A', AccountId: '@{a.id}', ExtId__c: '1' }),
    part('bad', 'PATCH', '/sobjects/Contact/@{c.id}', { Nothing: 1 }),
  ];
  const run = (allOrNone: boolean) => api('/composite', { body: { allOrNone, compositeRequest: parts } });
  const halted = [
    { httpStatusCode: 400, body: [{ errorCode: 'PROCESSING_HALTED' }] },
    {},
    { httpStatusCode: 400, body: [{ errorCode: 'INVALID_FIELD' }] },
  ];
  expect(await run(true)).toMatchObject({ status: 200, body: { compositeResponse: halted } });
  expect(provider.records(undefined)).toEqual({});
  const kept = await run(false);
  expect(kept.headers).toMatchObject({ 'sforce-limit-info': 'api-usage=2/5000000' });
  const { compositeResponse } = kept.body as { compositeResponse: { httpStatusCode: number; body: { id: string } }[] };
  expect(compositeResponse.map(({ httpStatusCode }) => httpStatusCode)).toEqual([201, 201, 400]);
  expect(Object.values(provider.records('Contact'))).toMatchObject([{ AccountId: compositeResponse[0]?.body.id }]);
  fault({ error_rate: 1, status: 400, record_ids: ['1'] });
  const struck = (await run(false)).body as { compositeResponse: { httpStatusCode: number }[] };
  expect(struck.compositeResponse.map(({ httpStatusCode }) => httpStatusCode)).toEqual([201, 400, 400]);
  fault({});
  expect(await api('/composite', { body: { compositeRequest: Array(26).fill(parts[0]) } })).toMatchObject({ status: 400 });
});
