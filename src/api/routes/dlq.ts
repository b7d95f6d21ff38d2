/** The dead-letter queue: look, put back, drop. A key bound to a tenant deals with that tenant's letters only. */
import { z } from '@hono/zod-openapi';
import type { FieldError } from '../../shared/domain/field-error.ts';
import { formatOperationId, parseQueueName } from '../../shared/domain/operation.ts';
import { ProblemError } from '../../shared/domain/problem.ts';
import { isRetryable } from '../../shared/domain/settlement.ts';
import type { DeadLetter, DeadLetterFilter, DeadLetterPart, DeadLetters } from '../../shared/queue/dead-letters.ts';
import type { Caller } from '../api-keys.ts';
import type { KnownProviders } from '../ingest.ts';
import { listAnswer, listSchema, maxCursorLength, maxPage, pageLimit, pageQuery, queryText } from '../pages.ts';
import { type AddRoute, invalid, readObjectBody } from '../route.ts';
import { idParams, placeFor } from './sync.ts';

export interface DlqDeps {
  readonly deadLetters: DeadLetters;
  readonly providers: KnownProviders;
  readonly shards: number;
}

const tag = 'dead letters';
const maxMemberLength = 1_024;
const filterText = queryText(maxMemberLength);
const filterQuery = { provider: filterText, tenant: filterText, code: filterText, record_id: filterText };
interface Filter {
  readonly provider?: string | undefined;
  readonly tenant?: string | undefined;
  readonly code?: string | undefined;
  readonly record_id?: string | undefined;
}

/** A filter as a body: the query's members, with what each may be. */
type FilterBody = Filter & DeadLetterPart;
interface MemberRule {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly isMet: (value: unknown) => boolean;
  readonly message: string;
}
const textMember = (maxLength: number): MemberRule => ({
  schema: { type: 'string', minLength: 1, maxLength },
  isMet: (value) => typeof value === 'string' && value.length >= 1 && value.length <= maxLength,
  message: `expected 1 to ${maxLength} characters`,
});
const limitMember: MemberRule = {
  schema: { type: 'integer', minimum: 1, maximum: maxPage },
  isMet: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= maxPage,
  message: `expected a whole number from 1 to ${maxPage}`,
};
const filterMembers = new Map<string, MemberRule>([
  ...Object.keys(filterQuery).map((name) => [name, textMember(maxMemberLength)] as const),
  ['limit', limitMember],
  ['cursor', textMember(maxCursorLength)],
]);

/** `DELETE /dlq?provider=x` with the body `{}` would else drop every letter there is. */
const noQuery = 'not taken here: the filter belongs into the JSON body';

const filterSchema = {
  type: 'object',
  additionalProperties: false,
  description:
    'All members given must match; `{}` means every dead letter. `limit`: at most so many are put back or dropped, the newest first; without it, all. `cursor`: only those that come after a page of the list, whose `next_cursor` it is.',
  properties: Object.fromEntries([...filterMembers].map(([name, { schema }]) => [name, schema])),
};

const letterSchema = {
  type: 'object',
  properties: {
    operation_id: { type: 'string' },
    operation: { type: 'string' },
    provider: { type: 'string' },
    tenant: { type: 'string' },
    entity: { type: 'string' },
    record_id: { type: 'string' },
    data: { type: 'object', additionalProperties: true },
    timestamp: { type: 'string', format: 'date-time' },
    source: { type: 'string' },
    attempts: { type: 'integer' },
    accepted_at: { type: 'string', format: 'date-time' },
    dead_lettered_at: { type: 'string', format: 'date-time' },
    error: {
      type: 'object',
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        kind: { type: 'string' },
        retryable: { type: 'boolean', description: 'Whether the same call may pass later, as it is; the status says the same.' },
        provider_status: { type: 'integer' },
      },
    },
    provider_answer: { type: 'string', description: 'What the provider said, cut and with secrets masked.' },
  },
};

export function addDlqRoutes(add: AddRoute, deps: DlqDeps): void {
  addReading(add, deps);
  addRetrying(add, deps);
  addDropping(add, deps);
}

function addReading(add: AddRoute, { deadLetters, shards }: DlqDeps): void {
  add(
    {
      method: 'get',
      path: '/dlq',
      summary: 'Dead letters, newest first',
      tag,
      scope: 'read',
      query: z.object({ ...filterQuery, ...pageQuery }),
      answers: { 200: { description: 'A page of dead letters.', schema: listSchema(letterSchema) } },
    },
    async (c, { query, caller }) => {
      const page = await deadLetters.list(scopedFilter(query, caller), { limit: pageLimit(query), cursor: query.cursor });
      if (page.status === 'bad_cursor') throw badCursor();
      return c.json(listAnswer(page.items.map(describeLetter), page.nextCursor));
    },
  );
  add(
    {
      method: 'get',
      path: '/dlq/{operation_id}',
      summary: 'One dead letter',
      tag,
      scope: 'read',
      params: idParams,
      answers: { 200: { description: 'The dead letter.', schema: letterSchema } },
      problems: ['not_found'],
    },
    async (c, { params, caller }) => {
      const letter = await deadLetters.get(placeFor(params.operation_id, caller, shards));
      if (!letter) throw noLetter();
      return c.json(describeLetter(letter));
    },
  );
}

function addRetrying(add: AddRoute, { deadLetters, providers, shards }: DlqDeps): void {
  /** Asks Redis: another process may have just registered or removed it. */
  const isRegistered = async (name: string) => {
    await providers.lookUp(new Set([name]));
    return providers.has(name);
  };
  const retriedSchema = {
    type: 'object',
    properties: { operation_id: { type: 'string' }, status: { const: 'queued' }, status_url: { type: 'string' } },
  };
  const retriedAllSchema = { type: 'object', properties: { requeued: { type: 'integer' }, skipped: { type: 'integer' } } };
  add(
    {
      method: 'post',
      path: '/dlq/retry',
      summary: 'Put all dead letters of a filter back into their queues; those of removed providers stay',
      tag,
      scope: 'admin',
      noQuery,
      body: filterSchema,
      example: { provider: 'demo', limit: 10 },
      answers: {
        202: {
          description: 'How many were put back, and how many were left because their provider is not registered.',
          schema: retriedAllSchema,
        },
      },
    },
    async (c, { caller }) => {
      const part = readFilter(await readObjectBody(c));
      const retried = await deadLetters.retryAll(scopedFilter(part, caller), isRegistered, part);
      if (retried === 'bad_cursor') throw badCursor();
      return c.json(retried, 202);
    },
  );
  add(
    {
      method: 'post',
      path: '/dlq/{operation_id}/retry',
      summary: 'Put a dead letter back into its queue, as a new operation with its old timestamp',
      tag,
      scope: 'admin',
      params: idParams,
      answers: { 202: { description: 'The new operation.', schema: retriedSchema } },
      problems: ['not_found', 'unknown_provider'],
    },
    async (c, { params, caller }) => {
      const place = placeFor(params.operation_id, caller, shards);
      const { provider } = parseQueueName(place.queue);
      if (!(await isRegistered(provider))) {
        if (!(await deadLetters.get(place))) throw noLetter();
        throw new ProblemError('unknown_provider', { detail: `no provider ${provider} is registered: the dead letter stays` });
      }
      const retried = await deadLetters.retry(place);
      if (retried.status === 'not_found') throw noLetter();
      const statusUrl = `/sync/status/${retried.operationId}`;
      return c.json({ operation_id: retried.operationId, status: 'queued', status_url: statusUrl }, 202, { location: statusUrl });
    },
  );
}

function addDropping(add: AddRoute, { deadLetters, shards }: DlqDeps): void {
  add(
    {
      method: 'delete',
      path: '/dlq',
      summary: 'Drop all dead letters of a filter; their operations are cancelled',
      tag,
      scope: 'admin',
      noQuery,
      body: filterSchema,
      example: { provider: 'demo', limit: 10 },
      answers: { 200: { description: 'How many were dropped.', schema: { type: 'object', properties: { deleted: { type: 'integer' } } } } },
    },
    async (c, { caller }) => {
      const part = readFilter(await readObjectBody(c));
      const deleted = await deadLetters.removeAll(scopedFilter(part, caller), part);
      if (deleted === 'bad_cursor') throw badCursor();
      return c.json({ deleted });
    },
  );
  add(
    {
      method: 'delete',
      path: '/dlq/{operation_id}',
      summary: 'Drop a dead letter; its operation is cancelled',
      tag,
      scope: 'admin',
      params: idParams,
      answers: { 204: { description: 'Dropped.' } },
      problems: ['not_found'],
    },
    async (c, { params, caller }) => {
      if (!(await deadLetters.remove(placeFor(params.operation_id, caller, shards)))) throw noLetter();
      return c.body(null, 204);
    },
  );
}

function noLetter(): ProblemError {
  return new ProblemError('not_found', { detail: 'no such dead letter' });
}

function badCursor(): ProblemError {
  return invalid([{ path: 'cursor', message: 'expected the next_cursor of an earlier answer' }]);
}

/** A filter from a body. A member that is not known would silently widen what is retried or dropped: it is refused. */
function readFilter(body: Readonly<Record<string, unknown>>): FilterBody {
  const errors: FieldError[] = [];
  for (const [name, value] of Object.entries(body)) {
    const rule = filterMembers.get(name);
    if (!rule) errors.push({ path: name, message: 'no such member of a filter' });
    else if (!rule.isMet(value)) errors.push({ path: name, message: rule.message });
  }
  if (errors.length > 0) throw invalid(errors);
  return body as FilterBody;
}

function scopedFilter({ provider, tenant, code, record_id: recordId }: Filter, caller: Caller): DeadLetterFilter {
  if (caller.tenant !== undefined && tenant !== undefined && tenant !== caller.tenant) {
    throw new ProblemError('forbidden', { detail: 'the API key is bound to another tenant' });
  }
  return { provider, tenant: caller.tenant ?? tenant, code, recordId };
}

function describeLetter({ operation, attempts, error, deadAtMs }: DeadLetter) {
  return {
    operation_id: formatOperationId(operation.place),
    operation: operation.kind,
    provider: operation.provider,
    tenant: operation.tenant,
    entity: operation.entity,
    record_id: operation.recordId,
    data: operation.dataJson === undefined ? undefined : JSON.parse(operation.dataJson),
    timestamp: new Date(operation.timestampMs).toISOString(),
    source: operation.source,
    attempts,
    accepted_at: new Date(operation.place.ms).toISOString(),
    dead_lettered_at: new Date(deadAtMs).toISOString(),
    error: {
      code: error.code,
      message: error.message,
      kind: error.kind,
      retryable: isRetryable(error),
      provider_status: error.providerStatus,
    },
    provider_answer: error.answer,
  };
}
