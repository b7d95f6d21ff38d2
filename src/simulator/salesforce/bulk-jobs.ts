/**
 * Ingest jobs of Bulk API 2.0. A job's rows are written when it ends, not when they are uploaded: after `bulk_job_ms`, or at the look
 * that follows `bulk_job_polls` others, so that whoever writes to the same records meanwhile is overtaken as on the real thing. Faults
 * that were told to strike single records are drawn when the rows come in.
 */
import { parseCsv } from './csv.ts';
import type { Org } from './org.ts';
import { resolveField } from './row-view.ts';
import { deleteRow, insertRow, recordFailure, updateRow, upsertRow, type Writer, type Written } from './row-writer.ts';
import { errors, type SalesforceError } from './salesforce-errors.ts';

export const operations = ['insert', 'update', 'upsert', 'delete', 'hardDelete'] as const;
export type Operation = (typeof operations)[number];

export const delimiters: Readonly<Record<string, string>> = {
  COMMA: ',',
  SEMICOLON: ';',
  TAB: '\t',
  PIPE: '|',
  CARET: '^',
  BACKQUOTE: '`',
};

export interface JobHead {
  readonly typeName: string;
  readonly operation: Operation;
  /** Of an upsert. */
  readonly externalIdField: string | undefined;
  readonly columnDelimiter: string;
  readonly lineEnding: 'LF' | 'CRLF';
  readonly writer: Writer;
}

export interface Job extends JobHead {
  readonly id: string;
  readonly createdMs: number;
  state: 'Open' | 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted';
  changedMs: number;
  /** When its data was complete. */
  completeMs: number;
  looks: number;
  header: readonly string[];
  /** Undefined before the upload. */
  rows: readonly (readonly string[])[] | undefined;
  /** Faults that the rows were told to have, in their order. */
  told: readonly (SalesforceError | undefined)[];
  /** What became of the rows that were written or refused, in their order. */
  results: readonly RowResult[];
  errorMessage: string | undefined;
}

export type RowResult =
  | { readonly is: 'saved'; readonly row: readonly string[]; readonly id: string; readonly isCreated: boolean }
  | { readonly is: 'failed'; readonly row: readonly string[]; readonly id: string; readonly error: SalesforceError };

export interface BulkJobs {
  open(head: JobHead): Job;
  get(id: string): Job | undefined;
  /** Newest first. */
  list(): readonly Job[];
  /** Parses the job's data; the reason when it cannot be read. */
  upload(job: Job, text: string, toldOf: (rowIndex: number) => SalesforceError | undefined): string | undefined;
  /** Begins the work. */
  complete(job: Job): void;
  abort(job: Job): void;
  remove(job: Job): void;
  /** Counts as a look at the job, which may end it. */
  look(job: Job): void;
  /** Ends the jobs whose time has come. */
  advance(): void;
  clear(): void;
}

export function createBulkJobs(org: Org): BulkJobs {
  const jobs = new Map<string, Job>();
  const pending = new Set<Job>();

  function enter(job: Job, state: Job['state']): void {
    job.state = state;
    job.changedMs = org.now();
    if (state !== 'UploadComplete' && state !== 'InProgress') pending.delete(job);
  }

  function finish(job: Job): void {
    const unknown = unknownColumn(org, job);
    if (unknown !== undefined) {
      job.errorMessage = `InvalidBatch : Field name not found : ${unknown}`;
      return enter(job, 'Failed');
    }
    job.results = (job.rows ?? []).map((row, index) => write(org, job, row, job.told[index]));
    enter(job, 'JobComplete');
  }

  function isDue(job: Job): boolean {
    const { bulk_job_polls, bulk_job_ms } = org.settings;
    return bulk_job_polls === null ? org.now() >= job.completeMs + bulk_job_ms : job.looks > bulk_job_polls;
  }

  return {
    open(head) {
      const nowMs = org.now();
      const start = { state: 'Open', createdMs: nowMs, changedMs: nowMs, completeMs: 0, looks: 0 } as const;
      const nothing = { header: [], rows: undefined, told: [], results: [], errorMessage: undefined };
      const job: Job = { ...head, id: org.makeId('750'), ...start, ...nothing };
      jobs.set(job.id, job);
      return job;
    },
    get: (id) => jobs.get(id),
    list: () => [...jobs.values()].reverse(),
    upload(job, text, toldOf) {
      const parsed = parseCsv(text, delimiters[job.columnDelimiter] as string);
      if (parsed.is === 'malformed') return parsed.message;
      job.header = parsed.header;
      job.rows = parsed.rows;
      job.told = parsed.rows.map((_, index) => toldOf(index));
      return undefined;
    },
    complete(job) {
      job.completeMs = org.now();
      pending.add(job);
      enter(job, 'UploadComplete');
    },
    abort: (job) => enter(job, 'Aborted'),
    remove(job) {
      jobs.delete(job.id);
      pending.delete(job);
    },
    look(job) {
      if (!pending.has(job)) return;
      job.looks += 1;
      if (isDue(job)) finish(job);
      else if (job.state === 'UploadComplete') enter(job, 'InProgress');
    },
    advance() {
      for (const job of pending) if (isDue(job)) finish(job);
    },
    clear() {
      jobs.clear();
      pending.clear();
    },
  };
}

function unknownColumn(org: Org, { typeName, header }: Job): string | undefined {
  return header.find((name) => resolveField(org, typeName, name) === undefined);
}

/** An empty field leaves the value as it is; `#N/A` clears it. */
export function readRow(header: readonly string[], row: readonly string[]): { id: string; data: Record<string, unknown> } {
  const data: Record<string, unknown> = {};
  let id = '';
  for (const [index, name] of header.entries()) {
    const value = row[index] ?? '';
    if (name.toLowerCase() === 'id') id = value;
    else if (value !== '') data[name] = value === '#N/A' ? null : value;
  }
  return { id, data };
}

function write(org: Org, job: Job, row: readonly string[], told: SalesforceError | undefined): RowResult {
  const { id, data } = readRow(job.header, row);
  if (told) return { is: 'failed', row, id, error: told };
  const written = writeRow(org, job, id, data);
  if ('error' in written) return { is: 'failed', row, id, error: written.error };
  if (written.is === 'saved') return { is: 'saved', row, id: written.id, isCreated: written.isCreated };
  return { is: 'failed', row, id, error: recordFailure(org, job.typeName, id, written) as SalesforceError };
}

function writeRow(org: Org, job: Job, id: string, data: Record<string, unknown>): Written | { error: SalesforceError } {
  const { typeName, operation, writer, externalIdField: field } = job;
  if (operation === 'insert') return id === '' ? insertRow(org, typeName, data, writer) : { error: errors.idInInsert };
  if (operation === 'upsert') {
    const { [field ?? '']: external, ...rest } = data;
    const value = field === 'Id' ? id : external;
    if (typeof value === 'string' && value !== '')
      return upsertRow(org, typeName, { field: field ?? '', value, data: rest, mayCreate: true }, writer);
    return field === 'Id' ? insertRow(org, typeName, data, writer) : { error: errors.noIdInUpsert };
  }
  if (id === '') return { error: errors.noIdInUpdate };
  return operation === 'update' ? updateRow(org, typeName, id, data, writer) : deleteRow(org, typeName, id, writer);
}
