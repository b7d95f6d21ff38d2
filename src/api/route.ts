/**
 * How a route is declared: once, for the router, for its key's scope and for the OpenAPI document. Queries and path parameters are checked
 * against their zod schemas; bodies are read by the route itself, within the bounds of read-json.ts.
 */
import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { FieldError } from '../shared/domain/field-error.ts';
import {
  describeProblem,
  type ProblemCode,
  ProblemError,
  problem,
  problemKinds,
  problemResponse,
  problemType,
} from '../shared/domain/problem.ts';
import type { Caller, Scope } from './api-keys.ts';
import type { Admit } from './door.ts';
import { isObject } from './operation-input.ts';
import { toQueryErrors } from './query-errors.ts';
import { type BodyCollector, createStartBody, maxBodyBytes, parseBody, readBytes } from './read-json.ts';

export interface Env {
  Variables: { requestId: string; caller: Caller };
}
export type ApiContext = Context<Env>;
export type ApiApp = OpenAPIHono<Env>;
type Fields = Readonly<Record<string, unknown>>;

/** A router whose refusals of queries and parameters are problems. */
export function createRouter(): ApiApp {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      return result.success ? undefined : problemResponse(problem('invalid', { errors: toQueryErrors(result.error.issues) }));
    },
  });
}

/** For the document only: what is wrong with one is found by the route itself. */
export interface HeaderDeclaration {
  readonly name: string;
  readonly description: string;
  /** A schema as OpenAPI has it. */
  readonly schema: Fields;
}

export interface RouteDeclaration<Q, P> {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  /** Undefined: needs no key. */
  readonly scope?: Scope;
  /** Of a route that has one, parameters that are not named here are refused: a filter that is misspelt must not be no filter. */
  readonly query?: z.ZodObject & z.ZodType<Q>;
  /** Why a route takes no query at all, where callers may expect one: every parameter is refused with this. */
  readonly noQuery?: string;
  readonly params?: z.ZodObject & z.ZodType<P>;
  /** What the route follows besides the headers of every request. */
  readonly headers?: readonly HeaderDeclaration[];
  /** A schema as OpenAPI has it. */
  readonly body?: Fields;
  /** A body that the service takes as it is, as `npm start` sets it up. */
  readonly example?: Fields;
  /** By status; a schema as OpenAPI has it, or the text of a description where there is no JSON. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema?: Fields; readonly mediaType?: string }>>;
  readonly problems?: readonly ProblemCode[];
}

export interface RouteInput<Q, P> {
  readonly query: Q;
  readonly params: P;
  readonly caller: Caller;
}

export type AddRoute = <Q = unknown, P = unknown>(
  declaration: RouteDeclaration<Q, P>,
  answer: (c: ApiContext, input: RouteInput<Q, P>) => Response | Promise<Response>,
) => void;

/** Declares routes on a router; a route with a scope asks the door first. */
export function createAddRoute(router: ApiApp, admit: Admit): AddRoute {
  return (declaration, answer) => {
    const { scope } = declaration;
    const config = createRoute(describeRoute(declaration));
    if (scope !== undefined) {
      router.on(declaration.method.toUpperCase(), config.getRoutingPath(), async (c, next) => {
        const admission = await admit({ authorization: c.req.header('authorization'), apiKey: c.req.header('x-api-key') }, scope);
        if (admission.status === 'refused') return problemResponse(admission.problem);
        c.set('caller', admission.caller);
        return next();
      });
    }
    const handle = (c: ApiContext) => {
      const valid = (part: 'query' | 'param') => c.req.valid(part as never) as never;
      const query = declaration.query ? valid('query') : ({} as never);
      const params = declaration.params ? valid('param') : ({} as never);
      return answer(c, { query, params, caller: c.get('caller') });
    };
    router.openapi(config, handle as never);
  };
}

/** Refuses what is not named. Undefined where a route has nothing to say about queries. */
function strictQuery<Q, P>({ query, noQuery }: RouteDeclaration<Q, P>) {
  if (!query && noQuery === undefined) return undefined;
  const names = Object.keys(query?.shape ?? {}).join(', ');
  const message = noQuery ?? `no such parameter; there ${names.includes(',') ? 'are' : 'is'} ${names}`;
  return z.strictObject(query?.shape ?? {}, { error: ({ code }) => (code === 'unrecognized_keys' ? message : undefined) });
}

function describeRoute<Q, P>(declaration: RouteDeclaration<Q, P>): RouteConfig {
  const { method, path, summary, tag, scope, params, headers = [], body, example } = declaration;
  const query = strictQuery(declaration);
  return {
    method,
    path,
    summary,
    tags: [tag],
    operationId: operationIdOf(method, path),
    parameters: headers.map((header) => ({ in: 'header', ...header })),
    security: scope === undefined ? [] : [{ bearer: [scope] }, { apiKey: [scope] }],
    request: {
      ...(query ? { query } : {}),
      ...(params ? { params } : {}),
      ...(body ? { body: { required: true, content: { 'application/json': { schema: body, example } } } } : {}),
    },
    responses: { ...describeAnswers(declaration), ...describeProblems(declaration) },
  };
}

/** `get /providers/{name}/status` is `get_providers_name_status`. */
function operationIdOf(method: string, path: string): string {
  return [method, ...path.replaceAll(/[{}]/g, '').split('/').filter(Boolean)].join('_').replaceAll(/[^a-z0-9_]/gi, '_');
}

function describeAnswers({ answers }: Pick<RouteDeclaration<unknown, unknown>, 'answers'>): RouteConfig['responses'] {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, schema, mediaType }]) => {
      const content =
        schema || mediaType ? { content: { [mediaType ?? 'application/json']: { schema: schema ?? { type: 'string' as const } } } } : {};
      return [status, { description, ...content }];
    }),
  ) as RouteConfig['responses'];
}

function describeProblems<Q, P>({ scope, headers, body, problems = [], query, noQuery }: RouteDeclaration<Q, P>): RouteConfig['responses'] {
  const codes = new Set<ProblemCode>(problems);
  if (scope !== undefined) for (const code of ['unauthenticated', 'forbidden', 'rate_limited', 'unavailable'] as const) codes.add(code);
  if (body) for (const code of ['malformed_json', 'too_large', 'unsupported_media_type', 'invalid'] as const) codes.add(code);
  if (query || noQuery !== undefined || headers) codes.add('invalid');
  const statuses = new Map<number, ProblemCode[]>();
  for (const code of codes) statuses.set(problemKinds[code].status, [...(statuses.get(problemKinds[code].status) ?? []), code]);
  const schema = { $ref: '#/components/schemas/Problem' };
  return Object.fromEntries(
    [...statuses].map(([status, found]) => [
      status,
      {
        description: found.map((code) => `\`${code}\``).join(', '),
        content: {
          [problemType]: { schema, examples: Object.fromEntries(found.map((code) => [code, { value: describeProblem(problem(code)) }])) },
        },
      },
    ]),
  ) as RouteConfig['responses'];
}

/** A body's bytes. Throws `ProblemError` where it is refused. */
export async function readBodyBytes(c: ApiContext, collector: BodyCollector): Promise<Buffer> {
  const read = await readBytes(
    {
      contentType: c.req.header('content-type'),
      contentEncoding: c.req.header('content-encoding'),
      contentLength: c.req.header('content-length'),
      body: () => c.req.raw.body,
    },
    collector,
  );
  if (read.status === 'refused') throw new ProblemError(read.problem.code, read.problem);
  return read.body;
}

/** A body that is a JSON object. Throws `ProblemError` where it is not. */
export async function readObjectBody(c: ApiContext): Promise<Fields> {
  const startBody = createStartBody({ maxArrayBytes: maxBodyBytes, maxHeldBytes: maxBodyBytes });
  const parsed = parseBody(await readBodyBytes(c, startBody()));
  if (parsed.status === 'refused') throw new ProblemError(parsed.problem.code, parsed.problem);
  if (!isObject(parsed.value)) throw invalid([{ path: '', message: 'expected an object' }]);
  return parsed.value;
}

const maxErrors = 50;
const maxPathLength = 200;

/** A body may have a fault in every few of its bytes: of so many the first are told, with the beginning of where they are. */
export function invalid(errors: readonly FieldError[]): ProblemError {
  const told = errors.slice(0, maxErrors).map(({ path, message }) => ({ path: path.slice(0, maxPathLength), message }));
  return new ProblemError('invalid', { errors: told });
}
