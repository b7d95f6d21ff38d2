/**
 * POST /sync: from a body to an answer. It knows no web framework, because two fronts share it: the Hono route, and the direct path in
 * listener.ts that the running server takes.
 *
 * All operations of a request are checked first; the good ones then go to the queue in one step. The answer is written as text: building
 * objects only to stringify them would cost as much as the parsing of the request.
 */
import type { Submission, Submit, Submitted } from '../shared/queue/submit.ts';
import type { Caller } from './api-keys.ts';
import { fingerprintOperation, scopeIdempotencyKey } from './idempotency.ts';
import { type InputRules, isObject, type OperationInput, readOperation, textProblem, textRules } from './operation-input.ts';
import { describeProblem, type Problem, type ProblemCode, problem, problemHeaders } from './problem.ts';
import { parseBody } from './read-json.ts';

export const maxOperations = 1_000;

export interface IngestRequest {
  readonly caller: Caller;
  /** The header `Idempotency-Key`. */
  readonly idempotencyKey: string | undefined;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What ingestion must know of providers. */
export interface KnownProviders {
  has(name: string): boolean;
  /** Asks Redis for names that are not known here: another process may have just registered them. Throws Redis errors. */
  lookUp(names: ReadonlySet<string>): Promise<void>;
}

export interface IngestDeps {
  readonly submit: Submit;
  readonly providers: KnownProviders;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
  readonly maxFutureSkewMs: number;
  readonly makeRecordId: () => string;
  /** Told of every operation: what became of it at the door. */
  readonly count: (provider: string | undefined, operation: string | undefined, result: 'accepted' | ProblemCode) => void;
}

export type Ingest = (request: IngestRequest) => Promise<Reply>;

/** Throws what `submit` and `lookUp` throw: then nothing is known to be accepted. */
export function createIngest(deps: IngestDeps): Ingest {
  return async (request) => {
    const parsed = parseBody(request.body);
    if (parsed.status === 'refused') return problemReply(parsed.problem);
    if (Array.isArray(parsed.value)) return ingestMany(deps, request, parsed.value);
    return ingestOne(deps, request, parsed.value);
  };
}

const jsonHeaders = { 'content-type': 'application/json' };

export function problemReply(found: Problem): Reply {
  return { status: found.status, headers: problemHeaders(found), body: JSON.stringify(describeProblem(found)) };
}

function inputRules({ nowMs, maxFutureSkewMs, makeRecordId }: IngestDeps, { caller }: IngestRequest): InputRules {
  return { nowMs: nowMs(), maxFutureSkewMs, makeRecordId, boundTenant: caller.tenant };
}

async function ingestOne(deps: IngestDeps, request: IngestRequest, input: unknown): Promise<Reply> {
  const checked = check(deps, request, input, inputRules(deps, request), request.idempotencyKey);
  if (checked.status === 'unknown_provider') await deps.providers.lookUp(new Set([checked.operation.change.provider]));
  const prepared = settleProvider(deps, checked);
  if (prepared.status === 'refused') {
    countRefused(deps, input, prepared.problem);
    return problemReply(prepared.problem);
  }
  const submission = toSubmission(prepared.operation, request);
  const [submitted] = await deps.submit([submission]);
  const outcome = judge(submitted as Submitted);
  const { provider, kind } = submission.change;
  deps.count(provider, kind, typeof outcome === 'string' ? 'accepted' : outcome.code);
  if (typeof outcome !== 'string') return problemReply(outcome);
  const location = `/sync/status/${(submitted as { operationId: string }).operationId}`;
  return { status: 202, headers: { 'content-type': 'application/json', location }, body: outcome };
}

type Checked =
  | { readonly status: 'valid' | 'unknown_provider'; readonly operation: OperationInput }
  | { readonly status: 'refused'; readonly problem: Problem };

function check(deps: IngestDeps, request: IngestRequest, input: unknown, rules: InputRules, headerKey: string | undefined): Checked {
  const read = readOperation(input, rules);
  if (read.status === 'refused') return read;
  const { operation } = read;
  const keyed = headerKey === undefined ? operation : withHeaderKey(operation, headerKey, request);
  if ('code' in keyed) return { status: 'refused', problem: keyed };
  return { status: deps.providers.has(operation.change.provider) ? 'valid' : 'unknown_provider', operation: keyed };
}

/** The key of the header, where the operation has none; a single operation must not have both if they differ. */
function withHeaderKey(operation: OperationInput, headerKey: string, request: IngestRequest): OperationInput | Problem {
  const message = textProblem(request.idempotencyKey, textRules.idempotency_key.maxLength);
  if (message !== undefined) return problem('invalid', { errors: [{ path: 'Idempotency-Key', message }] });
  if (operation.idempotencyKey === undefined) return { ...operation, idempotencyKey: headerKey };
  if (headerKey !== request.idempotencyKey || operation.idempotencyKey === headerKey) return operation;
  return problem('invalid', { errors: [{ path: 'idempotency_key', message: 'differs from the header Idempotency-Key' }] });
}

/** The second look at a provider, after Redis was asked. */
function settleProvider(deps: IngestDeps, checked: Checked): Checked {
  if (checked.status !== 'unknown_provider' || deps.providers.has(checked.operation.change.provider)) return checked;
  return {
    status: 'refused',
    problem: problem('unknown_provider', { detail: `no provider ${checked.operation.change.provider} is registered` }),
  };
}

function toSubmission(operation: OperationInput, { caller }: IngestRequest): Submission {
  const { change, idempotencyKey, isRecordIdGenerated } = operation;
  if (idempotencyKey === undefined) return { change };
  const key = scopeIdempotencyKey(caller.id, change.tenant, idempotencyKey);
  return { change, idempotency: { key, fingerprint: fingerprintOperation(operation), isRecordIdGenerated } };
}

/** The answer's text, or why there is none. An operation id needs no escaping. */
function judge(submitted: Submitted): string | Problem {
  if (submitted.status !== 'queued') return problem(submitted.status);
  const { operationId, recordId } = submitted;
  return `{"operation_id":"${operationId}","record_id":${JSON.stringify(recordId)},"status":"queued","status_url":"/sync/status/${operationId}"}`;
}

async function ingestMany(deps: IngestDeps, request: IngestRequest, inputs: readonly unknown[]): Promise<Reply> {
  if (inputs.length === 0 || inputs.length > maxOperations) {
    return problemReply(problem('invalid', { errors: [{ path: '', message: `expected 1 to ${maxOperations} operations` }] }));
  }
  const rules = inputRules(deps, request);
  const headerKey = request.idempotencyKey;
  const checked = inputs.map((input, index) =>
    check(deps, request, input, rules, headerKey === undefined ? undefined : `${headerKey}:${index}`),
  );
  const unknown = unknownProviders(checked);
  if (unknown.size > 0) await deps.providers.lookUp(unknown);

  /** By the request's order; the good ones are filled in when they are submitted. */
  const results: string[] = [];
  const good: { index: number; submission: Submission }[] = [];
  for (const [index, each] of checked.entries()) {
    const prepared = settleProvider(deps, each);
    if (prepared.status === 'refused') countRefused(deps, inputs[index], prepared.problem);
    else good.push({ index, submission: toSubmission(prepared.operation, request) });
    results.push(prepared.status === 'refused' ? problemResult(prepared.problem) : '');
  }
  const submitted = good.length === 0 ? [] : await deps.submit(good.map(({ submission }) => submission));
  let accepted = 0;
  for (const [at, { index, submission }] of good.entries()) {
    const outcome = judge(submitted[at] as Submitted);
    const isAccepted = typeof outcome === 'string';
    if (isAccepted) accepted += 1;
    deps.count(submission.change.provider, submission.change.kind, isAccepted ? 'accepted' : outcome.code);
    results[index] = isAccepted ? outcome : problemResult(outcome);
  }
  return manyReply(accepted, results);
}

function unknownProviders(checked: readonly Checked[]): Set<string> {
  const names = new Set<string>();
  for (const each of checked) if (each.status === 'unknown_provider') names.add(each.operation.change.provider);
  return names;
}

function problemResult(found: Problem): string {
  return `{"error":${JSON.stringify(describeProblem(found))}}`;
}

function manyReply(accepted: number, results: readonly string[]): Reply {
  const counts = `"accepted":${accepted},"rejected":${results.length - accepted},"results":[${results.join(',')}]}`;
  if (accepted > 0) return { status: 202, headers: { ...jsonHeaders }, body: `{${counts}` };
  const refusal = problem('invalid', { detail: 'no operation was accepted; results say why' });
  return {
    status: refusal.status,
    headers: problemHeaders(refusal),
    body: `${JSON.stringify(describeProblem(refusal)).slice(0, -1)},${counts}`,
  };
}

/** A refused operation is counted for its provider only where that is registered: labels must stay bounded. */
function countRefused(deps: IngestDeps, input: unknown, { code }: Problem): void {
  const name = isObject(input) ? input['provider'] : undefined;
  deps.count(typeof name === 'string' && deps.providers.has(name) ? name : undefined, undefined, code);
}
