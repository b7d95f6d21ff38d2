import { describe, expect, it } from 'vitest';
import { dialectCall, prepare } from '../../../../test/support/dialect-calls.ts';
import { answered, createPlayedExchange, lost, unsent } from '../../../../test/support/played-exchange.ts';
import { providerConfig } from '../../../../test/support/provider-config.ts';
import { salesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { ExchangeReply, ExchangeRequest } from '../exchange.ts';
import type { Call, CallOutcome } from '../provider.ts';
import { createSalesforceDialect } from './dialect.ts';

const job = '/jobs/ingest/750';
const idOf = (index: number) => `00300000000000${index}AAA`;

function open(options: Record<string, unknown> = {}) {
  const parsed = salesforceOptions.parse({ bulk_threshold: 3, bulk_max_records: 10, ...options });
  return createSalesforceDialect(providerConfig({ kind: 'salesforce', options: parsed, batch: { maxRecords: 2, maxWaitMs: 0 } }));
}

function updates(...data: readonly Record<string, unknown>[]): Call[] {
  return data.map((fields, index) =>
    dialectCall({ kind: 'update', recordId: `r${index}`, data: fields, providerRecordId: idOf(index) }, index + 1),
  );
}

/** A job that goes well, but for what a test says of its steps: `METHOD path` below the API's version. */
type Steps = Readonly<Record<string, ExchangeReply | readonly ExchangeReply[]>>;

function jobWith(steps: Steps): (request: ExchangeRequest) => ExchangeReply {
  const queues = new Map(Object.entries(steps).map(([step, replies]) => [step, Array.isArray(replies) ? [...replies] : [replies]]));
  const usual: Record<string, ExchangeReply> = {
    'POST /jobs/ingest': answered(200, { id: '750', state: 'Open' }),
    [`PUT ${job}/batches`]: answered(201),
    [`PATCH ${job}`]: answered(200, { id: '750', state: 'UploadComplete' }),
    [`GET ${job}`]: answered(200, { id: '750', state: 'JobComplete', numberRecordsFailed: 0 }),
    [`GET ${job}/failedResults`]: answered(200, ''),
    [`GET ${job}/unprocessedrecords`]: answered(200, ''),
  };
  return ({ method, path }) => {
    const step = `${method} ${path.replace('/services/data/v62.0', '')}`;
    const queue = queues.get(step);
    const reply = queue && queue.length > 1 ? queue.shift() : (queue?.[0] ?? usual[step]);
    if (!reply) throw new Error(`no answer for ${step}`);
    return reply;
  };
}

async function run(calls: readonly Call[], steps: Steps, options: Record<string, unknown> = {}, wait = () => Promise.resolve(true)) {
  const dialect = open(options);
  const played = createPlayedExchange(jobWith(steps));
  const outcomes = await dialect.carryOut(
    calls.map((call) => prepare(dialect, call)),
    { ...played, wait },
  );
  const steps_ = played.requests.map(({ method, path }) => `${method} ${path.replace('/services/data/v62.0', '')}`);
  return { outcomes, steps: steps_, requests: played.requests };
}

const three = updates({ title: 'A' }, { title: null, department: 'x, "y"' }, { title: 'C' });
const succeeded = (...indexes: number[]) =>
  answered(200, `"sf__Id","sf__Created","Id"\n${indexes.map((index) => `"${idOf(index)}","false","${idOf(index)}"\n`).join('')}`);
const summary = (outcomes: readonly CallOutcome[]) =>
  outcomes.map((outcome) => (outcome.status === 'failed' ? `${outcome.error.kind} ${outcome.error.code}` : outcome.status));

describe('a job', () => {
  it('uploads one table, and its results find their calls in any order', async () => {
    const { outcomes, steps, requests } = await run(three, {
      [`GET ${job}`]: [
        answered(200, { id: '750', state: 'InProgress' }),
        answered(200, { id: '750', state: 'JobComplete', numberRecordsFailed: 1 }),
      ],
      [`GET ${job}/successfulResults`]: succeeded(2, 0),
      [`GET ${job}/failedResults`]: answered(
        200,
        `"sf__Id","sf__Error","Id","Title"\n"","UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--","${idOf(1)}",""\n`,
      ),
    });
    expect(steps).toEqual([
      'POST /jobs/ingest',
      `PUT ${job}/batches`,
      `PATCH ${job}`,
      `GET ${job}`,
      `GET ${job}`,
      `GET ${job}/successfulResults`,
      `GET ${job}/failedResults`,
    ]);
    expect(requests[0]?.body).toEqual({
      object: 'Contact',
      operation: 'update',
      contentType: 'CSV',
      lineEnding: 'LF',
      columnDelimiter: 'COMMA',
    });
    expect(requests[1]).toMatchObject({
      contentType: 'text/csv',
      body: `Id,Title,Department\n${idOf(0)},A,\n${idOf(1)},#N/A,"x, ""y"""\n${idOf(2)},C,\n`,
    });
    expect(requests[2]?.body).toEqual({ state: 'UploadComplete' });
    expect(summary(outcomes)).toEqual(['accepted', 'transient record_locked', 'accepted']);
  });

  it('upserts by external id, and keeps the ids that it made', async () => {
    const calls = three.map((call) => ({ ...call, kind: 'upsert' as const, providerRecordId: undefined }));
    const rows = calls.map(({ recordId }, index) => `"${idOf(index)}","true","${recordId}"\n`).reverse();
    const results = answered(200, `"sf__Id","sf__Created","Ext__c"\n${rows.join('')}`);
    const { outcomes, requests } = await run(calls, { [`GET ${job}/successfulResults`]: results }, { external_id_field: 'Ext__c' });
    expect(requests[0]?.body).toMatchObject({ operation: 'upsert', externalIdFieldName: 'Ext__c' });
    expect(requests[1]?.body).toMatch(/^Ext__c,Title,Department\nr0,A,\n/);
    expect(outcomes).toEqual([0, 1, 2].map((index) => ({ status: 'accepted', providerStatus: 201, providerRecordId: idOf(index) })));
  });

  it('deletes, and takes what is gone for deleted', async () => {
    const calls = three.map((call) => ({ ...call, kind: 'delete' as const, dataJson: undefined }));
    const { outcomes, requests } = await run(calls, {
      [`GET ${job}`]: answered(200, { state: 'JobComplete', numberRecordsFailed: 1 }),
      [`GET ${job}/successfulResults`]: succeeded(0, 1),
      [`GET ${job}/failedResults`]: answered(200, `"sf__Id","sf__Error","Id"\n"","ENTITY_IS_DELETED:entity is deleted:--","${idOf(2)}"\n`),
    });
    expect(requests[1]?.body).toBe(`Id\n${idOf(0)}\n${idOf(1)}\n${idOf(2)}\n`);
    expect(summary(outcomes)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('is not made for creates without an external id, whose results nobody could match', async () => {
    const calls = three.map((call) => ({ ...call, kind: 'create' as const, dataJson: '{"last_name":"L"}', providerRecordId: undefined }));
    const made = (...indexes: number[]) =>
      answered(
        200,
        indexes.map((index) => ({ id: idOf(index), success: true, errors: [] })),
      );
    const { outcomes, steps } = await run(calls, { 'POST /composite/sobjects': [made(0, 1), made(2)] });
    expect(steps).toEqual(['POST /composite/sobjects', 'POST /composite/sobjects']);
    expect(outcomes).toMatchObject([0, 1, 2].map((index) => ({ providerRecordId: idOf(index) })));
  });

  it('leaves to a collection what a table cannot hold', async () => {
    const calls = updates({ title: 'A' }, { Account: { Ext__c: 'x' } }, { title: '#N/A' });
    const { outcomes, requests } = await run(calls, {
      [`GET ${job}/successfulResults`]: succeeded(0),
      'PATCH /composite/sobjects': answered(200, [
        { id: idOf(1), success: true },
        { id: idOf(2), success: true },
      ]),
    });
    expect(requests.at(-1)?.body).toMatchObject({ records: [{ Account: { Ext__c: 'x' } }, { Title: '#N/A' }] });
    expect(summary(outcomes)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('that is full leaves the rest for another', async () => {
    const large = 'x'.repeat(5 * 1024 * 1024);
    const { outcomes } = await run(updates({ title: large }, { title: large }, { title: 'C' }), {
      [`GET ${job}/successfulResults`]: succeeded(0, 2),
    });
    expect(summary(outcomes)).toEqual(['accepted', 'unsent', 'accepted']);
  });
});

describe('a job that does not go well', () => {
  const both = (...indexes: number[]) =>
    answered(
      200,
      indexes.map((index) => ({ id: idOf(index), success: true, errors: [] })),
    );

  it('refused as such leaves the way to collections', async () => {
    const { outcomes, steps } = await run(three, {
      'POST /jobs/ingest': answered(400, [{ errorCode: 'FEATURENOTENABLED', message: 'x' }]),
      'PATCH /composite/sobjects': [both(0, 1), both(2)],
    });
    expect(steps).toEqual(['POST /jobs/ingest', 'PATCH /composite/sobjects', 'PATCH /composite/sobjects']);
    expect(summary(outcomes)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('throttled before its start has done nothing', async () => {
    const limit = answered(403, [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' }]);
    expect(summary((await run(three, { 'POST /jobs/ingest': limit })).outcomes)).toEqual(Array(3).fill('rate_limited daily_limit'));
    const upload = await run(three, { [`PUT ${job}/batches`]: answered(503, '') });
    expect(summary(upload.outcomes)).toEqual(Array(3).fill('transient provider_error'));
    expect(upload.requests.at(-1)).toMatchObject({ method: 'PATCH', body: { state: 'Aborted' } });
    expect(summary((await run(three, { [`PATCH ${job}`]: unsent })).outcomes)).toEqual(Array(3).fill('unsent'));
  });

  it('is looked at where the answer to its start was lost, and started again where it never began', async () => {
    const { outcomes, requests } = await run(three, {
      [`PATCH ${job}`]: [lost, answered(200, {})],
      [`GET ${job}`]: [answered(200, { state: 'Open' }), answered(200, { state: 'JobComplete', numberRecordsFailed: 0 })],
      [`GET ${job}/successfulResults`]: succeeded(0, 1, 2),
    });
    expect(
      requests.filter(({ method, body }) => method === 'PATCH' && (body as { state: string }).state === 'UploadComplete'),
    ).toHaveLength(2);
    expect(summary(outcomes)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('is in doubt where it is cut, cannot be seen, or its results do not name a record', async () => {
    const cut = await run(three, {}, {}, () => Promise.resolve(false));
    expect(summary(cut.outcomes)).toEqual(Array(3).fill('ambiguous aborted'));
    const unseen = await run(three, { [`GET ${job}`]: answered(500, '') });
    expect(summary(unseen.outcomes)).toEqual(Array(3).fill('ambiguous bulk_job_lost'));
    const unnamed = await run(three, { [`GET ${job}/successfulResults`]: succeeded(0, 2) });
    expect(summary(unnamed.outcomes)).toEqual(['accepted', 'ambiguous malformed_batch_answer', 'accepted']);
    const unreadable = await run(three, { [`GET ${job}/successfulResults`]: answered(200, '"sf__Id","Id"\n"1') });
    expect(summary(unreadable.outcomes)).toEqual(Array(3).fill('ambiguous malformed_batch_answer'));
  });

  it('failed over a column lets collections name the record', async () => {
    const { outcomes } = await run(three, {
      [`GET ${job}`]: answered(200, { state: 'Failed', errorMessage: 'InvalidBatch : Field name not found : Foo' }),
      [`GET ${job}/successfulResults`]: answered(200, ''),
      [`GET ${job}/unprocessedrecords`]: answered(200, `"Id"\n${idOf(0)}\n${idOf(1)}\n${idOf(2)}\n`),
      'PATCH /composite/sobjects': [both(0, 1), both(2)],
    });
    expect(summary(outcomes)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('aborted in the middle has done what it has done', async () => {
    const { outcomes } = await run(three, {
      [`GET ${job}`]: answered(200, { state: 'Aborted' }),
      [`GET ${job}/successfulResults`]: succeeded(0),
      [`GET ${job}/unprocessedrecords`]: answered(200, `"Id"\n${idOf(1)}\n${idOf(2)}\n`),
    });
    expect(summary(outcomes)).toEqual(['accepted', 'transient bulk_job_failed', 'transient bulk_job_failed']);
  });

  it('whose collections are refused as a whole says so only where nothing was done', async () => {
    const refused = answered(400, [{ errorCode: 'INVALID_FIELD', message: 'No such column' }]);
    const noJob = { 'POST /jobs/ingest': answered(400, []) };
    const atOnce = await run(three, { ...noJob, 'PATCH /composite/sobjects': refused });
    expect(atOnce.outcomes.every((outcome) => outcome.status === 'failed' && outcome.error.isWholeBatch)).toBe(true);
    const later = await run(three, { ...noJob, 'PATCH /composite/sobjects': [both(0, 1), refused] });
    expect(summary(later.outcomes)).toEqual(['accepted', 'accepted', 'unsent']);
    const stopped = await run(three, { ...noJob, 'PATCH /composite/sobjects': [answered(503, ''), refused] });
    expect(summary(stopped.outcomes)).toEqual(['transient provider_error', 'transient provider_error', 'unsent']);
  });
});

it('jobs are for backlogs, and can be done without', () => {
  expect(open().bulk).toMatchObject({ minRecords: 3, maxRecords: 10 });
  expect(open({ bulk_threshold: 1 }).bulk).toMatchObject({ minRecords: 3, maxRecords: 10 });
  expect(open({ bulk_threshold: 0 }).bulk).toBeUndefined();
});
