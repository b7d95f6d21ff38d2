/**
 * A provider of the kind `http`, as a receiver that keeps records in memory: the five operations on `/{entity}[/{record_id}]`, the
 * batch form on `/batch`, and `Idempotency-Key`: a call repeated with the key of one that was carried out gets the first answer again
 * and changes nothing.
 */
import { z } from 'zod';
import type { Reply, SimulatedItem, SimulatedProvider, SimulatedRequest } from '../simulated-provider.ts';
import { createRecordStore, problem } from './record-store.ts';

const settingsSchema = z.strictObject({
  /** Whether repeated idempotency keys are recognised. */
  idempotency: z.boolean().default(true),
  create_existing: z.enum(['conflict', 'merge']).default('conflict'),
  update_missing: z.enum(['not_found', 'create']).default('not_found'),
});

const batchSchema = z.object({
  operations: z.array(
    z.object({
      operation_id: z.string(),
      operation: z.enum(['create', 'update', 'upsert', 'delete', 'read']),
      entity: z.string(),
      record_id: z.string(),
      data: z.record(z.string(), z.unknown()).optional(),
      timestamp: z.string(),
    }),
  ),
});

/** Answers remembered by idempotency key; the oldest are forgotten first. */
const maxRememberedAnswers = 100_000;

interface Change extends SimulatedItem {
  readonly data: Readonly<Record<string, unknown>>;
}

type Reading =
  | { readonly is: 'single'; readonly change: Change }
  | { readonly is: 'batch'; readonly changes: readonly Change[] }
  | { readonly is: 'unreadable'; readonly reply: Reply };

export function createHttpProvider(): SimulatedProvider {
  let settings = settingsSchema.parse({});
  const store = createRecordStore(() => settings);
  const answered = new Map<string, Reply>();

  function carryOut(change: Change): Reply {
    const known = settings.idempotency && change.operationId !== '' ? answered.get(change.operationId) : undefined;
    if (known) return known;
    const reply = store.apply(change.operation, change.entity, change.recordId, change.data);
    if (reply.status < 300 && change.operation !== 'read') remember(change.operationId, reply);
    return reply;
  }

  function remember(key: string, reply: Reply): void {
    if (key === '' || !settings.idempotency) return;
    answered.set(key, reply);
    if (answered.size > maxRememberedAnswers) answered.delete(answered.keys().next().value as string);
  }

  return {
    kind: 'http',
    contentsOf(request) {
      const reading = read(request);
      const changes = reading.is === 'single' ? [reading.change] : reading.is === 'batch' ? reading.changes : [];
      return { isBatch: reading.is === 'batch', items: changes.map(({ data: _, ...item }) => item) };
    },
    answer(request, failItem) {
      const reading = read(request);
      if (reading.is === 'unreadable') return reading.reply;
      if (reading.is === 'single') return carryOut(reading.change);
      const results = reading.changes.map((change) => {
        const failure = failItem(change);
        return toResult(failure === undefined ? carryOut(change) : problem(failure.status, 'told to fail'));
      });
      return { status: 200, body: { results } };
    },
    records: (entity) => store.all(entity),
    clear() {
      store.clear();
      answered.clear();
    },
    settings: () => settings,
    change(value) {
      const parsed = settingsSchema.safeParse(value);
      if (!parsed.success) return { status: 'refused', reason: z.prettifyError(parsed.error) };
      settings = parsed.data;
      return { status: 'changed' };
    },
  };
}

function toResult(reply: Reply): Record<string, unknown> {
  const body = (reply.body ?? {}) as { id?: string; error?: string };
  return { status: reply.status, ...(body.id !== undefined && { id: body.id }), ...(body.error !== undefined && { error: body.error }) };
}

const operationOf: Readonly<Record<string, string>> = { POST: 'create', PATCH: 'update', PUT: 'upsert', DELETE: 'delete', GET: 'read' };

function read(request: SimulatedRequest): Reading {
  const body = parseJson(request.text);
  if (request.path === '/batch' && request.method === 'POST') return readBatch(body);
  const operation = operationOf[request.method];
  const segments = decode(request.path);
  const data = (typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {}) as Record<string, unknown>;
  if (operation === undefined) return unreadable(405, 'no such method');
  if (request.text !== '' && data !== body) return unreadable(400, 'the body is not a JSON object');
  const isCreate = operation === 'create';
  if (segments === undefined || segments.length !== (isCreate ? 1 : 2)) return unreadable(404, 'no such path');
  const recordId = isCreate ? data['id'] : segments[1];
  if ((typeof recordId !== 'string' && typeof recordId !== 'number') || recordId === '') return unreadable(422, 'id is missing');
  const head = { operationId: header(request, 'idempotency-key'), timestamp: header(request, 'x-record-timestamp') };
  return { is: 'single', change: { ...head, operation, entity: segments[0] as string, recordId: String(recordId), data } };
}

function readBatch(body: unknown): Reading {
  const parsed = batchSchema.safeParse(body);
  if (!parsed.success) return unreadable(400, z.prettifyError(parsed.error));
  const changes = parsed.data.operations.map((item) => ({
    operationId: item.operation_id,
    operation: item.operation,
    entity: item.entity,
    recordId: item.record_id,
    timestamp: item.timestamp,
    data: item.data ?? {},
  }));
  return { is: 'batch', changes };
}

function unreadable(status: number, message: string): Reading {
  return { is: 'unreadable', reply: problem(status, message) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path's segments, or undefined when one is not properly encoded or empty. */
function decode(path: string): string[] | undefined {
  try {
    const segments = path.slice(1).split('/').map(decodeURIComponent);
    return segments.includes('') ? undefined : segments;
  } catch {
    return undefined;
  }
}

function header(request: SimulatedRequest, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}
