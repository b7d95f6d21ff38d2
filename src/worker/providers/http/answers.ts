/** What the answers of a provider of the kind `http` mean. The one table of statuses; batches use it for each record. */
import type { OperationKind } from '../../../shared/domain/operation.ts';
import type { ProviderError, ProviderErrorKind } from '../../../shared/domain/provider-error.ts';
import type { ProviderErrorCode } from '../error-codes.ts';
import type { HttpResult } from '../http-call.ts';
import type { CallOutcome } from '../provider.ts';

export interface Refusal {
  readonly kind: ProviderErrorKind;
  readonly code: ProviderErrorCode;
}

const refusals: Readonly<Record<number, Refusal>> = {
  401: { kind: 'auth', code: 'unauthorized' },
  403: { kind: 'auth', code: 'forbidden' },
  404: { kind: 'gone', code: 'not_found' },
  408: { kind: 'transient', code: 'request_timeout' },
  409: { kind: 'conflict', code: 'conflict' },
  410: { kind: 'gone', code: 'gone' },
  425: { kind: 'transient', code: 'too_early' },
  429: { kind: 'rate_limited', code: 'rate_limited' },
  // Not implemented, HTTP version not supported: the same call will never pass.
  501: { kind: 'invalid', code: 'rejected' },
  505: { kind: 'invalid', code: 'rejected' },
};
const redirect: Refusal = { kind: 'invalid', code: 'redirect' };
const rejected: Refusal = { kind: 'invalid', code: 'rejected' };
const failed: Refusal = { kind: 'transient', code: 'provider_error' };

/** `accepted`, or how the status refuses. What is gone already need not be deleted. */
export function classifyStatus(kind: OperationKind, status: number): 'accepted' | Refusal {
  if (status >= 200 && status < 300) return 'accepted';
  if (status === 404 && kind === 'delete') return 'accepted';
  const known = refusals[status];
  if (known) return known;
  if (status >= 500) return failed;
  return status < 400 ? redirect : rejected;
}

/** For people and for the dead-letter queue: a few kilobytes say what went wrong. */
const maxAnswerLength = 4_096;

/** `answer`: masked. With a time to wait, any refusal that may pass holds for the whole provider. */
export function toError(refusal: Refusal, status: number, answer: string, retryAfterMs?: number): ProviderError {
  const mayPass = refusal.kind === 'transient' || refusal.kind === 'rate_limited';
  const isPause = mayPass && retryAfterMs !== undefined;
  return {
    ...(isPause ? { kind: 'rate_limited' as const, code: 'rate_limited', retryAfterMs } : refusal),
    message: `the provider answered ${status}`,
    providerStatus: status,
    ...(answer === '' ? {} : { answer: answer.slice(0, maxAnswerLength) }),
  };
}

/** The outcome of a call without an answer: the same for each of its operations. */
export function outcomeWithoutAnswer(result: Exclude<HttpResult, { status: 'answered' }>): Exclude<CallOutcome, { status: 'accepted' }> {
  if (result.status === 'unsent') return result;
  const { code, message } = result;
  if (result.status === 'lost') return { status: 'failed', error: { kind: 'ambiguous', code, message } };
  return { status: 'failed', error: { kind: code === 'invalid_request' ? 'invalid' : 'transient', code, message } };
}

const maxIdLength = 255;

/** The `id` of a JSON object, as a text; undefined where there is none that could be kept. */
export function idOf(value: unknown): string | undefined {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : undefined;
  const text = typeof id === 'number' && Number.isFinite(id) ? String(id) : id;
  return typeof text === 'string' && text !== '' && text.length <= maxIdLength ? text : undefined;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** RFC 3339, kept for a run of operations of the same instant. */
export function createTimestampFormatter(): (ms: number) => string | undefined {
  let lastMs = Number.NaN;
  let lastText: string | undefined;
  return (ms) => {
    if (ms === lastMs) return lastText;
    // The range of a date: 100 million days to either side (ECMA-262, 21.4.1.1).
    lastText = Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined;
    lastMs = ms;
    return lastText;
  };
}
