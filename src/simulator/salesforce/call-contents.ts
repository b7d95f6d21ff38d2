/**
 * What a call asks for, read without carrying it out: for the log, and for faults that strike single records. A record goes by its
 * external id if it has one, else its e-mail address, else its Salesforce id; all the names that it has are its aliases.
 */
import { objectOf, parseJson } from '../request-reading.ts';
import type { SimulatedItem, SimulatedRequest } from '../simulated-provider.ts';
import { readTarget } from './api-call.ts';
import { type BulkJobs, delimiters, readRow } from './bulk-jobs.ts';
import { asRequest, subrequestsIn } from './composite.ts';
import { parseCsv } from './csv.ts';
import { oauthPath, readForm } from './oauth.ts';
import { type Org, typeNameOf } from './org.ts';
import { matching } from './row-writer.ts';
import { readId } from './salesforce-ids.ts';

export interface Contents {
  readonly isBatch: boolean;
  readonly items: readonly SimulatedItem[];
}

type Values = Readonly<Record<string, unknown>>;

interface Part {
  readonly operation: string;
  readonly entity: string;
  /** What is known of the record from the call. */
  readonly values: Values;
  readonly id?: unknown;
}

const none: Contents = { isBatch: false, items: [] };

export function contentsOf(org: Org, jobs: BulkJobs, request: SimulatedRequest): Contents {
  if (request.path.startsWith(oauthPath)) return single(itemNamed('token', 'oauth', [readForm(request).get('grant_type') ?? '']));
  const target = readTarget(request.path);
  if (target.is !== 'resource') return none;
  const [resource, first, ...rest] = target.segments;
  if (resource === 'sobjects' && first !== undefined) return sobjects(org, request, first, rest);
  if (resource === 'composite') return first === 'sobjects' ? collection(org, request, rest) : composite(org, jobs, request);
  if (resource === 'query' || resource === 'queryAll') {
    const type = /\bFROM\s+(\w+)/i.exec(request.query.get('q') ?? '')?.[1] ?? '';
    return single(itemNamed('query', type, []));
  }
  return resource === 'jobs' && rest[1] === 'batches' ? bulkRows(org, jobs, request, rest[0] as string) : none;
}

const operationOf: Readonly<Record<string, string>> = { POST: 'create', PATCH: 'update', DELETE: 'delete', GET: 'read' };

function sobjects(org: Org, request: SimulatedRequest, entity: string, [key, value]: readonly string[]): Contents {
  const operation = operationOf[request.method];
  if (operation === undefined) return none;
  const values = objectOf(parseJson(request.text));
  if (key === undefined) return operation === 'create' ? single(itemOf(org, { operation, entity, values })) : none;
  if (key === 'describe') return none;
  if (key === 'updated' || key === 'deleted') return single(itemNamed('poll', entity, []));
  if (value === undefined) return single(itemOf(org, { operation, entity, values, id: key }));
  const isUpsert = operation === 'update' && request.query.get('updateOnly') !== 'true';
  return single(itemOf(org, { operation: isUpsert ? 'upsert' : operation, entity, values: { ...values, [key]: value } }));
}

function collection(org: Org, request: SimulatedRequest, [type, field]: readonly string[]): Contents {
  const body = objectOf(parseJson(request.text));
  if (request.method === 'DELETE') {
    return batch(
      idsIn(request.query.get('ids')).map((id) => itemOf(org, { operation: 'delete', entity: typeOfId(org, id), values: {}, id })),
    );
  }
  if (request.method === 'GET' || (type !== undefined && field === undefined)) {
    const ids = Array.isArray(body['ids']) ? body['ids'].map(String) : idsIn(request.query.get('ids'));
    return batch(ids.map((id) => itemOf(org, { operation: 'read', entity: type ?? '', values: {}, id })));
  }
  const operation = request.method === 'POST' ? 'create' : field === undefined ? 'update' : 'upsert';
  const records = Array.isArray(body['records']) ? body['records'].map(objectOf) : [];
  return batch(
    records.map((values) => {
      const entity = String(objectOf(values['attributes'])['type'] ?? type ?? '');
      return itemOf(org, { operation, entity, values, id: values['id'] ?? values['Id'] });
    }),
  );
}

function composite(org: Org, jobs: BulkJobs, request: SimulatedRequest): Contents {
  const parts = subrequestsIn(objectOf(parseJson(request.text)));
  return batch(parts.flatMap((part) => contentsOf(org, jobs, asRequest(request, part)).items));
}

function bulkRows(org: Org, jobs: BulkJobs, request: SimulatedRequest, jobId: string): Contents {
  const job = jobs.get(readId(jobId) ?? '');
  const parsed = job && parseCsv(request.text, delimiters[job.columnDelimiter] as string);
  if (!job || parsed?.is !== 'parsed') return { isBatch: true, items: [] };
  const operation = job.operation === 'insert' ? 'create' : job.operation === 'hardDelete' ? 'delete' : job.operation;
  return batch(
    parsed.rows.map((row) => {
      const { id, data } = readRow(parsed.header, row);
      return itemOf(org, { operation, entity: job.typeName, values: data, ...(id !== '' && { id }) });
    }),
  );
}

function itemOf(org: Org, { operation, entity, values, id }: Part): SimulatedItem {
  const known = knownValues(org, entity, { values, id });
  const external = org.settings.external_id_fields.flatMap((field) => [values[field], known[field]]);
  const names = [...external, values['Email'], known['Email'], id, known['Id']];
  return itemNamed(operation, entity, names.filter((name) => name !== undefined && name !== null && name !== '').map(String));
}

/** What the row that is meant holds already. */
function knownValues(org: Org, entity: string, { values, id }: { values: Values; id: unknown }): Values {
  const typeName = typeNameOf(org, entity);
  if (typeName === undefined) return {};
  if (id !== undefined) {
    const [row] = matching(org, typeName, 'Id', String(id));
    return row ? { ...row.fields, Id: row.id } : {};
  }
  for (const field of org.settings.external_id_fields) {
    const [row] = values[field] == null ? [] : matching(org, typeName, field, String(values[field]));
    if (row) return { ...row.fields, Id: row.id };
  }
  return {};
}

function itemNamed(operation: string, entity: string, names: readonly string[]): SimulatedItem {
  const [recordId = '', ...aliases] = [...new Set(names)];
  return { operationId: '', operation, entity, recordId, timestamp: '', aliases };
}

function typeOfId({ settings }: Org, id: string): string {
  return Object.keys(settings.objects).find((name) => id.startsWith(settings.objects[name]?.prefix ?? ' ')) ?? '';
}

function idsIn(text: string | null): string[] {
  return text === null || text === '' ? [] : text.split(',').map((part) => part.trim());
}

function single(item: SimulatedItem): Contents {
  return { isBatch: false, items: [item] };
}

function batch(items: readonly SimulatedItem[]): Contents {
  return { isBatch: true, items };
}
