/** POST /sync and GET /sync/status/<id>. */
import { z } from '@hono/zod-openapi';
import { formatOperationId, type Place, parseOperationId, parseQueueName } from '../../shared/domain/operation.ts';
import { autoProvider, parseParentId } from '../../shared/domain/parent-id.ts';
import { ProblemError } from '../../shared/domain/problem.ts';
import type { OperationView, StatusReader } from '../../shared/queue/status.ts';
import type { FinalWaiter } from '../../shared/queue/wait.ts';
import type { Caller } from '../api-keys.ts';
import { type Ingest, maxOperations } from '../ingest.ts';
import type { TellNextAttempt } from '../next-attempt.ts';
import { operationSchema, textRules } from '../operation-input.ts';
import { describeParent, isFinalStatus } from '../parent-status.ts';
import type { StartBody } from '../read-json.ts';
import { type AddRoute, type HeaderDeclaration, readBodyBytes } from '../route.ts';
import { createWaitSignals } from '../wait-signals.ts';

export interface SyncDeps {
  readonly ingest: Ingest;
  readonly startBody: StartBody;
  readonly statusReader: StatusReader;
  readonly tellNextAttempt: TellNextAttempt;
  readonly waiter: FinalWaiter;
  /** Aborts when the process shuts down: nobody waits on then. */
  readonly stopping: AbortSignal;
  readonly shards: number;
}

const maxWaitSeconds = 30;
/** Each holds a connection and a timer. */
const maxWaiting = 10_000;

const idempotencyKeyHeader: HeaderDeclaration = {
  name: 'Idempotency-Key',
  description: 'As `idempotency_key`, for an operation that has none; in an array each has this key with `:` and its index.',
  schema: { type: 'string', minLength: 1, maxLength: textRules.idempotency_key.maxLength },
};

const acceptedSchema = {
  type: 'object',
  required: ['operation_id', 'record_id', 'status', 'status_url'],
  properties: {
    operation_id: { type: 'string' },
    record_id: { type: 'string' },
    status: { const: 'queued' },
    status_url: { type: 'string' },
    operations: {
      type: 'array',
      description: 'Where routes chose (`provider: "auto"`): the operation of each provider.',
      items: {
        type: 'object',
        required: ['provider', 'operation_id'],
        properties: { provider: { type: 'string' }, operation_id: { type: 'string' } },
      },
    },
  },
};

const manySchema = {
  type: 'object',
  required: ['accepted', 'rejected', 'results'],
  properties: {
    accepted: { type: 'integer' },
    rejected: { type: 'integer' },
    results: {
      type: 'array',
      description: 'In the request’s order.',
      items: {
        oneOf: [acceptedSchema, { type: 'object', required: ['error'], properties: { error: { $ref: '#/components/schemas/Problem' } } }],
      },
    },
  },
};

const operationStatusSchema = {
  type: 'object',
  required: ['operation_id', 'status', 'operation', 'provider', 'tenant', 'entity', 'record_id', 'attempts', 'accepted_at'],
  properties: {
    operation_id: { type: 'string' },
    status: {
      enum: ['queued', 'processing', 'retrying', 'succeeded', 'coalesced', 'stale', 'dead_lettered', 'cancelled'],
      description: '`cancelled`: withdrawn by an operator, who dropped its dead letter; `error` says why that was one.',
    },
    operation: { type: 'string' },
    provider: { type: 'string' },
    tenant: { type: 'string' },
    entity: { type: 'string' },
    record_id: { type: 'string' },
    attempts: { type: 'integer' },
    accepted_at: { type: 'string', format: 'date-time' },
    completed_at: { type: 'string', format: 'date-time' },
    next_attempt_at: {
      type: 'string',
      format: 'date-time',
      description:
        'While `retrying`: when the next attempt is due, or later, when the provider’s breaker or pause ends. Left out where it waits for an operator to resume the provider.',
    },
    provider_record_id: { type: 'string' },
    carried_by: { type: 'string' },
    retried_as: { type: 'string' },
    result: {},
    error: {
      type: 'object',
      required: ['code', 'message', 'retryable'],
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        retryable: { type: 'boolean' },
        provider_status: { type: 'integer' },
      },
    },
  },
};

const expiredSchema = {
  type: 'object',
  required: ['operation_id', 'provider', 'status'],
  properties: { operation_id: { type: 'string' }, provider: { type: 'string' }, status: { const: 'expired' } },
};

const statusSchema = {
  ...operationStatusSchema,
  description: 'Of an operation with the provider `auto`, `status` sums up those of its `operations`.',
  properties: {
    ...operationStatusSchema.properties,
    operations: { type: 'array', items: { anyOf: [operationStatusSchema, expiredSchema] } },
  },
};

/** Of any length: a text that is no operation’s id names none, which is 404. */
export const idParams = z.object({ operation_id: z.string() });

const waitQuery = z.object({
  wait: z
    .string()
    .regex(/^[0-9]+(\.[0-9]+)?$/, `expected seconds from 0 to ${maxWaitSeconds}`)
    .refine((text) => Number(text) <= maxWaitSeconds, `expected at most ${maxWaitSeconds}`)
    .optional()
    .openapi({ type: 'number', minimum: 0, maximum: maxWaitSeconds, description: 'Seconds to wait for a final status.' }),
});

export function addSyncRoutes(add: AddRoute, deps: SyncDeps): void {
  add(
    {
      method: 'post',
      path: '/sync',
      summary: 'Submit one operation, or up to 1,000 as an array',
      tag: 'operations',
      scope: 'ingest',
      headers: [idempotencyKeyHeader],
      body: { oneOf: [operationSchema, { type: 'array', minItems: 1, maxItems: maxOperations, items: operationSchema }] },
      example: { operation: 'upsert', provider: 'demo', record_id: 'ada', data: { email: 'ada@example.com', city: 'London' } },
      answers: {
        202: {
          description: 'Redis holds the operation, or those of the array that are good.',
          schema: { oneOf: [acceptedSchema, manySchema] },
        },
      },
      problems: ['unknown_provider', 'no_route', 'timestamp_in_future', 'idempotency_mismatch', 'backlog_full'],
    },
    async (c, { caller }) => {
      const collector = deps.startBody();
      try {
        const body = await readBodyBytes(c, collector);
        const reply = await deps.ingest({ caller, idempotencyKey: c.req.header('idempotency-key'), body });
        return new Response(reply.body, { status: reply.status, headers: reply.headers });
      } finally {
        collector.release();
      }
    },
  );

  let waiting = 0;
  const startWait = createWaitSignals(deps.stopping);
  add(
    {
      method: 'get',
      path: '/sync/status/{operation_id}',
      summary: 'What became of an operation',
      tag: 'operations',
      scope: 'read',
      params: idParams,
      query: waitQuery,
      answers: { 200: { description: 'Its status.', schema: statusSchema } },
      problems: ['not_found'],
    },
    async (c, { params, query, caller }) => {
      const children = parseParentId(params.operation_id)?.filter((place) => isPlaceOf(place, caller, deps.shards));
      const places = children ?? [placeFor(params.operation_id, caller, deps.shards)];
      const waitMs = Number(query.wait ?? 0) * 1_000;
      if (waitMs > 0 && waiting + places.length <= maxWaiting) {
        waiting += places.length;
        const wait = startWait(c.req.raw.signal);
        const options = { timeoutMs: waitMs, signal: wait.signal };
        await Promise.all(places.map((place) => waitForFinal(deps, place, options))).finally(() => {
          wait.release();
          waiting -= places.length;
        });
      }
      const views = await Promise.all(places.map((place) => readView(deps, place)));
      const [view] = views;
      if (!views.some((each) => each !== undefined)) throw forgotten();
      if (children)
        return c.json(
          describeParent(
            params.operation_id,
            autoProvider,
            places.map((place, at) => describeChild(place, views[at])),
          ),
        );
      return c.json(describeOperation(view as OperationView));
    },
  );
}

async function readView({ statusReader, tellNextAttempt }: SyncDeps, place: Place): Promise<OperationView | undefined> {
  const view = await statusReader.read(place);
  return view && tellNextAttempt(view);
}

function forgotten(): ProblemError {
  return new ProblemError('not_found', { detail: 'no such operation, or it finished longer ago than statuses are kept' });
}

function describeChild(place: Place, view: OperationView | undefined) {
  if (view) return describeOperation(view);
  return { operation_id: formatOperationId(place), provider: parseQueueName(place.queue).provider, status: 'expired' as const };
}

/** The place that an operation's id names. Throws `not_found` where it is none of the caller's. */
export function placeFor(operationId: string, caller: Caller, shards: number): Place {
  const place = parseOperationId(operationId);
  if (!place || !isPlaceOf(place, caller, shards)) throw new ProblemError('not_found', { detail: 'no such operation' });
  return place;
}

function isPlaceOf({ shard, queue }: Place, caller: Caller, shards: number): boolean {
  return shard < shards && (caller.tenant === undefined || parseQueueName(queue).tenant === caller.tenant);
}

async function waitForFinal(
  { statusReader, waiter }: SyncDeps,
  place: Place,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  // Also where there is no such operation: nothing will be announced.
  const isFinal = async () => {
    const view = await statusReader.read(place);
    return view === undefined || isFinalStatus(view.status);
  };
  if (await isFinal()) return;
  await waiter.wait(place, { ...options, isFinal });
}

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

export function describeOperation(view: OperationView) {
  const { provider, tenant } = parseQueueName(view.place.queue);
  const { error } = view;
  return {
    operation_id: formatOperationId(view.place),
    status: view.status,
    operation: view.kind,
    provider,
    tenant,
    entity: view.entity,
    record_id: view.recordId,
    attempts: view.attempts,
    accepted_at: iso(view.acceptedAtMs),
    completed_at: iso(view.completedAtMs),
    next_attempt_at: iso(view.nextAttemptAtMs),
    provider_record_id: view.providerRecordId,
    carried_by: view.carriedBy,
    retried_as: view.retriedAs,
    result: view.result,
    error: error && { code: error.code, message: error.message, retryable: error.retryable, provider_status: error.providerStatus },
  };
}
