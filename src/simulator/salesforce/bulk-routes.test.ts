import { expect, test } from 'vitest';
import { openOrg } from '../../../test/support/simulated-org.ts';

async function start(job: object = { object: 'Contact', operation: 'insert' }, settings: object = { bulk_job_polls: 0 }) {
  const org = await openOrg();
  org.set({ ...settings });
  const opened = await org.api('/jobs/ingest', { body: { contentType: 'CSV', lineEnding: 'LF', ...job } });
  const { id } = opened.body as { id: string };
  const at = `/jobs/ingest/${id}`;
  return {
    ...org,
    opened,
    at,
    upload: (text: string) => org.api(`${at}/batches`, { method: 'PUT', text }),
    change: (state: string) => org.api(at, { method: 'PATCH', body: { state } }),
    look: () => org.api(at),
    results: async (part: string) => (await org.api(`${at}/${part}`)).text,
  };
}

test('a job goes through its states and gives three lists of results', async () => {
  const { opened, at, upload, change, look, results, api } = await start(undefined, { bulk_job_polls: 1 });
  expect(opened).toMatchObject({
    status: 200,
    body: { id: expect.stringMatching(/^750/), state: 'Open', contentUrl: `services/data/v60.0${at}/batches` },
  });
  expect(await upload('LastName,Email\n"Meer, A",a@example.com\n,b@example.com\n')).toEqual({ status: 201, headers: expect.anything() });
  expect(await results('successfulResults')).toBeUndefined();
  expect(await change('UploadComplete')).toMatchObject({ status: 200, body: { state: 'UploadComplete' } });
  expect(await upload('LastName\nB')).toMatchObject({ status: 400, body: [{ errorCode: 'INVALIDJOBSTATE' }] });
  expect(await look()).toMatchObject({ body: { state: 'InProgress', numberRecordsProcessed: 0 } });
  expect(await look()).toMatchObject({ body: { state: 'JobComplete', numberRecordsProcessed: 2, numberRecordsFailed: 1 } });
  expect(await results('successfulResults')).toMatch(
    /^"sf__Id","sf__Created","LastName","Email"\n"003\w{15}","true","Meer, A","a@example.com"\n$/,
  );
  const error = 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --';
  expect(await results('failedResults')).toBe(`"sf__Id","sf__Error","LastName","Email"\n"","${error}","","b@example.com"\n`);
  expect(await results('unprocessedrecords')).toBe('"LastName","Email"\n');
  expect(await api('/jobs/ingest')).toMatchObject({ body: { done: true, records: [{ state: 'JobComplete' }] } });
  expect(await api(at, { method: 'DELETE' })).toMatchObject({ status: 204 });
  expect(await look()).toMatchObject({ status: 404 });
});

test('rows are written when the job ends, not when they come in', async () => {
  const { upload, change, clock, provider, api } = await start(
    { object: 'Contact', operation: 'upsert', externalIdFieldName: 'ExtId__c' },
    { bulk_job_ms: 5_000 },
  );
  await upload('ExtId__c,LastName,Title\n1,Bulk,#N/A\n');
  await change('UploadComplete');
  clock.nowMs += 4_000;
  await api('/sobjects/Contact/ExtId__c/1', { method: 'PATCH', body: { LastName: 'Single', Title: 'x' } });
  clock.nowMs += 1_000;
  const [row] = Object.values(provider.records('Contact'));
  expect(row).toMatchObject({ LastName: 'Bulk', LastModifiedDate: '2026-05-20T12:00:05.000+0000' });
  expect(row).not.toHaveProperty('Title');
});

test('updates and deletes go by id; empty fields change nothing', async () => {
  const { upload, change, look, results, api } = await start({ object: 'Contact', operation: 'update' });
  const { body } = await api('/sobjects/Contact', { body: { LastName: 'A', Title: 'x' } });
  const { id } = body as { id: string };
  await upload(`Id,LastName,Title\n${id},B,\n0035g00ZZZZZZZZ,C,\n,D,\n`);
  await change('UploadComplete');
  await look();
  expect(await api(`/sobjects/Contact/${id}?fields=LastName,Title`)).toMatchObject({ body: { LastName: 'B', Title: 'x' } });
  expect(await results('successfulResults')).toContain(`"${id}","false"`);
  expect(await results('failedResults')).toMatch(/INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--".*\n.*MISSING_ARGUMENT:/);
});

test('faults for single records and locks show in the results', async () => {
  const { upload, change, look, results, fault, set, random, simulator } = await start();
  fault({ error_rate: 1, status: 400, code: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message: 'no', record_ids: ['2'] });
  await upload('ExtId__c,LastName\n1,A\n2,B\n');
  expect(
    simulator.log
      .list(-1, 10)
      .at(-1)
      ?.items.map((item) => item.recordId),
  ).toEqual(['1', '2']);
  fault({});
  set({ lock_rate: 0.5 });
  random.next = 0.4;
  await change('UploadComplete');
  expect(await look()).toMatchObject({ body: { numberRecordsFailed: 2 } });
  const failed = await results('failedResults');
  expect(failed).toMatch(/UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: 003\w+:--","1"/);
  expect(failed).toContain('FIELD_CUSTOM_VALIDATION_EXCEPTION:no:--');
});

test('an unknown column fails the job, and nothing of it is done', async () => {
  const { upload, change, look, results, provider } = await start();
  await upload('LastName,Nothing\nA,1\n');
  await change('UploadComplete');
  expect(await look()).toMatchObject({ body: { state: 'Failed', errorMessage: 'InvalidBatch : Field name not found : Nothing' } });
  expect(await results('unprocessedrecords')).toBe('"LastName","Nothing"\n"A","1"\n');
  expect(provider.records(undefined)).toEqual({});
});

test('a job can be given up, and jobs that make no sense are refused', async () => {
  const { api, change, upload, look, provider, clock, set } = await start(undefined, { bulk_job_ms: 1_000 });
  expect(await upload('"LastName\nA')).toMatchObject({ status: 400, body: [{ errorCode: 'INVALIDBATCH' }] });
  set({ bulk_max_bytes: 10 });
  expect(await upload('LastName\nA\n')).toMatchObject({ status: 400, body: [{ errorCode: 'LIMIT_EXCEEDED' }] });
  set({ bulk_max_bytes: 1_000 });
  await upload('LastName\nA\n');
  await change('UploadComplete');
  expect(await change('Aborted')).toMatchObject({ body: { state: 'Aborted' } });
  clock.nowMs += 2_000;
  expect(await look()).toMatchObject({ body: { state: 'Aborted' } });
  expect(provider.records(undefined)).toEqual({});
  const wrong = [
    { object: 'Nothing', operation: 'insert' },
    { object: 'Contact', operation: 'query' },
    { object: 'Contact', operation: 'upsert', externalIdFieldName: 'Title' },
    { object: 'Contact', operation: 'insert', columnDelimiter: 'SPACE' },
  ];
  for (const body of wrong) expect(await api('/jobs/ingest', { body })).toMatchObject({ status: 400, body: [{ errorCode: 'INVALIDJOB' }] });
});
