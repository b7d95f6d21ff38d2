/** Asks a token endpoint (RFC 6749, section 5). Same guard, limits and time-outs as every other call. */
import type { HttpClient, HttpResult } from './http-call.ts';
import { listOf, memberOf } from './json-members.ts';
import { createMask, type Mask } from './masking.ts';
import type { CallGuard } from './provider.ts';
import { readRetryAfterMs } from './retry-after.ts';
import type { TokenRequest } from './token-grants.ts';

export type Fetched =
  | {
      readonly status: 'fetched';
      readonly value: string;
      readonly lifeMs: number;
      /** The address of the API that the token is for, where the answer names one (Salesforce); without a slash at its end. */
      readonly instanceUrl: string | undefined;
      /** Takes the place of the one that was sent. Undefined where none came, or the same. */
      readonly refreshToken: string | undefined;
    }
  /** The endpoint says no to our credentials. */
  | { readonly status: 'refused'; readonly message: string }
  | { readonly status: 'unavailable'; readonly message: string; readonly retryAfterMs: number | undefined }
  /** By our own doing; the endpoint knows nothing of it. */
  | { readonly status: 'unsent'; readonly reason: string };

/** Where the answer does not say (`expires_in` is only recommended). */
const defaultLifeMs = 3_600_000;
/** Salesforce never says: its sessions end by a policy, two hours by default, which activity puts off. A 401 tells for sure. */
const instanceLifeMs = 2 * 3_600_000;
const maxLifeMs = 31 * 86_400_000;
const maxDescriptionLength = 200;

/** `client`: for the origin of the request's URL. `secrets`: masked in what is told, besides those of the request. */
export function fetchToken(
  client: HttpClient,
  request: TokenRequest,
  options: { secrets: readonly string[]; guard: CallGuard; nowMs: () => number },
): Promise<Fetched> {
  const url = new URL(request.url);
  const mask = createMask([...request.secrets, ...options.secrets]);
  const written = {
    method: 'POST',
    path: `${url.pathname}${url.search}`,
    headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json', 'user-agent', 'sluice'],
    body: request.form.toString(),
    keepBytes: 64 * 1024,
  };
  return new Promise((resolve) => {
    client.start(written, options.guard, (result) => resolve(judge(result, request, mask, options.nowMs)));
  });
}

function judge(result: HttpResult, request: TokenRequest, mask: Mask, nowMs: () => number): Fetched {
  if (result.status === 'unsent') return result;
  if (result.status !== 'answered') return unavailable(result.message);
  const { code } = result;
  if (code >= 200 && code < 300) return readToken(result.text, request) ?? unavailable('the answer holds no usable access token');
  const fault = readFault(result.text, mask);
  const message = `the token endpoint answered ${code}${fault.text === '' ? '' : ` (${fault.text})`}`;
  const isRefusal = code >= 400 && code < 500 && code !== 408 && code !== 425 && code !== 429 && !passingFaults.has(fault.word);
  if (isRefusal) return { status: 'refused', message };
  return { status: 'unavailable', message, retryAfterMs: readRetryAfterMs(result.headers, nowMs()) };
}

function unavailable(message: string): Fetched {
  return { status: 'unavailable', message, retryAfterMs: undefined };
}

function readToken(text: string, request: TokenRequest): Fetched | undefined {
  const answer = parse(text);
  const value = answer?.['access_token'];
  if (typeof value !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(value)) return undefined;
  const seconds = Number(answer?.['expires_in'] ?? Number.NaN);
  const instanceUrl = readInstanceUrl(answer?.['instance_url'], request.url);
  const unknownLifeMs = instanceUrl === undefined ? defaultLifeMs : instanceLifeMs;
  const lifeMs = seconds > 0 ? Math.min(seconds * 1_000, maxLifeMs) : unknownLifeMs;
  return { status: 'fetched', value, lifeMs, instanceUrl, refreshToken: readRefreshToken(answer?.['refresh_token'], request) };
}

/** One that cannot be an address, or would lead from https to http, is passed over: `base_url` is called then. */
function readInstanceUrl(value: unknown, tokenUrl: string): string | undefined {
  if (typeof value !== 'string' || value.length > 2_048 || !URL.canParse(value)) return undefined;
  const url = new URL(value);
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && tokenUrl.startsWith('http:'));
  if (!isSafe || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined;
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readRefreshToken(value: unknown, { form }: TokenRequest): string | undefined {
  const isToken = typeof value === 'string' && /^[\x20-\x7e]{1,16384}$/.test(value);
  return isToken && form.has('refresh_token') && form.get('refresh_token') !== value ? value : undefined;
}

/** OAuth has them for failures of the endpoint's own, and some answer 400 all the same. */
const passingFaults: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error']);

/**
 * The `error` and `error_description` of RFC 6749 section 5.2, or what takes their place: HubSpot's `status` and `message`, the first of
 * JSON:API's errors. For people: masked, cut, and without control characters.
 */
function readFault(text: string, mask: Mask): { word: string; text: string } {
  const answer = parse(text);
  const first: unknown = listOf(answer, 'errors')[0];
  const word = [answer?.['error'], answer?.['status'], memberOf(first, 'id')].find(isWord) ?? '';
  const description = [answer?.['error_description'], answer?.['message'], memberOf(first, 'detail')].find(isText) ?? '';
  const told = mask
    .apply(description, true)
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
    .slice(0, maxDescriptionLength);
  return { word, text: [mask.apply(word, true), told].filter((part) => part !== '').join(': ') };
}

/** A word of a known shape, which a secret of few characters has as well. */
const isWord = (value: unknown): value is string => typeof value === 'string' && /^[A-Za-z_]{1,40}$/.test(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
