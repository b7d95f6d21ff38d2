/**
 * A job of Bulk API 2.0: thousands of records for about six requests. Create the job, upload a table, say that it is complete, look until
 * it is over, fetch the results.
 *
 * Results come in no order that anybody promises, so they are matched by what names a row: the record's id, or the external id. A plain insert
 * has neither, and two of them may be equal: creates without an external id never come here.
 *
 * Until the upload is declared complete nothing has happened, whatever is lost. From then on the records that no result names are in
 * doubt; all that goes this way can be repeated.
 */
import type { SalesforceOptions } from '../../../shared/providers/kinds/salesforce-options.ts';
import type { Exchange, ExchangeAnswer, ExchangeReply } from '../exchange.ts';
import type { CallOutcome, PreparedCall } from '../provider.ts';
import { parseCsv } from './csv.ts';
import { readBulkError } from './errors.ts';
import { createTable, type Table } from './job-table.ts';
import { type RecordReply, type Requests, refusedOf } from './requests.ts';
import { type Shape, type WireCall, wireOf } from './wire-call.ts';

export interface Bulk {
  takes(shape: Shape): boolean;
  /** One reply for each call, in order; undefined where the record has to go another way. */
  send(calls: readonly PreparedCall[], exchange: Exchange): Promise<readonly (RecordReply | undefined)[]>;
}

interface Job {
  readonly state: string;
  readonly failed: number | undefined;
  readonly errorMessage: string;
}

type JobEnd = { readonly status: 'over'; readonly job: Job } | { readonly status: 'unknown'; readonly outcome: CallOutcome };

type Begun =
  | { readonly status: 'begun'; readonly path: string }
  | { readonly status: 'not_begun'; readonly reply: RecordReply | undefined };

const operations: Partial<Record<Shape, string>> = { update: 'update', upsert: 'upsert', delete: 'delete' };
/** A job that is not over by then is aborted; what it has done by that time counts. */
const maxJobMs = 30 * 60_000;
/** In a row: a look that fails says nothing about the job. */
const maxFailedLooks = 5;
const overStates: ReadonlySet<string> = new Set(['JobComplete', 'Failed', 'Aborted']);

export function createBulk(options: SalesforceOptions, requests: Requests): Bulk {
  const { external_id_field: externalIdField, bulk_poll_ms: pollMs } = options;

  return {
    takes: (shape) => operations[shape] !== undefined,

    async send(calls, exchange) {
      const table = createTable(calls, externalIdField);
      if (table.rows.size === 0) return table.replies(() => undefined);
      const begun = await begin(wireOf(calls[0] as PreparedCall), table, exchange);
      if (begun.status === 'not_begun') return table.replies(() => begun.reply);
      const end = await untilOver(begun.path, exchange);
      if (end.status === 'unknown') return table.replies(() => ({ status: 'ended', outcome: end.outcome }));
      return results(begun.path, end.job, table, exchange);
    },
  };

  /** `isRead`: nothing happens before the upload is declared complete. Whether that has arrived is told by the first look at the job. */
  async function begin({ shape, object }: WireCall, table: Table, exchange: Exchange): Promise<Begun> {
    const key = shape === 'upsert' ? { externalIdFieldName: externalIdField } : {};
    const body = { object, operation: operations[shape], ...key, contentType: 'CSV', lineEnding: 'LF', columnDelimiter: 'COMMA' };
    const created = await exchange.request(requests.at('POST', '/jobs/ingest', { body, isRead: true }));
    const jobId = created.status === 'answered' ? textIn(created, 'id') : undefined;
    if (jobId === undefined) return notBegun(created);
    const path = `/jobs/ingest/${encodeURIComponent(jobId)}`;
    const csv = { body: table.csv, contentType: 'text/csv', isRead: true };
    const uploaded = await exchange.request(requests.at('PUT', `${path}/batches`, csv));
    if (isAccepted(uploaded)) {
      const started = await exchange.request(requests.at('PATCH', path, { body: { state: 'UploadComplete' } }));
      if (started.status === 'answered' ? isAccepted(started) : started.outcome.status !== 'unsent') return { status: 'begun', path };
      await abort(path, exchange);
      return notBegun(started);
    }
    await abort(path, exchange);
    return notBegun(uploaded);
  }

  /** Best effort: an open job that nobody completes is closed by Salesforce after a day. */
  async function abort(path: string, exchange: Exchange): Promise<void> {
    await exchange.request(requests.at('PATCH', path, { body: { state: 'Aborted' } }));
  }

  async function untilOver(path: string, exchange: Exchange): Promise<JobEnd> {
    const deadlineMs = exchange.nowMs() + maxJobMs;
    let failedLooks = 0;
    let isAborted = false;
    while (failedLooks < maxFailedLooks) {
      if (!(await exchange.wait(pollMs))) return unknown('aborted', 'the call was cut while the job was under way');
      const reply = await exchange.request(requests.at('GET', path, { isRead: true }));
      const job = isAccepted(reply) ? readJob(reply) : undefined;
      if (job && overStates.has(job.state)) return { status: 'over', job };
      failedLooks = job ? 0 : failedLooks + 1;
      // The answer to `UploadComplete` was lost, and so was the request.
      if (job?.state === 'Open') await exchange.request(requests.at('PATCH', path, { body: { state: 'UploadComplete' } }));
      if (exchange.nowMs() >= deadlineMs && isAborted) break;
      if (exchange.nowMs() >= deadlineMs) {
        await abort(path, exchange);
        isAborted = true;
      }
    }
    return unknown('bulk_job_lost', 'what became of the job could not be found out');
  }

  async function results(path: string, job: Job, table: Table, exchange: Exchange): Promise<readonly (RecordReply | undefined)[]> {
    const isComplete = job.state === 'JobComplete';
    const succeeded = await rows(`${path}/successfulResults`, exchange);
    const failed = isComplete && job.failed === 0 ? [] : await rows(`${path}/failedResults`, exchange);
    const unprocessed = isComplete ? [] : await rows(`${path}/unprocessedrecords`, exchange);
    for (const row of succeeded ?? []) table.settle(row, { status: 'done', code: row['sf__Created'] === 'true' ? 201 : 200, ...idOf(row) });
    for (const row of failed ?? []) {
      const text = row['sf__Error'] ?? '';
      table.settle(row, { status: 'refused', code: 200, errors: [readBulkError(text)], answer: text });
    }
    // These were not begun: another way may carry them, or say what is wrong with them.
    for (const row of unprocessed ?? []) table.settle(row, unprocessedReply(job));
    const isTold = succeeded !== undefined && failed !== undefined && unprocessed !== undefined;
    return table.replies(() => (isTold && job.state === 'Failed' ? unprocessedReply(job) : { status: 'ended', outcome: unnamed }));
  }

  async function rows(path: string, exchange: Exchange): Promise<Record<string, string>[] | undefined> {
    for (let attempt = 1; ; attempt++) {
      const reply = await exchange.request(requests.at('GET', path, { isRead: true, headers: { accept: 'text/csv' } }));
      const table = isAccepted(reply) && reply.isWhole ? parseCsv(reply.text) : undefined;
      if (table || attempt === maxFailedLooks || !(await exchange.wait(pollMs))) return table;
    }
  }
}

/** A refusal of the job as such: the records may go by other calls. */
function notBegun(reply: ExchangeReply): Begun {
  if (reply.status === 'ended') return { status: 'not_begun', reply };
  const refused = refusedOf(reply);
  const isPassing = refused.errors[0]?.code === 'REQUEST_LIMIT_EXCEEDED' || reply.code === 420 || reply.code === 429 || reply.code >= 500;
  return { status: 'not_begun', reply: isPassing ? refused : undefined };
}

/** A table with a bad column fails as one: the collections name the record. Anything else may pass. */
function unprocessedReply(job: Job): RecordReply | undefined {
  if (job.state === 'Failed' && /InvalidBatch|ClientInputError|field name not found/i.test(job.errorMessage)) return undefined;
  const message = `the job ended as ${job.state}${job.errorMessage === '' ? '' : `: ${job.errorMessage}`}`;
  return { status: 'ended', outcome: { status: 'failed', error: { kind: 'transient', code: 'bulk_job_failed', message } } };
}

const unnamed: CallOutcome = {
  status: 'failed',
  error: { kind: 'ambiguous', code: 'malformed_batch_answer', message: 'no result of the job names the record' },
};

function unknown(code: 'aborted' | 'bulk_job_lost', message: string): JobEnd {
  return { status: 'unknown', outcome: { status: 'failed', error: { kind: 'ambiguous', code, message } } };
}

function isAccepted(reply: ExchangeReply): reply is ExchangeAnswer {
  return reply.status === 'answered' && reply.code >= 200 && reply.code < 300;
}

function textIn(answer: ExchangeAnswer, name: string): string | undefined {
  const value = isAccepted(answer) ? answer.json() : undefined;
  const text = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function readJob(answer: ExchangeAnswer): Job | undefined {
  const state = textIn(answer, 'state');
  if (state === undefined) return undefined;
  const failed = (answer.json() as { numberRecordsFailed?: unknown }).numberRecordsFailed;
  return { state, failed: typeof failed === 'number' ? failed : undefined, errorMessage: textIn(answer, 'errorMessage') ?? '' };
}

function idOf(row: Record<string, string>): { id?: string } {
  const id = row['sf__Id'];
  return id === undefined || id === '' ? {} : { id };
}
