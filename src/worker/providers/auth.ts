/**
 * What a provider's authentication puts into each call. Fixed credentials are headers made once. An access token is kept here while
 * it lasts, shared with the fleet, and fetched anew a little before its end while calls go on with the old one.
 *
 * A 401 means that the token was withdrawn: it is dropped, once, and its calls are worth repeating with the next one
 * (`token_expired`). If the next one is answered 401 too before anything was accepted, the token is not the trouble: it stays, and
 * calls fail like any other refusal. Without this rule a provider that always answers 401 would be called for ever, for free.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { AuthConfig } from '../../shared/providers/config.ts';
import type { FleetToken, StoredRefreshToken, Token } from './fleet-token.ts';
import type { Fetched } from './token-endpoint.ts';
import type { TokenAuth } from './token-grants.ts';
import { createTokenPublisher } from './token-publisher.ts';

export interface Credentials {
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** Everything in them that must not be shown. */
  readonly secrets: readonly string[];
  /** Undefined for fixed credentials. */
  readonly version: string | undefined;
  /** Where the API is to be called, if that came with them. */
  readonly instanceUrl: string | undefined;
}

export type Obtained =
  | { readonly status: 'obtained'; readonly credentials: Credentials }
  | { readonly status: 'failed'; readonly error: ProviderError }
  /** Our own trouble (Redis, a process that was frozen): nobody is charged. */
  | { readonly status: 'unavailable'; readonly reason: string };

export interface Authentication {
  /** Undefined while there is no valid token: ask `obtain`. */
  current(): Credentials | undefined;
  /** Never rejects, and ends within the token's time-outs. */
  obtain(): Promise<Obtained>;
  /** The provider accepted these credentials. */
  onAccepted(credentials: Credentials): void;
  /** The provider answered 401; the code of the failure. */
  onUnauthorized(credentials: Credentials): 'token_expired' | 'unauthorized';
  /** Ends all waiting; resolves when no new refresh token can be lost any more, or after a quarter of a minute. */
  close(): Promise<void>;
}

export function createFixedAuthentication(auth: Exclude<AuthConfig, TokenAuth>): Authentication {
  // The spread is last: decision 0019.
  const credentials: Credentials = { version: undefined, instanceUrl: undefined, ...fixedHeaders(auth) };
  return {
    current: () => credentials,
    obtain: async () => ({ status: 'obtained', credentials }),
    onAccepted() {},
    onUnauthorized: () => 'unauthorized',
    close: async () => {},
  };
}

function fixedHeaders(auth: Exclude<AuthConfig, TokenAuth>): Pick<Credentials, 'headers' | 'secrets'> {
  if (auth.type === 'none') return { headers: [], secrets: [] };
  if (auth.type === 'bearer') return { headers: ['authorization', `Bearer ${auth.token}`], secrets: [auth.token] };
  if (auth.type === 'api_key') return { headers: [auth.header, auth.value], secrets: [auth.value] };
  const pair = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
  // Without a password the user name is the key.
  return { headers: ['authorization', `Basic ${pair}`], secrets: [auth.password === '' ? auth.username : auth.password, pair] };
}

export interface TokenAuthenticationDeps {
  readonly fleet: FleetToken;
  /** Never rejects. `newestRefreshToken`: undefined where none has taken the configured one's place. `askedAtMs`: when the right to fetch was asked for. */
  readonly fetch: (newestRefreshToken: string | undefined, askedAtMs: number) => Promise<Fetched>;
  /** New refresh tokens may come with access tokens. */
  readonly mayRotate: boolean;
  /** Least time between two requests to the token endpoint, from the whole fleet; 0: none. */
  readonly minIntervalMs: number;
  /** The client secret and whatever else must be masked besides the token. */
  readonly secrets: readonly string[];
  readonly monotonicMs: () => number;
  readonly createVersion: () => string;
}

interface Held {
  readonly credentials: Credentials;
  readonly endsAtMs: number;
  renewAtMs: number;
}

/** How often a process looks whether another one has fetched the token. */
const lookEveryMs = 50;
/** After a refusal by the token endpoint, the credentials are left alone for so long. */
const refusalPauseMs = 60_000;
const unavailablePauseMs = 1_000;
/** While nothing is accepted, a token is dropped for a 401 no more often than this. */
const dropEveryMs = 60_000;
/** Ahead of time there is no hurry: another process may be at it. */
const renewEveryMs = 1_000;
/** Where the token endpoint may be asked only so often, how long one that may not asks nobody. */
const maxLaterPauseMs = 5_000;
/** Fetching takes 10 s at most. */
const maxClosingMs = 15_000;

/** Fetched anew when a fifth of its life is left, at most a minute, or the time of three requests where those may be made only so often. */
const marginOf = (lifeMs: number, minIntervalMs: number) => Math.min(Math.max(60_000, 3 * minIntervalMs), lifeMs / 5);

export function createTokenAuthentication(deps: TokenAuthenticationDeps): Authentication {
  const { fleet, fetch, monotonicMs } = deps;
  const closing = new AbortController();
  const publisher = createTokenPublisher({ fleet, monotonicMs, closing: closing.signal, closingMs: maxClosingMs });
  let held: Held | undefined;
  let refusedVersion = '';
  let mayDropAtMs = Number.NEGATIVE_INFINITY;
  let lastFailure: { obtained: Obtained; untilMs: number } | undefined;
  let underWay: Promise<Obtained> | undefined;

  function hold(token: Token): Credentials {
    const nowMs = monotonicMs();
    const credentials = {
      headers: ['authorization', `Bearer ${token.value}`],
      secrets: [token.value, ...deps.secrets],
      version: token.version,
      instanceUrl: token.instanceUrl,
    };
    // A sixteenth of the margin is for the call's own way.
    held = { credentials, endsAtMs: nowMs + token.lifeMs - token.marginMs / 16, renewAtMs: nowMs + token.lifeMs - token.marginMs };
    return credentials;
  }

  async function obtainOnce(isAhead: boolean): Promise<Obtained> {
    if (publisher.pending()) return { status: 'unavailable', reason: 'the new refresh token is not stored yet' };
    try {
      for (;;) {
        const askedAtMs = monotonicMs();
        const acquired = await fleet.acquire({ refusedVersion, isAhead });
        if (acquired.status === 'token') return { status: 'obtained', credentials: hold(acquired.token) };
        if (acquired.status === 'fetch') return await fetchAndPublish(acquired.refreshToken, askedAtMs);
        // The old token still serves.
        if (isAhead) return { status: 'unavailable', reason: 'the token is fetched by another process, or later' };
        if (acquired.status === 'later') return failUntilLater(acquired.inMs);
        await delay(Math.min(lookEveryMs, acquired.atMostMs + 1), undefined, { signal: closing.signal });
      }
    } catch (error) {
      if (closing.signal.aborted) return { status: 'unavailable', reason: 'closed' };
      return { status: 'unavailable', reason: `the shared token cannot be reached: ${error instanceof Error ? error.message : 'unknown'}` };
    }
  }

  async function fetchAndPublish(stored: StoredRefreshToken, askedAtMs: number): Promise<Obtained> {
    // Whoever closes now need not wait for an answer that could change something.
    if (closing.signal.aborted) {
      await fleet.release().catch(() => {});
      return { status: 'unavailable', reason: 'closed' };
    }
    const fetched = await fetch(stored.value, askedAtMs);
    if (fetched.status !== 'fetched') {
      // If this fails too, the lock expires by itself.
      await fleet.release().catch(() => {});
      return fetched.status === 'unsent' ? { status: 'unavailable', reason: fetched.reason } : fail(fetched);
    }
    const { value, lifeMs, instanceUrl, refreshToken } = fetched;
    const token = { value, version: deps.createVersion(), lifeMs, marginMs: marginOf(lifeMs, deps.minIntervalMs), instanceUrl };
    const credentials = hold(token);
    await publisher.publish(token, refreshToken === undefined ? undefined : { value: refreshToken, before: stored.mark });
    return { status: 'obtained', credentials };
  }

  function failUntilLater(inMs: number): Obtained {
    const message = `the token endpoint may be asked again in ${Math.ceil(inMs / 1_000)} s`;
    const error: ProviderError = { kind: 'transient', code: 'token_unavailable', message, retryAfterMs: inMs };
    const obtained: Obtained = { status: 'failed', error };
    lastFailure = { obtained, untilMs: monotonicMs() + Math.min(inMs, maxLaterPauseMs) };
    return obtained;
  }

  function fail(fetched: Extract<Fetched, { status: 'refused' | 'unavailable' }>): Obtained {
    const isRefused = fetched.status === 'refused';
    const retryAfterMs = isRefused ? refusalPauseMs : (fetched.retryAfterMs ?? unavailablePauseMs);
    const error: ProviderError = isRefused
      ? { kind: 'auth', code: 'credentials_refused', message: fetched.message, retryAfterMs }
      : { kind: 'transient', code: 'token_unavailable', message: fetched.message, retryAfterMs };
    const obtained: Obtained = { status: 'failed', error };
    lastFailure = { obtained, untilMs: monotonicMs() + retryAfterMs };
    return obtained;
  }

  function begin(isAhead: boolean): Promise<Obtained> {
    underWay ??= obtainOnce(isAhead).finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  function current(): Credentials | undefined {
    if (!held) return undefined;
    const nowMs = monotonicMs();
    if (nowMs >= held.endsAtMs) return undefined;
    if (nowMs >= held.renewAtMs && !underWay && !isPausing(nowMs)) {
      held.renewAtMs = nowMs + renewEveryMs;
      void begin(true);
    }
    return held.credentials;
  }

  function isPausing(nowMs: number): boolean {
    return lastFailure !== undefined && nowMs < lastFailure.untilMs;
  }

  return {
    current,
    async obtain() {
      // One that runs ahead of time may give up where this one must not.
      if (underWay) await underWay;
      const credentials = current();
      if (credentials) return { status: 'obtained', credentials };
      if (lastFailure && isPausing(monotonicMs())) return lastFailure.obtained;
      return begin(false);
    },
    onAccepted(credentials) {
      if (held?.credentials === credentials) mayDropAtMs = Number.NEGATIVE_INFINITY;
    },
    onUnauthorized(credentials) {
      // Dropped or replaced meanwhile: the next token is worth a try.
      if (held?.credentials !== credentials) return 'token_expired';
      if (monotonicMs() < mayDropAtMs) return 'unauthorized';
      mayDropAtMs = monotonicMs() + dropEveryMs;
      refusedVersion = credentials.version ?? '';
      held = undefined;
      return 'token_expired';
    },
    async close() {
      closing.abort();
      if (!deps.mayRotate) return;
      const stop = new AbortController();
      const stored = (async () => {
        await underWay;
        await publisher.pending();
      })();
      await Promise.race([stored, delay(maxClosingMs, undefined, { signal: stop.signal }).catch(() => {})]);
      stop.abort();
    },
  };
}
