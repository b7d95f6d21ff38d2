/** The routes of Bulk API 2.0 ingest, below `/jobs/ingest`. */
import type { Reply } from '../simulated-provider.ts';
import { type ApiCall, readBody } from './api-call.ts';
import { type BulkJobs, delimiters, type Job, type JobHead, operations, type RowResult } from './bulk-jobs.ts';
import { printCsv } from './csv.ts';
import { typeNameOf } from './org.ts';
import { toDateTime } from './salesforce-dates.ts';
import { errorOf, errorReply, errors, type SalesforceError } from './salesforce-errors.ts';
import { readId } from './salesforce-ids.ts';
import { matchFields } from './settings.ts';

/** Answers a call whose path below `/jobs/ingest` is `path`. */
export function bulkRoute(call: ApiCall, jobs: BulkJobs, [id, part, ...rest]: readonly string[]): Reply {
  const { method } = call.request;
  if (id === undefined) {
    if (method === 'POST') return open(call, jobs);
    return method === 'GET' ? list(call, jobs) : errorReply(errors.wrongMethod);
  }
  const job = jobs.get(readId(id) ?? '');
  if (!job || rest.length > 0) return errorReply(errors.notFound);
  if (part === 'batches') return method === 'PUT' ? upload(call, jobs, job) : errorReply(errors.wrongMethod);
  if (part !== undefined) return method === 'GET' ? results(job, part) : errorReply(errors.wrongMethod);
  if (method === 'PATCH') return changeState(call, jobs, job);
  if (method === 'DELETE') return remove(jobs, job);
  if (method !== 'GET') return errorReply(errors.wrongMethod);
  jobs.look(job);
  return { status: 200, body: info(call, job) };
}

function open(call: ApiCall, jobs: BulkJobs): Reply {
  const body = readBody(call.request);
  if (body.is === 'refused') return body.reply;
  const head = readHead(call, body.data);
  return 'error' in head ? errorReply(head.error) : { status: 200, body: summary(call, jobs.open(head)) };
}

function readHead({ org, writer }: ApiCall, data: Readonly<Record<string, unknown>>): JobHead | { readonly error: SalesforceError } {
  const { object, externalIdFieldName, contentType = 'CSV', lineEnding = 'LF', columnDelimiter = 'COMMA' } = data;
  const typeName = typeNameOf(org, String(object));
  if (typeName === undefined) return wrong(`Unable to find object: ${object}`);
  const operation = operations.find((known) => known === data['operation']);
  if (operation === undefined) return wrong(`Invalid operation: ${data['operation']}`);
  if (contentType !== 'CSV') return wrong(`Unsupported content type: ${contentType}`);
  if (lineEnding !== 'LF' && lineEnding !== 'CRLF') return wrong(`Invalid line ending: ${lineEnding}`);
  if (typeof columnDelimiter !== 'string' || !Object.hasOwn(delimiters, columnDelimiter))
    return wrong(`Invalid delimiter: ${columnDelimiter}`);
  const field = ['Id', ...matchFields(org.settings)].find((known) => known.toLowerCase() === String(externalIdFieldName).toLowerCase());
  if (operation === 'upsert' && field === undefined) {
    return wrong(
      `Field name provided, ${externalIdFieldName} does not match an External ID, Salesforce Id, or indexed field for ${typeName}`,
    );
  }
  return { typeName, operation, externalIdField: operation === 'upsert' ? field : undefined, columnDelimiter, lineEnding, writer };
}

function wrong(message: string) {
  return { error: errorOf.job('INVALIDJOB', `InvalidJob : ${message}`) };
}

function list(call: ApiCall, jobs: BulkJobs): Reply {
  return { status: 200, body: { done: true, nextRecordsUrl: null, records: jobs.list().map((job) => summary(call, job)) } };
}

function upload(call: ApiCall, jobs: BulkJobs, job: Job): Reply {
  const { text } = call.request;
  const { bulk_max_bytes } = call.org.settings;
  if (job.state !== 'Open') return wrongState(job, 'uploaded to');
  if (job.rows) return errorReply(errorOf.job('INVALIDBATCH', 'Found multiple contents for job: only one upload is allowed'));
  // The documented limit is that of the data in base 64.
  if (Math.ceil(Buffer.byteLength(text) / 3) * 4 > bulk_max_bytes)
    return errorReply(errorOf.limit(`The data is larger than ${bulk_max_bytes} bytes`));
  const problem = jobs.upload(job, text, call.failRecord);
  if (problem !== undefined) return errorReply(errorOf.job('INVALIDBATCH', `InvalidBatch : ${problem}`));
  return { status: 201 };
}

function changeState(call: ApiCall, jobs: BulkJobs, job: Job): Reply {
  const body = readBody(call.request);
  if (body.is === 'refused') return body.reply;
  const { state } = body.data;
  if (state === 'UploadComplete') {
    if (job.state !== 'Open') return wrongState(job, 'closed');
    jobs.complete(job);
  } else if (state === 'Aborted') {
    if (isOver(job)) return wrongState(job, 'aborted');
    jobs.abort(job);
  } else return errorReply(errorOf.job('INVALIDJOB', `InvalidJob : Invalid state: ${state}`));
  return { status: 200, body: summary(call, job) };
}

function remove(jobs: BulkJobs, job: Job): Reply {
  if (job.state === 'Open' || job.state === 'InProgress') return wrongState(job, 'deleted');
  jobs.remove(job);
  return { status: 204 };
}

function results(job: Job, part: string): Reply {
  const lines = linesOf(job, part);
  if (lines === undefined) return errorReply(errors.notFound);
  if (!isOver(job)) return wrongState(job, 'read');
  const form = { delimiter: delimiters[job.columnDelimiter] as string, lineEnd: job.lineEnding === 'LF' ? '\n' : '\r\n' };
  return { status: 200, contentType: 'text/csv', text: printCsv(lines, form) };
}

function linesOf(job: Job, part: string): readonly (readonly string[])[] | undefined {
  const { header } = job;
  if (part === 'successfulResults') return [['sf__Id', 'sf__Created', ...header], ...job.results.flatMap(successLine)];
  if (part === 'failedResults') return [['sf__Id', 'sf__Error', ...header], ...job.results.flatMap(failureLine)];
  return part === 'unprocessedrecords' ? [header, ...(job.rows ?? []).slice(job.results.length)] : undefined;
}

function successLine(result: RowResult): string[][] {
  return result.is === 'saved' ? [[result.id, String(result.isCreated), ...result.row]] : [];
}

function failureLine(result: RowResult): string[][] {
  if (result.is === 'saved') return [];
  const { code, message, fields = [] } = result.error;
  return [[result.id, `${code}:${message}:${fields.length > 0 ? `${fields.join(',')} ` : ''}--`, ...result.row]];
}

function isOver({ state }: Job): boolean {
  return state === 'JobComplete' || state === 'Failed' || state === 'Aborted';
}

function wrongState({ state }: Job, done: string): Reply {
  return errorReply(errorOf.job('INVALIDJOBSTATE', `Job state must fit; a job that is ${state} cannot be ${done}`));
}

function summary({ org, version }: ApiCall, job: Job) {
  return {
    id: job.id,
    operation: job.operation,
    object: job.typeName,
    createdById: org.settings.user_id,
    createdDate: toDateTime(job.createdMs),
    systemModstamp: toDateTime(job.changedMs),
    state: job.state,
    ...(job.externalIdField !== undefined && { externalIdFieldName: job.externalIdField }),
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: version,
    ...(job.state === 'Open' && { contentUrl: `services/data/v${version}.0/jobs/ingest/${job.id}/batches` }),
    lineEnding: job.lineEnding,
    columnDelimiter: job.columnDelimiter,
  };
}

function info(call: ApiCall, job: Job) {
  const failed = job.results.filter((result) => result.is === 'failed').length;
  const spentMs = isOver(job) ? Math.round(job.changedMs - job.completeMs) : 0;
  return {
    ...summary(call, job),
    jobType: 'V2Ingest',
    retries: 0,
    totalProcessingTime: spentMs,
    apiActiveProcessingTime: spentMs,
    apexProcessingTime: 0,
    numberRecordsProcessed: job.results.length,
    numberRecordsFailed: failed,
    ...(job.errorMessage !== undefined && { errorMessage: job.errorMessage }),
  };
}
