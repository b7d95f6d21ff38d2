/**
 * Errors as callers see them: RFC 9457 problem details with a stable `code`. One table has every code with its status and title; the
 * documentation of the codes is compared with it by a test. A problem shows what the caller can act on, never a stack, a secret or a path.
 */
import type { FieldError } from './field-error.ts';

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Seconds after which a repetition makes sense. */
  readonly retryAfterSeconds?: number;
}

export const problemKinds = {
  bad_request: { status: 400, title: 'The request is not proper HTTP' },
  malformed_json: { status: 400, title: 'The body is not JSON' },
  unauthenticated: { status: 401, title: 'A valid API key is needed' },
  forbidden: { status: 403, title: 'The API key does not allow this' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'The route does not know this method' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'The present state does not allow this' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be plain application/json in UTF-8' },
  expectation_failed: { status: 417, title: 'The request expects what this server does not do' },
  invalid: { status: 422, title: 'The request is not valid' },
  unknown_provider: { status: 422, title: 'No provider of this name is registered' },
  no_route: { status: 422, title: 'No route chooses a provider for this operation' },
  timestamp_in_future: { status: 422, title: 'The timestamp is too far in the future' },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used for another operation' },
  rate_limited: { status: 429, title: 'Too many requests with this API key', retryAfterSeconds: 1 },
  backlog_full: { status: 429, title: 'The provider has too many operations waiting', retryAfterSeconds: 5 },
  headers_too_large: { status: 431, title: 'The request’s headers are too large' },
  internal: { status: 500, title: 'A fault of ours' },
  unavailable: { status: 503, title: 'Not possible now; try again', retryAfterSeconds: 1 },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;

export interface Problem {
  readonly code: ProblemCode;
  readonly status: number;
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly retryAfterSeconds?: number;
}

type Details = Partial<Pick<Problem, 'status' | 'detail' | 'errors' | 'retryAfterSeconds'>>;

export function problem(code: ProblemCode, details: Details = {}): Problem {
  const kind: ProblemKind = problemKinds[code];
  const retry = kind.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: kind.retryAfterSeconds };
  return { code, status: kind.status, ...retry, ...details };
}

/** The members of the JSON body. */
export function describeProblem({ code, status, detail, errors }: Problem) {
  return {
    type: `urn:sluice:problem:${code}`,
    title: problemKinds[code].title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors }),
  };
}

export const problemType = 'application/problem+json';

export function problemHeaders({ code, retryAfterSeconds }: Problem): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': problemType };
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterSeconds)));
  if (code === 'unauthenticated') headers['www-authenticate'] = 'Bearer';
  return headers;
}

export function problemResponse(found: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(describeProblem(found)), { status: found.status, headers: { ...problemHeaders(found), ...headers } });
}

/** Thrown inside a route to answer with a problem. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(code: ProblemCode, details: Details = {}) {
    super(details.detail ?? problemKinds[code].title);
    this.name = 'ProblemError';
    this.problem = problem(code, details);
  }
}
