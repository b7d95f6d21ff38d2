/** Which part of the org answers a call below `/services/data/vNN.0`. */
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import type { ApiCall } from './api-call.ts';
import type { BulkJobs } from './bulk-jobs.ts';
import { bulkRoute } from './bulk-routes.ts';
import { deleteCollection, readCollection, upsertCollection, writeCollection } from './collections.ts';
import { composite } from './composite.ts';
import { describeType, listResources, listTypes, typeHead } from './descriptions.ts';
import { typeNameOf } from './org.ts';
import type { QueryRoutes } from './query-routes.ts';
import { deletedRecords, updatedRecords } from './replication.ts';
import { errorReply, errors } from './salesforce-errors.ts';
import { createRecord, recordById, recordByValue } from './single-records.ts';

export interface Parts {
  readonly jobs: BulkJobs;
  readonly queries: QueryRoutes;
  /** Calls used in the running day. */
  readonly used: () => number;
  /** Carries a part of a composite call out. */
  readonly answerPart: (request: SimulatedRequest) => Reply;
}

export function route(call: ApiCall, parts: Parts): Reply {
  const [resource, ...rest] = call.segments;
  const isRead = call.request.method === 'GET';
  switch (resource) {
    case undefined:
      return listResources(call.org, call.version, call.request.baseUrl);
    case 'sobjects':
      return sobjects(call, rest);
    case 'composite':
      return rest[0] === 'sobjects' ? collections(call, rest.slice(1)) : compositeRoute(call, rest, parts);
    case 'query':
    case 'queryAll':
      if (!isRead) return errorReply(errors.wrongMethod);
      return rest[0] === undefined ? parts.queries.run(call, resource === 'queryAll') : parts.queries.more(call, rest[0]);
    case 'jobs':
      return rest[0] === 'ingest' ? bulkRoute(call, parts.jobs, rest.slice(1)) : errorReply(errors.notFound);
    case 'limits':
      return isRead ? limits(call, parts) : errorReply(errors.wrongMethod);
    default:
      return errorReply(errors.notFound);
  }
}

function sobjects(call: ApiCall, [name, key, value, ...rest]: readonly string[]): Reply {
  const { org, request, version } = call;
  if (name === undefined) return listTypes(org, version);
  const typeName = typeNameOf(org, name);
  if (typeName === undefined || rest.length > 0) return errorReply(errors.notFound);
  if (key === undefined) {
    if (request.method === 'POST') return createRecord(call, typeName);
    return request.method === 'GET' ? typeHead(org, typeName, version) : errorReply(errors.wrongMethod);
  }
  if (value !== undefined) return recordByValue(call, typeName, { field: key, value });
  if (key === 'describe') return describeType(org, typeName, version);
  if (key === 'updated') return updatedRecords(call, typeName);
  if (key === 'deleted') return deletedRecords(call, typeName);
  return recordById(call, typeName, key);
}

function collections(call: ApiCall, [name, field]: readonly string[]): Reply {
  const { method } = call.request;
  if (name === undefined) {
    if (method === 'DELETE') return deleteCollection(call);
    return method === 'POST' || method === 'PATCH' ? writeCollection(call) : errorReply(errors.wrongMethod);
  }
  const typeName = typeNameOf(call.org, name);
  // Upserts of many came with version 46.
  if (typeName === undefined || (field !== undefined && call.version < 46)) return errorReply(errors.notFound);
  if (field !== undefined) return method === 'PATCH' ? upsertCollection(call, typeName, field) : errorReply(errors.wrongMethod);
  return method === 'GET' || method === 'POST' ? readCollection(call, typeName) : errorReply(errors.wrongMethod);
}

function compositeRoute(call: ApiCall, rest: readonly string[], { answerPart }: Parts): Reply {
  if (rest.length > 0) return errorReply(errors.notFound);
  return call.request.method === 'POST' ? composite(call, answerPart) : errorReply(errors.wrongMethod);
}

function limits({ org }: ApiCall, { used, jobs }: Parts): Reply {
  const { daily_max } = org.settings;
  const body = {
    DailyApiRequests: { Max: daily_max, Remaining: Math.max(0, daily_max - used()) },
    DailyBulkV2QueryJobs: { Max: 10_000, Remaining: 10_000 },
    DailyBulkApiBatches: { Max: 15_000, Remaining: Math.max(0, 15_000 - jobs.list().length) },
  };
  return { status: 200, body };
}
