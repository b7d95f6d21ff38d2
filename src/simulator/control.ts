/**
 * The control routes of a simulated provider, below `/_control`:
 *   GET, DELETE  /            counts, faults, limit and settings; resets everything
 *   GET, DELETE  /calls       the log: `?after=<index>&limit=<n>`; `PUT {"keep": n}` says how many calls it holds in full
 *   GET, DELETE  /records     what it holds: `?entity=`
 *   GET, PUT     /faults      see faults.ts; PUT replaces them all
 *   GET, PUT     /limits      {"requests", "per_ms"}, or null for none
 *   GET, PUT     /settings    the kind's own; what a PUT does not name has its default
 *   PATCH        /settings    changes what it names
 *   POST         /tokens/expire   access tokens given out so far are refused from now on
 *   GET          /webhooks    what it sent or is sending
 * A body that is not JSON is answered with 400, one that says something else with 422; nothing is changed then.
 */
import { z } from 'zod';
import type { LoggedCall } from './call-log.ts';
import { faultsSchema } from './faults.ts';
import type { Reply, SimulatedRequest } from './simulated-provider.ts';
import type { Simulator } from './simulator.ts';

const limitsSchema = z.strictObject({ requests: z.int().min(1).max(1_000_000), per_ms: z.number().min(1) }).nullable();
const keepSchema = z.strictObject({ keep: z.int().min(0).max(1_000_000) });

type Route = (simulator: Simulator, request: SimulatedRequest) => Reply;

const done: Reply = { status: 204 };

const routes: Readonly<Record<string, Route>> = {
  'GET /': (simulator) => ok(describe(simulator)),
  'DELETE /': (simulator) => {
    simulator.reset();
    return done;
  },
  'GET /calls': (simulator, { query }) => {
    const calls = simulator.log.list(Number(query.get('after') ?? -1), Number(query.get('limit') ?? 10_000));
    return ok({ ...simulator.log.counts(), items: calls.map(callToWire) });
  },
  'PUT /calls': (simulator, request) => withBody(keepSchema, request, ({ keep }) => simulator.log.keep(keep)),
  'DELETE /calls': (simulator) => {
    simulator.log.clear();
    return done;
  },
  'GET /records': (simulator, { query }) => {
    const records = simulator.provider.records(query.get('entity') ?? undefined);
    return ok({ count: Object.keys(records).length, records });
  },
  'DELETE /records': (simulator) => {
    simulator.provider.clear();
    return done;
  },
  'GET /faults': (simulator) => ok(simulator.faults()),
  'PUT /faults': (simulator, request) => withBody(faultsSchema, request, (faults) => simulator.setFaults(faults)),
  'GET /limits': (simulator) => ok(describeLimit(simulator)),
  'PUT /limits': (simulator, request) => withBody(limitsSchema, request, (limit) => simulator.setLimit(limit ?? undefined)),
  'GET /settings': (simulator) => ok(simulator.provider.settings()),
  'PUT /settings': (simulator, request) => withJson(request, (settings) => changeSettings(simulator, settings)),
  'PATCH /settings': (simulator, request) =>
    withJson(request, (changes) => {
      if (typeof changes !== 'object' || changes === null) return { status: 422, body: { error: 'expected an object' } };
      return changeSettings(simulator, { ...(simulator.provider.settings() as object), ...changes });
    }),
  'POST /tokens/expire': ({ provider }) => {
    if (!provider.expireTokens) return { status: 404, body: { error: 'this kind gives out no tokens' } };
    provider.expireTokens();
    return done;
  },
  'GET /webhooks': ({ provider }) => ok({ items: provider.webhooks?.() ?? [] }),
};

/** Answers a request whose path is given below `/_control`. */
export function control(simulator: Simulator, request: SimulatedRequest): Reply {
  const path = request.path === '' ? '/' : request.path;
  const route = routes[`${request.method} ${path}`];
  return route ? route(simulator, request) : { status: 404, body: { error: 'no such control route' } };
}

function ok(body: unknown): Reply {
  return { status: 200, body };
}

function changeSettings({ provider }: Simulator, settings: unknown): Reply {
  const outcome = provider.change(settings);
  return outcome.status === 'changed' ? done : { status: 422, body: { error: outcome.reason } };
}

function describe(simulator: Simulator) {
  const { kind } = simulator.provider;
  const counts = simulator.log.counts();
  return { kind, ...counts, faults: simulator.faults(), limits: describeLimit(simulator), settings: simulator.provider.settings() };
}

function describeLimit(simulator: Simulator) {
  const limit = simulator.limit();
  return limit ? { requests: limit.requests, per_ms: limit.perMs } : null;
}

function callToWire(call: LoggedCall) {
  const items = call.items.map((item) => ({
    operation_id: item.operationId,
    operation: item.operation,
    entity: item.entity,
    record_id: item.recordId,
    timestamp: item.timestamp,
  }));
  return {
    index: call.index,
    arrived_at_ms: call.arrivedAtMs,
    ended_at_ms: call.endedAtMs ?? null,
    method: call.method,
    path: call.path,
    query: call.query,
    status: call.status ?? null,
    headers: call.headers,
    body: call.body,
    items,
  };
}

function withBody<T>(schema: z.ZodType<T>, request: SimulatedRequest, use: (value: T) => void): Reply {
  return withJson(request, (value) => {
    const parsed = schema.safeParse(value);
    if (!parsed.success) return { status: 422, body: { error: z.prettifyError(parsed.error) } };
    use(parsed.data);
    return done;
  });
}

function withJson({ text }: SimulatedRequest, answer: (value: unknown) => Reply): Reply {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { status: 400, body: { error: `the body is not JSON: ${(error as SyntaxError).message}` } };
  }
  return answer(value);
}
