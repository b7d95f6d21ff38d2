/**
 * What the HTTP server calls. POST /sync is answered here, on Node's own request and response; everything else goes to the Hono application.
 *
 * The short way is there for its price: in a trial on one core, the same route took 33 µs through Hono with `c.req.json()`, 26 µs through Hono
 * with the body read from Node's stream, and 21 µs without Hono, of the 41 µs that the goal leaves for everything with Redis in it.
 * Both ways share the door, the bounds on bodies and ingest.ts, so they answer alike; a test asks both the same questions.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Problem, problem, problemResponse } from '../shared/domain/problem.ts';
import type { CountRequest } from './app.ts';
import type { Admission, Admit } from './door.ts';
import type { JudgeFault } from './fault.ts';
import { type Ingest, problemReply, type Reply } from './ingest.ts';
import { type BodyCollector, mediaTypeProblem, type StartBody } from './read-json.ts';

export interface ListenerDeps {
  readonly fetch: (request: Request, env: object) => Response | Promise<Response>;
  readonly ingest: Ingest;
  readonly startBody: StartBody;
  readonly admit: Admit;
  readonly judgeFault: JudgeFault;
  readonly requestId: (given: string | undefined) => string;
  readonly countRequest: CountRequest;
  /** Monotonic, ms. */
  readonly now: () => number;
}

export type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** A refused request's body is read on for so long, so that its sender gets to see the answer. */
const drainMs = 500;

export function createListener(deps: ListenerDeps): Listener {
  const viaHono = getRequestListener(deps.fetch as Parameters<typeof getRequestListener>[0], {
    hostname: 'localhost',
    errorHandler: () => problemResponse(problem('bad_request')),
  });
  return (incoming, outgoing) => {
    const isSync = incoming.method === 'POST' && (incoming.url === '/sync' || incoming.url === '/v1/sync');
    if (isSync) answerSync(deps, incoming, outgoing);
    else void viaHono(incoming, outgoing);
  };
}

function answerSync(deps: ListenerDeps, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { headers } = incoming;
  const startedAt = deps.now();
  const requestId = deps.requestId(header(headers['x-request-id']));
  const collector = deps.startBody();
  const send = (reply: Reply) => {
    collector.release();
    deps.countRequest('/sync', 'POST', reply.status, (deps.now() - startedAt) / 1_000);
    write(incoming, outgoing, reply, requestId);
  };
  const fail = (error: unknown) => send(problemReply(deps.judgeFault(error, { requestId, route: '/sync' })));

  const enter = (admission: Admission) => {
    if (admission.status === 'refused') return send(problemReply(admission.problem));
    const early = mediaTypeProblem(headers['content-type'], headers['content-encoding']) ?? collector.announce(headers['content-length']);
    if (early) return send(problemReply(early));
    const idempotencyKey = header(headers['idempotency-key']);
    collect(incoming, collector, (body) => {
      if (!Buffer.isBuffer(body)) return send(problemReply(body));
      deps.ingest({ caller: admission.caller, idempotencyKey, body }).then(send, fail);
    });
  };
  const admission = deps.admit({ authorization: headers.authorization, apiKey: header(headers['x-api-key']) }, 'ingest');
  if (admission instanceof Promise) admission.then(enter).catch(fail);
  else enter(admission);
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Calls back once; never where the connection breaks off before the body's end: nobody is there to be answered. */
function collect(incoming: IncomingMessage, collector: BodyCollector, done: (body: Buffer | Problem) => void): void {
  let isDone = false;
  const end = (body: () => Buffer | Problem) => {
    if (isDone) return;
    isDone = true;
    done(body());
  };
  incoming.on('data', (chunk: Buffer) => {
    const refusal = isDone ? undefined : collector.add(chunk);
    if (refusal) end(() => refusal);
  });
  incoming.on('end', () => end(() => collector.end()));
  incoming.on('error', () => {
    isDone = true;
    collector.release();
  });
}

function write(incoming: IncomingMessage, outgoing: ServerResponse, { status, headers, body }: Reply, requestId: string): void {
  headers['content-length'] = String(Buffer.byteLength(body));
  headers['x-request-id'] = requestId;
  outgoing.writeHead(status, headers);
  outgoing.end(body);
  if (!incoming.complete) drain(incoming);
}

/** Reads on and throws away for a while; closing at once would reset the connection before its sender has read the answer. */
function drain(incoming: IncomingMessage): void {
  const timer = setTimeout(() => incoming.socket.destroy(), drainMs);
  incoming.once('end', () => clearTimeout(timer));
  incoming.once('close', () => clearTimeout(timer));
  incoming.resume();
}
