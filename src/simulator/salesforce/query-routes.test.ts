import { expect, test } from 'vitest';
import { openOrg } from '../../../test/support/simulated-org.ts';

async function orgWith(contacts: readonly object[]) {
  const org = await openOrg();
  for (const [index, fields] of contacts.entries()) {
    org.clock.nowMs = Date.parse('2026-05-20T12:00:00Z') + index * 1_000;
    expect(await org.api('/sobjects/Contact', { body: { LastName: `N${index}`, ExtId__c: `${index}`, ...fields } })).toMatchObject({
      status: 201,
    });
  }
  const query = (soql: string, resource = 'query', headers = {}) => org.api(`/${resource}?q=${encodeURIComponent(soql)}`, { headers });
  const names = async (rest: string, resource?: string) => {
    const { status, body } = await query(`SELECT ExtId__c FROM Contact ${rest}`, resource);
    expect([rest, status]).toEqual([rest, 200]);
    return (body as { records: { ExtId__c: string }[] }).records.map((row) => row.ExtId__c).join('');
  };
  return { ...org, query, names };
}

const people = [
  { FirstName: 'Ann', Title: 'a', DoNotCall: true },
  { FirstName: 'Bob', Title: 'b', Email: 'bob@example.com' },
  { FirstName: "O'Neil", Title: 'B_1' },
  { FirstName: 'bob', size__c: 5 },
];

test('conditions hold as SOQL has them: texts in any case, null, numbers, times', async () => {
  const { names } = await orgWith(people);
  expect(await names("WHERE FirstName = 'BOB'")).toBe('13');
  expect(await names("WHERE FirstName != 'bob'")).toBe('02');
  expect(await names("WHERE FirstName = 'O\\'Neil'")).toBe('2');
  expect(await names('WHERE Title = null')).toBe('3');
  expect(await names('WHERE Title != null AND DoNotCall = true')).toBe('0');
  expect(await names('WHERE size__c >= 5')).toBe('3');
  expect(await names('WHERE size__c < 5')).toBe('');
  expect(await names('WHERE SystemModstamp > 2026-05-20T12:00:01Z')).toBe('23');
  expect(await names('WHERE SystemModstamp >= 2026-05-20T14:00:01.000+02:00 AND CreatedDate <= 2026-05-20T12:00:02.000+0000')).toBe('12');
  expect(await names("WHERE Title LIKE 'b%'")).toBe('12');
  expect(await names("WHERE Title LIKE '_\\_1'")).toBe('2');
  expect(await names("WHERE (NOT FirstName LIKE 'b%')")).toBe('02');
  expect(await names("WHERE ExtId__c IN ('0', '3') OR (Title = 'b' AND FirstName = 'Bob')")).toBe('013');
  expect(await names("where extid__c not in ('0', '3')")).toBe('12');
  expect(await names("WHERE Email = 'BOB@example.com'")).toBe('1');
});

test('rows are ordered, limited and counted', async () => {
  const { names, query } = await orgWith(people);
  expect(await names('ORDER BY SystemModstamp DESC, Id LIMIT 3')).toBe('321');
  expect(await names('ORDER BY Title')).toBe('3012');
  expect(await names('ORDER BY Title DESC NULLS FIRST')).toBe('3210');
  expect(await names('ORDER BY Title NULLS LAST LIMIT 2 OFFSET 1')).toBe('12');
  expect(await query('SELECT COUNT() FROM Contact WHERE Title != null')).toMatchObject({ body: { totalSize: 3, done: true, records: [] } });
});

test('deleted rows are seen by queryAll alone', async () => {
  const { names, api } = await orgWith(people);
  await api('/sobjects/Contact/ExtId__c/1', { method: 'DELETE' });
  expect(await names('')).toBe('023');
  expect(await names('WHERE IsDeleted = true', 'queryAll')).toBe('1');
  expect(await names("WHERE ExtId__c = '1'", 'queryAll')).toBe('1');
});

test('long results come in pages, which do not change while they are read', async () => {
  const { query, set, raw, api } = await orgWith(people);
  set({ min_query_page: 1 });
  const first = await query('SELECT Id, ExtId__c FROM Contact ORDER BY ExtId__c', 'query', { 'sforce-query-options': 'batchSize=3' });
  const { nextRecordsUrl } = first.body as { nextRecordsUrl: string };
  expect(first.body).toMatchObject({ totalSize: 4, done: false });
  expect(nextRecordsUrl).toMatch(/^\/services\/data\/v60\.0\/query\/01g\w{15}-3$/);
  await api('/sobjects/Contact/ExtId__c/3', { method: 'DELETE' });
  const second = await raw(nextRecordsUrl, {});
  expect(second.body).toMatchObject({ totalSize: 4, done: true, records: [{ ExtId__c: '3' }] });
  expect(second.body).not.toHaveProperty('nextRecordsUrl');
  expect(await api('/query/01g000000000000AAA-3')).toMatchObject({ status: 400, body: [{ errorCode: 'INVALID_QUERY_LOCATOR' }] });
});

test('queries that cannot be read or ask for what is not there are refused', async () => {
  const { query } = await orgWith([]);
  const code = async (soql: string) => ((await query(soql)).body as [{ errorCode: string }])[0].errorCode;
  for (const soql of [
    '',
    'SELECT',
    'SELECT Id Contact',
    "SELECT Id FROM Contact WHERE Title = 'open",
    'SELECT Id FROM Contact LIMIT -1',
    'SELECT Id FROM Contact WHERE (Id = null',
    "SELECT Id FROM Contact WHERE Id = 'a' AND Id = 'b' OR Id = 'c'",
    'SELECT Id FROM Contact;',
  ]) {
    expect([soql, await code(soql)]).toEqual([soql, 'MALFORMED_QUERY']);
  }
  expect(await code('SELECT Id FROM Nothing')).toBe('INVALID_TYPE');
  expect(await code('SELECT Nothing FROM Contact')).toBe('INVALID_FIELD');
  expect(await code('SELECT Id FROM Contact WHERE Nothing = 1')).toBe('INVALID_FIELD');
  expect(await code('SELECT Id FROM Contact ORDER BY Nothing')).toBe('INVALID_FIELD');
  expect(await code('SELECT Id FROM Contact OFFSET 2001')).toBe('NUMBER_OUTSIDE_VALID_RANGE');
});

test('changed and deleted ids are found by minutes', async () => {
  const { api, clock } = await orgWith(people.slice(0, 2));
  await api('/sobjects/Contact/ExtId__c/1', { method: 'DELETE' });
  clock.nowMs = Date.parse('2026-05-20T12:05:30Z');
  const span = (start: string, end: string) => `?start=${encodeURIComponent(start)}&end=${encodeURIComponent(end)}`;
  const five = span('2026-05-20T12:00:59+00:00', '2026-05-20T13:00:00Z');
  const latestDateCovered = '2026-05-20T12:05:00.000+0000';
  expect((await api(`/sobjects/Contact/updated/${five}`)).body).toEqual({ ids: [expect.stringMatching(/^003/)], latestDateCovered });
  const gone = { deletedRecords: [{ id: expect.any(String), deletedDate: '2026-05-20T12:00:01.000+0000' }], latestDateCovered };
  expect((await api(`/sobjects/Contact/deleted/${five}`)).body).toEqual({ ...gone, earliestDateAvailable: '2026-05-05T12:05:30.000+0000' });
  expect((await api(`/sobjects/Contact/updated${span('2026-05-20T12:01:00Z', '2026-05-20T12:02:00Z')}`)).body).toMatchObject({ ids: [] });
  const refusal = { status: 400, body: [{ errorCode: 'INVALID_REPLICATION_DATE' }] };
  expect(await api(`/sobjects/Contact/updated${span('2026-04-01T00:00:00Z', '2026-05-20T12:02:00Z')}`)).toMatchObject(refusal);
  expect(await api(`/sobjects/Contact/updated${span('2026-05-20T12:02:00Z', '2026-05-20T12:02:00Z')}`)).toMatchObject(refusal);
  expect(await api('/sobjects/Contact/deleted')).toMatchObject(refusal);
});
