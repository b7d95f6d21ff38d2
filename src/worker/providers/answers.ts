/**
 * What the answers of any provider mean, as far as HTTP says it: the one table of statuses, and the one rule of what may have been carried out. A
 * kind gives only its exceptions.
 */
import { findLongIntegers } from '../../shared/domain/long-integers.ts';
import type { ProviderError, ProviderErrorKind } from '../../shared/domain/provider-error.ts';
import type { ProviderErrorCode } from './error-codes.ts';
import type { HttpResult } from './http-call.ts';
import type { CallOutcome } from './provider.ts';

export interface Refusal {
  readonly kind: ProviderErrorKind;
  readonly code: ProviderErrorCode;
}

/** By status. */
export type Refusals = ReadonlyMap<number, Refusal>;

const refusals: Refusals = new Map<number, Refusal>([
  [401, { kind: 'auth', code: 'unauthorized' }],
  [403, { kind: 'auth', code: 'forbidden' }],
  [404, { kind: 'gone', code: 'not_found' }],
  [408, { kind: 'transient', code: 'request_timeout' }],
  [409, { kind: 'conflict', code: 'conflict' }],
  [410, { kind: 'gone', code: 'gone' }],
  [425, { kind: 'transient', code: 'too_early' }],
  [429, { kind: 'rate_limited', code: 'rate_limited' }],
  // A method or a version of HTTP that the server does not know: the same call will never pass.
  [501, { kind: 'invalid', code: 'rejected' }],
  [505, { kind: 'invalid', code: 'rejected' }],
]);
const redirect: Refusal = { kind: 'invalid', code: 'redirect' };
export const rejected: Refusal = { kind: 'invalid', code: 'rejected' };
const failed: Refusal = { kind: 'transient', code: 'provider_error' };
const noExceptions: Refusals = new Map();

/** How a status that is no success refuses. */
export function refusalOfStatus(status: number, exceptions: Refusals = noExceptions): Refusal {
  const known = exceptions.get(status) ?? refusals.get(status);
  if (known) return known;
  if (status >= 500) return failed;
  return status < 400 ? redirect : rejected;
}

/**
 * 501, 503 and 505 say that the request was not taken (RFC 9110, 15.6); the others that a gateway made no connection to the server behind it
 * (Cloudflare's 521, 523, 525, 526 and 530).
 */
const neverTaken: ReadonlySet<number> = new Set([501, 503, 505, 521, 523, 525, 526, 530]);

/** Whether a request so answered may have been carried out all the same: it failed halfway, or what had passed it on gave up waiting. */
export function mayHaveBeenCarriedOut(status: number): boolean {
  return status >= 500 && !neverTaken.has(status);
}

/** With a time to wait, any refusal that may pass holds for the whole provider. */
export function toError(refusal: Refusal, status: number, answer: string, retryAfterMs?: number): ProviderError {
  const mayPass = refusal.kind === 'transient' || refusal.kind === 'rate_limited';
  const isPause = mayPass && retryAfterMs !== undefined;
  return {
    ...(isPause ? { kind: 'rate_limited' as const, code: 'rate_limited', retryAfterMs } : refusal),
    message: `the provider answered ${status}`,
    providerStatus: status,
    ...(answer === '' ? {} : { answer }),
  };
}

/** The outcome of a call without an answer: the same for each of its operations. */
export function outcomeWithoutAnswer(result: Exclude<HttpResult, { status: 'answered' }>): Exclude<CallOutcome, { status: 'accepted' }> {
  if (result.status === 'unsent') return result;
  const { code, message } = result;
  if (result.status === 'lost') return { status: 'failed', error: { kind: 'ambiguous', code, message } };
  return { status: 'failed', error: { kind: code === 'invalid_request' ? 'invalid' : 'transient', code, message } };
}

/** Undefined for what is no JSON. An integer that would be written as another one becomes a text: it is an id, and would lead to another record. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return sixteenDigits.test(text) ? JSON.parse(quoteLongIntegers(text)) : value;
  } catch {
    return undefined;
  }
}

/** Up to 15 digits a double holds any integer, and writes it as it was. */
const sixteenDigits = /\d{16}/;

function quoteLongIntegers(json: string): string {
  let quoted = '';
  let from = 0;
  for (const { digits, start, end } of findLongIntegers(json)) {
    if (String(Number(digits)) === digits) continue;
    quoted += `${json.slice(from, start)}"${digits}"`;
    from = end;
  }
  return quoted + json.slice(from);
}
