import { expect, test } from 'vitest';
import { openOrg } from '../../../test/support/simulated-org.ts';

async function orgWithContact(fields: Record<string, unknown> = { LastName: 'Meer', Email: 'meer@example.com', ExtId__c: 'x1' }) {
  const org = await openOrg();
  const created = await org.api('/sobjects/Contact', { body: fields });
  expect(created.status).toBe(201);
  const { id } = created.body as { id: string };
  const patch = (body: unknown, headers?: Record<string, string>) =>
    org.api(`/sobjects/Contact/${id}`, { method: 'PATCH', body, ...(headers && { headers }) });
  return { ...org, id, patch };
}

const errorOf = (status: number, errorCode: string, more: object = {}) => ({ status, body: [{ errorCode, ...more }] });

test('writes that the type cannot hold are refused with the field that is wrong', async () => {
  const { api, patch } = await orgWithContact();
  const create = (body: unknown) => api('/sobjects/Contact', { body });
  const missing = { message: 'Required fields are missing: [LastName]', fields: ['LastName'] };
  expect(await create({ FirstName: 'A' })).toMatchObject(errorOf(400, 'REQUIRED_FIELD_MISSING', missing));
  expect(await patch({ LastName: null })).toMatchObject(errorOf(400, 'REQUIRED_FIELD_MISSING', missing));
  const unknown = { message: "No such column 'Foo' on sobject of type Contact" };
  expect(await create({ LastName: 'A', Foo: 1 })).toMatchObject(errorOf(400, 'INVALID_FIELD', unknown));
  expect(await create({ LastName: 'A', constructor: 1 })).toMatchObject(errorOf(400, 'INVALID_FIELD'));
  expect(await patch({ MasterRecordId: 'x' })).toMatchObject(
    errorOf(400, 'INVALID_FIELD_FOR_INSERT_UPDATE', { fields: ['MasterRecordId'] }),
  );
  expect(await patch({ LastName: 'x'.repeat(81) })).toMatchObject(errorOf(400, 'STRING_TOO_LONG', { fields: ['LastName'] }));
  expect(await patch({ Email: 'no address' })).toMatchObject(errorOf(400, 'INVALID_EMAIL_ADDRESS', { fields: ['Email'] }));
  expect(await patch({ AccountId: '003' })).toMatchObject(errorOf(400, 'MALFORMED_ID'));
  expect(await patch({ DoNotCall: 'perhaps' })).toMatchObject(errorOf(400, 'INVALID_TYPE_ON_FIELD_IN_RECORD'));
  expect(await patch({ Title: { a: 1 } })).toMatchObject(errorOf(400, 'JSON_PARSER_ERROR'));
  expect(await api('/sobjects/Contact', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: {} })).toMatchObject({
    status: 415,
  });
  expect(await api('/sobjects/Contact', { text: '{', headers: { 'content-type': 'application/json' } })).toMatchObject(
    errorOf(400, 'JSON_PARSER_ERROR'),
  );
  expect(await api('/sobjects/Lead', { body: { LastName: 'A' } })).toMatchObject({ body: [{ fields: ['Company'] }] });
  expect(await api('/sobjects/Nothing', { body: {} })).toMatchObject(errorOf(404, 'NOT_FOUND'));
});

test('names of fields are read in any case, custom fields are taken, null clears', async () => {
  const { api, patch, id, set } = await orgWithContact();
  expect(await patch({ TITLE: 'Dr', shoe_size__c: 42, email: null })).toMatchObject({ status: 204 });
  const read = await api(`/sobjects/contact/${id}?fields=title,shoe_size__c,Email,Name,SystemModstamp`);
  expect(read.headers).toMatchObject({ 'last-modified': 'Wed, 20 May 2026 12:00:00 GMT' });
  const attributes = { type: 'Contact', url: `/services/data/v60.0/sobjects/Contact/${id}` };
  const times = { SystemModstamp: '2026-05-20T12:00:00.000+0000' };
  expect(read.body).toEqual({ attributes, Title: 'Dr', shoe_size__c: 42, Email: null, Name: 'Meer', ...times });
  set({ allow_custom_fields: false });
  expect(await patch({ shoe_size__c: 43 })).toMatchObject(errorOf(400, 'INVALID_FIELD'));
  expect(await patch({ ExtId__c: 'x2' })).toMatchObject({ status: 204 });
  expect(await api(`/sobjects/Contact/${id}?fields=Nothing`)).toMatchObject(errorOf(400, 'INVALID_FIELD'));
});

test('an upsert finds its record by the external id or makes it, and says which', async () => {
  const { api, id, raw } = await orgWithContact();
  const upsert = (value: string, body: unknown, query = '') =>
    api(`/sobjects/Contact/ExtId__c/${encodeURIComponent(value)}${query}`, { method: 'PATCH', body });
  expect(await upsert('x1', { Phone: '1' })).toMatchObject({ status: 200, body: { id, success: true, created: false } });
  expect(await upsert('a/b', { LastName: 'B' })).toMatchObject({ status: 201, body: { success: true, created: true } });
  expect(await upsert('c', { LastName: 'C' }, '?updateOnly=true')).toMatchObject(errorOf(404, 'NOT_FOUND'));
  expect(await upsert('x1', { ExtId__c: 'x1' })).toMatchObject(errorOf(400, 'INVALID_FIELD'));
  const external = 'Provided external ID field does not exist or is not accessible';
  expect(await api('/sobjects/Contact/Nothing__c/1', { method: 'PATCH', body: {} })).toMatchObject(
    errorOf(404, 'NOT_FOUND', { message: external }),
  );
  const old = await raw('/services/data/v45.0/sobjects/Contact/ExtId__c/x1', { method: 'PATCH', body: { Phone: '2' } });
  expect(old).toMatchObject({ status: 204 });
  expect(await api('/sobjects/Contact/ExtId__c/x1?fields=Phone')).toMatchObject({ body: { Phone: '2' } });
  expect(await api('/sobjects/Contact/ExtId__c/a%2Fb', { method: 'DELETE' })).toMatchObject({ status: 204 });
  expect(await api('/sobjects/Contact/ExtId__c/a%2Fb')).toMatchObject(errorOf(404, 'NOT_FOUND'));
});

test('several matches are answered with their addresses, and nothing is written', async () => {
  const { api, id, provider } = await orgWithContact();
  const { body } = await api('/sobjects/Contact', { body: { LastName: 'Two', Email: 'MEER@example.com' } });
  const other = (body as { id: string }).id;
  const answer = await api('/sobjects/Contact/Email/meer@example.com', { method: 'PATCH', body: { LastName: 'Three' } });
  expect(answer).toMatchObject({ status: 300, body: [id, other].map((found) => `/services/data/v60.0/sobjects/Contact/${found}`) });
  expect(Object.values(provider.records('Contact'))).toMatchObject([{ LastName: 'Meer' }, { LastName: 'Two' }]);
});

test('external ids are unique among records that are there', async () => {
  const { api, id, set } = await orgWithContact();
  const create = () => api('/sobjects/Contact', { body: { LastName: 'Two', ExtId__c: 'x1' } });
  const message = `duplicate value found: ExtId__c duplicates value on record with id: ${id}`;
  expect(await create()).toMatchObject(errorOf(400, 'DUPLICATE_VALUE', { message }));
  set({ unique_external_ids: false });
  expect(await create()).toMatchObject({ status: 201 });
  expect(await api('/sobjects/Contact/ExtId__c/x1')).toMatchObject({ status: 300 });
  await api(`/sobjects/Contact/${id}`, { method: 'DELETE' });
  expect(await api('/sobjects/Contact/ExtId__c/x1')).toMatchObject({ status: 200 });
});

test('a duplicate rule names the record that is there, in either spelling, and can be overruled', async () => {
  const { api, id, set, raw } = await orgWithContact();
  const body = { LastName: 'Two', Email: 'MEER@example.com' };
  set({ duplicate_rule: 'block' });
  const record = { attributes: { type: 'Contact' }, Id: id };
  const found = { allowSave: false, matchResults: [{ size: 1, matchRecords: [{ record }] }] };
  expect(await api('/sobjects/Contact', { body })).toMatchObject(errorOf(400, 'DUPLICATES_DETECTED', { duplicateResut: found }));
  set({ duplicate_result_name: 'duplicateResult' });
  expect(await api('/sobjects/Contact', { body })).toMatchObject(errorOf(400, 'DUPLICATES_DETECTED', { duplicateResult: found }));
  const headers = { 'sforce-duplicate-rule-header': 'allowSave=true; includeRecordDetails=true' };
  expect(await raw('/services/data/v51.0/sobjects/Contact', { body, headers })).toMatchObject({ status: 400 });
  expect(await api('/sobjects/Contact', { body, headers })).toMatchObject({ status: 201 });
  expect(await api(`/sobjects/Contact/${id}`, { method: 'PATCH', body: { Email: 'meer@example.com', Phone: '1' } })).toMatchObject({
    status: 204,
  });
});

test('what is deleted is told apart from what never was', async () => {
  const { api, id, patch, set } = await orgWithContact();
  const remove = (recordId: string) => api(`/sobjects/Contact/${recordId}`, { method: 'DELETE' });
  expect(await remove(id.slice(0, 15))).toMatchObject({ status: 204 });
  expect(await remove(id)).toMatchObject(errorOf(404, 'ENTITY_IS_DELETED', { message: 'entity is deleted', fields: [] }));
  set({ deleted_status: 400 });
  expect(await patch({ Title: 'x' })).toMatchObject(errorOf(400, 'ENTITY_IS_DELETED'));
  expect(await api(`/sobjects/Contact/${id}`)).toMatchObject(errorOf(404, 'NOT_FOUND'));
  expect(await remove('0035g00ZZZZZZZZ')).toMatchObject(errorOf(404, 'NOT_FOUND'));
  expect(await remove('nonsense')).toMatchObject(errorOf(400, 'MALFORMED_ID', { fields: ['Id'] }));
  expect(await remove('001D000000IRFmaIAH')).toMatchObject(errorOf(400, 'MALFORMED_ID'));
});

test('conditions are compared with the last change to the second', async () => {
  const { api, id, patch, clock, set } = await orgWithContact();
  const at = (seconds: number) => new Date(Date.parse('2026-05-20T12:00:00Z') + seconds * 1_000).toUTCString();
  clock.nowMs += 5_000;
  expect(await patch({ Title: 'a' }, { 'if-unmodified-since': at(0) })).toMatchObject({ status: 204 });
  expect(await patch({ Title: 'b' }, { 'if-unmodified-since': at(4) })).toMatchObject({ status: 412 });
  expect(await patch({ Title: 'b' }, { 'if-unmodified-since': 'yesterday' })).toMatchObject({ status: 400 });
  expect(await api(`/sobjects/Contact/${id}?fields=Title`)).toMatchObject({ body: { Title: 'a' } });
  const read = (headers: Record<string, string>) => api(`/sobjects/Contact/${id}`, { headers });
  expect(await read({ 'if-modified-since': at(5) })).toMatchObject({ status: 304 });
  expect(await read({ 'if-modified-since': at(4) })).toMatchObject({ status: 200 });
  expect(await read({ 'if-unmodified-since': at(4) })).toMatchObject({ status: 412 });
  const remove = () => api(`/sobjects/Contact/${id}`, { method: 'DELETE', headers: { 'if-unmodified-since': at(4) } });
  set({ conditional_deletes: true });
  expect(await remove()).toMatchObject({ status: 412 });
  set({ conditional_deletes: false });
  expect(await remove()).toMatchObject({ status: 204 });
});

test('the last writer is remembered by the name it gave itself', async () => {
  const { patch, provider } = await orgWithContact();
  await patch({ Title: 'a' }, { 'sforce-call-options': 'defaultNamespace=x, client=our sync/1' });
  expect(Object.values(provider.records(undefined))).toMatchObject([{ client: 'our sync/1' }]);
});

test('a share of writes finds its row locked', async () => {
  const { patch, set, random } = await orgWithContact();
  set({ lock_rate: 0.4 });
  random.next = 0.39;
  expect(await patch({ Title: 'a' })).toMatchObject(errorOf(400, 'UNABLE_TO_LOCK_ROW'));
  random.next = 0.41;
  expect(await patch({ Title: 'a' })).toMatchObject({ status: 204 });
});
