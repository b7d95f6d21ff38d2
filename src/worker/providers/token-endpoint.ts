/** Fetches an access token by client credentials (RFC 6749, section 4.4). Same guard, limits and time-outs as every other call. */
import type { AuthConfig } from '../../shared/providers/config.ts';
import type { HttpClient, HttpResult } from './http-call.ts';
import { readRetryAfterMs } from './retry-after.ts';

export type ClientCredentials = Extract<AuthConfig, { type: 'oauth2_client_credentials' }>;

export type Fetched =
  | { readonly status: 'fetched'; readonly value: string; readonly lifeMs: number }
  /** The endpoint says no to our credentials. */
  | { readonly status: 'refused'; readonly message: string }
  | { readonly status: 'unavailable'; readonly message: string; readonly retryAfterMs: number | undefined };

/** Where the answer does not say (`expires_in` is only recommended). */
const defaultLifeMs = 3_600_000;
const maxLifeMs = 31 * 86_400_000;
const always = { mayStart: () => true };

export function fetchToken(client: HttpClient, auth: ClientCredentials, nowMs: () => number): Promise<Fetched> {
  const url = new URL(auth.tokenUrl);
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: auth.clientId, client_secret: auth.clientSecret });
  if (auth.scope !== undefined) form.set('scope', auth.scope);
  const request = {
    method: 'POST',
    path: `${url.pathname}${url.search}`,
    headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json', 'user-agent', 'sluice'],
    body: form.toString(),
    keepBytes: 64 * 1024,
  };
  return new Promise((resolve) => {
    client.start(request, always, (result) => resolve(judge(result, nowMs)));
  });
}

function judge(result: HttpResult, nowMs: () => number): Fetched {
  if (result.status !== 'answered') {
    return unavailable(result.status === 'unsent' ? result.reason : result.message);
  }
  if (result.code >= 200 && result.code < 300) return readToken(result.text) ?? unavailable('the answer holds no usable access token');
  const isRefusal = result.code >= 400 && result.code < 500 && result.code !== 408 && result.code !== 425 && result.code !== 429;
  if (isRefusal) return { status: 'refused', message: `the token endpoint answered ${result.code}${oauthError(result.text)}` };
  return { ...unavailable(`the token endpoint answered ${result.code}`), retryAfterMs: readRetryAfterMs(result.headers, nowMs()) };
}

function unavailable(message: string): Extract<Fetched, { status: 'unavailable' }> {
  return { status: 'unavailable', message, retryAfterMs: undefined };
}

function readToken(text: string): Fetched | undefined {
  const answer = parse(text);
  const value = answer?.['access_token'];
  if (typeof value !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(value)) return undefined;
  const seconds = Number(answer?.['expires_in'] ?? Number.NaN);
  const lifeMs = seconds > 0 ? Math.min(seconds * 1_000, maxLifeMs) : defaultLifeMs;
  return { status: 'fetched', value, lifeMs };
}

/** The `error` of RFC 6749 section 5.2: a word of a known shape, so no secret can hide in it. */
function oauthError(text: string): string {
  const error = parse(text)?.['error'];
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? ` (${error})` : '';
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
