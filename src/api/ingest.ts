/**
 * POST /sync: from a body to an answer. It knows no web framework, because two fronts share it: the Hono route, and the direct path in
 * listener.ts that the running server takes.
 *
 * All operations of a request are checked first; the good ones then go to the queue in one step. The answer is written as text: building
 * objects only to stringify them would cost as much as the parsing of the request.
 */
import { type Place, parseOperationId } from '../shared/domain/operation.ts';
import { autoProvider, formatParentId } from '../shared/domain/parent-id.ts';
import { describeProblem, type Problem, type ProblemCode, problem, problemHeaders } from '../shared/domain/problem.ts';
import type { Submission, Submit, Submitted } from '../shared/queue/submit.ts';
import type { Caller } from './api-keys.ts';
import type { AutoOperation, Routed, RouteOperations } from './auto-routing.ts';
import { createIsExact } from './exact-numbers.ts';
import { faultCode } from './fault.ts';
import { fingerprintOperation, scopeIdempotencyKey } from './idempotency.ts';
import { createInTurn } from './in-turn.ts';
import { type InputRules, isObject, kindOf, type OperationInput, readOperation, textProblem, textRules } from './operation-input.ts';
import { parseBody } from './read-json.ts';

export const maxOperations = 1_000;
/** From this size on, bodies have turns: several arrays of 500 at once keep two calls to Redis under way while others are parsed. */
const largeBytes = 16_384;
const largeBodies = { maxBytes: 655_360, maxWaitMs: 2_000, now: () => performance.now() };

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
  /** For operations addressed to `auto`. */
  readonly route: RouteOperations;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
  readonly maxFutureSkewMs: number;
  readonly makeRecordId: () => string;
  /** Told of every operation: what became of it at the door. */
  readonly count: (provider: string | undefined, operation: string | undefined, result: 'accepted' | ProblemCode) => void;
}

export type Ingest = (request: IngestRequest) => Promise<Reply>;

/** Throws what `submit` and `lookUp` throw: then nothing is known to be accepted. What failed of a request in part has its own problem. */
export function createIngest(deps: IngestDeps): Ingest {
  const inTurn = createInTurn(largeBodies);
  return (request) => {
    const { length } = request.body;
    return length < largeBytes ? ingestBody(deps, request) : inTurn(length, () => ingestBody(deps, request));
  };
}

async function ingestBody(deps: IngestDeps, request: IngestRequest): Promise<Reply> {
  const parsed = parseBody(request.body);
  if (parsed.status === 'refused') return problemReply(parsed.problem);
  const { value } = parsed;
  try {
    return Array.isArray(value) ? await ingestMany(deps, request, value) : await ingestOne(deps, request, value);
  } catch (error) {
    for (const input of Array.isArray(value) ? value : [value]) countRefused(deps, input, { code: faultCode(error) });
    throw error;
  }
}

const jsonHeaders = { 'content-type': 'application/json' };

export function problemReply(found: Problem): Reply {
  return { status: found.status, headers: problemHeaders(found), body: JSON.stringify(describeProblem(found)) };
}

function inputRules({ nowMs, maxFutureSkewMs, makeRecordId }: IngestDeps, { caller, body }: IngestRequest): InputRules {
  return { nowMs: nowMs(), maxFutureSkewMs, makeRecordId, boundTenant: caller.tenant, isExact: createIsExact(body) };
}

async function ingestOne(deps: IngestDeps, request: IngestRequest, input: unknown): Promise<Reply> {
  const checked = check(deps, request, input, inputRules(deps, request), request.idempotencyKey);
  if (checked.status === 'auto') return ingestRouted(deps, request, input, checked.operation);
  if (checked.status === 'unknown_provider') await deps.providers.lookUp(new Set([checked.operation.change.provider]));
  const prepared = settleProvider(deps, checked);
  if (prepared.status === 'refused') {
    countRefused(deps, input, prepared.problem);
    return problemReply(prepared.problem);
  }
  const submission = toSubmission(prepared.operation, request);
  const [submitted] = await deps.submit([submission]);
  const outcome = judgeOne(deps, submission, submitted as Submitted);
  if (typeof outcome !== 'string') return problemReply(outcome);
  return acceptedReply((submitted as { operationId: string }).operationId, outcome);
}

async function ingestRouted(deps: IngestDeps, request: IngestRequest, input: unknown, operation: OperationInput): Promise<Reply> {
  const [routed] = await deps.route([toAutoOperation(operation, input, request)]);
  if (routed?.status !== 'routed') {
    const found = (routed as Routed & { status: 'refused' }).problem;
    countRefused(deps, input, found);
    return problemReply(found);
  }
  const outcome = judgeChildren(deps, routed.submissions, await deps.submit(routed.submissions));
  return 'code' in outcome ? problemReply(outcome) : acceptedReply(outcome.operationId, outcome.text);
}

function acceptedReply(operationId: string, body: string): Reply {
  return { status: 202, headers: { 'content-type': 'application/json', location: `/sync/status/${operationId}` }, body };
}

type Checked =
  | { readonly status: 'valid' | 'auto' | 'unknown_provider'; readonly operation: OperationInput }
  | { readonly status: 'refused'; readonly problem: Problem };

function check(deps: IngestDeps, request: IngestRequest, input: unknown, rules: InputRules, headerKey: string | undefined): Checked {
  const read = readOperation(input, rules);
  if (read.status === 'refused') return read;
  const { operation } = read;
  const keyed = headerKey === undefined ? operation : withHeaderKey(operation, headerKey, request);
  if ('code' in keyed) return { status: 'refused', problem: keyed };
  const { provider } = operation.change;
  if (provider === autoProvider) return { status: 'auto', operation: keyed };
  return { status: deps.providers.has(provider) ? 'valid' : 'unknown_provider', operation: keyed };
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

function toSubmission(operation: OperationInput, request: IngestRequest): Submission {
  const key = scopedKey(operation, request);
  if (key === undefined) return { change: operation.change };
  const { change, isRecordIdGenerated } = operation;
  return { change, idempotency: { key, fingerprint: fingerprintOperation(operation), isRecordIdGenerated } };
}

/** `input` has been checked: its data is an object or is not there. */
function toAutoOperation(operation: OperationInput, input: unknown, request: IngestRequest): AutoOperation {
  const { data } = input as { data?: Readonly<Record<string, unknown>> };
  return { operation, data, idempotencyKey: scopedKey(operation, request) };
}

function scopedKey({ change, idempotencyKey }: OperationInput, { caller }: IngestRequest): string | undefined {
  return idempotencyKey === undefined ? undefined : scopeIdempotencyKey(caller.id, change.tenant, idempotencyKey);
}

/** The answer's text, or why there is none. An operation id needs no escaping. */
function judge(submitted: Submitted): string | Problem {
  if (submitted.status !== 'queued') return problem(submitted.status);
  const { operationId, recordId } = submitted;
  return `{"operation_id":"${operationId}","record_id":${JSON.stringify(recordId)},"status":"queued","status_url":"/sync/status/${operationId}"}`;
}

/** What became of an operation that went to several providers: the parent's id with the answer's text, or why there is none. */
function judgeChildren(
  deps: IngestDeps,
  submissions: readonly Submission[],
  submitted: readonly Submitted[],
): { readonly operationId: string; readonly text: string } | Problem {
  const places: Place[] = [];
  const children: string[] = [];
  const left: string[] = [];
  let refusal: Problem | undefined;
  for (const [at, { change }] of submissions.entries()) {
    const each = submitted[at] as Submitted;
    deps.count(change.provider, change.kind, each.status === 'queued' ? 'accepted' : each.status);
    if (each.status === 'queued') {
      places.push(parseOperationId(each.operationId) as Place);
      children.push(`{"provider":"${change.provider}","operation_id":"${each.operationId}"}`);
    } else {
      refusal ??= problem(each.status);
      left.push(change.provider);
    }
  }
  if (refusal) {
    if (places.length === 0) return refusal;
    return { ...refusal, detail: `not accepted for ${left.join(', ')}, but for the others; the same idempotency key adds what is missing` };
  }
  const operationId = formatParentId(places);
  const recordId = JSON.stringify(submissions[0]?.change.recordId);
  const text = `{"operation_id":"${operationId}","record_id":${recordId},"status":"queued","status_url":"/sync/status/${operationId}","operations":[${children.join(',')}]}`;
  return { operationId, text };
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
  const routed = checked.some(({ status }) => status === 'auto') ? await routeAll(deps, request, inputs, checked) : undefined;

  /** By the request's order; the good ones are filled in when they are submitted. */
  const results: string[] = [];
  const refusals: { index: number; problem: Problem }[] = [];
  const submissions: Submission[] = [];
  /** Where the submissions of each good operation begin; routes may have made several of one. */
  const good: { index: number; from: number; isRouted: boolean }[] = [];
  for (const [index, each] of checked.entries()) {
    const prepared = routed?.get(index) ?? settleProvider(deps, each);
    results.push(prepared.status === 'refused' ? problemResult(prepared.problem) : '');
    if (prepared.status === 'refused') {
      refusals.push({ index, problem: prepared.problem });
      continue;
    }
    good.push({ index, from: submissions.length, isRouted: prepared.status === 'routed' });
    if (prepared.status === 'routed') submissions.push(...prepared.submissions);
    else submissions.push(toSubmission(prepared.operation, request));
  }
  const submitted = submissions.length === 0 ? [] : await deps.submit(submissions);
  for (const refusal of refusals) countRefused(deps, inputs[refusal.index], refusal.problem);
  let accepted = 0;
  let isAnyUnavailable = false;
  for (const [at, { index, from, isRouted }] of good.entries()) {
    const outcome = isRouted
      ? judgeRouted(deps, submissions, submitted, from, good[at + 1]?.from)
      : judgeOne(deps, submissions[from] as Submission, submitted[from] as Submitted);
    if (typeof outcome === 'string') accepted += 1;
    else if (outcome.code === 'unavailable') isAnyUnavailable = true;
    results[index] = typeof outcome === 'string' ? outcome : problemResult(outcome);
  }
  return manyReply(accepted, results, isAnyUnavailable);
}

function judgeOne({ count }: IngestDeps, { change }: Submission, submitted: Submitted): string | Problem {
  const outcome = judge(submitted);
  count(change.provider, change.kind, typeof outcome === 'string' ? 'accepted' : outcome.code);
  return outcome;
}

function judgeRouted(
  deps: IngestDeps,
  submissions: readonly Submission[],
  submitted: readonly Submitted[],
  from: number,
  to: number | undefined,
): string | Problem {
  const outcome = judgeChildren(deps, submissions.slice(from, to), submitted.slice(from, to));
  return 'code' in outcome ? outcome : outcome.text;
}

/** By index in the request. */
async function routeAll(
  deps: IngestDeps,
  request: IngestRequest,
  inputs: readonly unknown[],
  checked: readonly Checked[],
): Promise<ReadonlyMap<number, Routed>> {
  const indexes: number[] = [];
  const operations: AutoOperation[] = [];
  for (const [index, each] of checked.entries()) {
    if (each.status !== 'auto') continue;
    indexes.push(index);
    operations.push(toAutoOperation(each.operation, inputs[index], request));
  }
  const routed = await deps.route(operations);
  return new Map(indexes.map((index, at) => [index, routed[at] as Routed]));
}

function unknownProviders(checked: readonly Checked[]): Set<string> {
  const names = new Set<string>();
  for (const each of checked) if (each.status === 'unknown_provider') names.add(each.operation.change.provider);
  return names;
}

function problemResult(found: Problem): string {
  return `{"error":${JSON.stringify(describeProblem(found))}}`;
}

/** Where nothing was accepted as a whole, what Redis failed for is to be sent again, and so is all of it. */
function manyReply(accepted: number, results: readonly string[], isAnyUnavailable: boolean): Reply {
  const counts = `"accepted":${accepted},"rejected":${results.length - accepted},"results":[${results.join(',')}]}`;
  if (accepted > 0) return { status: 202, headers: { ...jsonHeaders }, body: `{${counts}` };
  const refusal = problem(isAnyUnavailable ? 'unavailable' : 'invalid', {
    detail: 'no operation was accepted as a whole; results say why',
  });
  return {
    status: refusal.status,
    headers: problemHeaders(refusal),
    body: `${JSON.stringify(describeProblem(refusal)).slice(0, -1)},${counts}`,
  };
}

/** A refused operation is counted for its provider and its kind only where those are known: labels must stay bounded. */
function countRefused(deps: IngestDeps, input: unknown, { code }: Pick<Problem, 'code'>): void {
  const { provider: name, operation } = isObject(input) ? input : {};
  deps.count(typeof name === 'string' && deps.providers.has(name) ? name : undefined, kindOf(operation), code);
}
