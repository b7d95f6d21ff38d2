/** `/composite`: up to 25 calls in one, in order, later ones with `@{reference.field}` of earlier answers. */
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { type ApiCall, readBody } from './api-call.ts';
import { errorOf, errorReply } from './salesforce-errors.ts';

interface Subrequest {
  readonly method: string;
  readonly url: string;
  readonly referenceId: string;
  readonly body?: unknown;
  readonly httpHeaders?: Readonly<Record<string, string>>;
}

interface Subresponse {
  readonly body: unknown;
  readonly httpHeaders: Readonly<Record<string, string>>;
  readonly httpStatusCode: number;
  readonly referenceId: string;
}

const halted = {
  errorCode: 'PROCESSING_HALTED',
  message: 'The transaction was rolled back since another operation in the same transaction failed.',
};

/** `answer` carries a subrequest out as if it had come alone. */
export function composite(call: ApiCall, answer: (request: SimulatedRequest) => Reply): Reply {
  const body = readBody(call.request);
  if (body.is === 'refused') return body.reply;
  const requests = subrequestsIn(body.data);
  const max = call.org.settings.max_composite;
  if (requests.length === 0) return errorReply(errorOf.badJson('compositeRequest: at least one subrequest is required'));
  if (requests.length > max) return errorReply(errorOf.limit(`The request has ${requests.length} subrequests; at most ${max} are allowed`));
  const isAllOrNone = body.data['allOrNone'] === true;
  const responses: Subresponse[] = [];
  call.org.table.transaction(() => {
    for (const request of requests) responses.push(carryOut(call, request, { answer, earlier: responses }));
    return !(isAllOrNone && responses.some(isFailure));
  });
  const isRolledBack = isAllOrNone && responses.some(isFailure);
  return { status: 200, body: { compositeResponse: isRolledBack ? responses.map(halt) : responses } };
}

/** The parts of a composite call that can be read, for carrying out and for the log. */
export function subrequestsIn(data: Readonly<Record<string, unknown>>): readonly Subrequest[] {
  const given = data['compositeRequest'];
  return Array.isArray(given) ? given.filter((part) => typeof part?.method === 'string' && typeof part?.url === 'string') : [];
}

/** A part as a call of its own with the headers of the whole. */
export function asRequest(whole: SimulatedRequest, { method, url, body, httpHeaders }: Subrequest): SimulatedRequest {
  const { pathname, searchParams } = new URL(url, 'http://org');
  const own = Object.entries(httpHeaders ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  const headers = { ...whole.headers, 'content-type': 'application/json', ...Object.fromEntries(own) };
  return { ...whole, method, path: pathname, query: searchParams, headers, text: body === undefined ? '' : JSON.stringify(body) };
}

function carryOut(
  call: ApiCall,
  part: Subrequest,
  { answer, earlier }: { answer: (request: SimulatedRequest) => Reply; earlier: readonly Subresponse[] },
): Subresponse {
  const fill = (text: string) => text.replace(/@\{(\w+)\.(\w+)\}/g, (whole, id, field) => answerOf(earlier, id, field) ?? whole);
  const filled = JSON.parse(fill(JSON.stringify({ url: part.url, body: part.body ?? null }))) as { url: string; body: unknown };
  const { body: _, ...rest } = part;
  const request = asRequest(call.request, { ...rest, url: filled.url, ...(filled.body !== null && { body: filled.body }) });
  const reply = answer(request);
  return { body: reply.body ?? null, httpHeaders: reply.headers ?? {}, httpStatusCode: reply.status, referenceId: part.referenceId };
}

function answerOf(earlier: readonly Subresponse[], referenceId: string, field: string): string | undefined {
  const body = earlier.find((response) => response.referenceId === referenceId)?.body as Record<string, unknown> | null | undefined;
  const value = body?.[field];
  // Goes into the middle of a JSON text.
  return value === undefined ? undefined : JSON.stringify(String(value)).slice(1, -1);
}

function isFailure({ httpStatusCode }: Subresponse): boolean {
  return httpStatusCode >= 400;
}

function halt(response: Subresponse): Subresponse {
  return isFailure(response) ? response : { ...response, body: [halted], httpHeaders: {}, httpStatusCode: 400 };
}
