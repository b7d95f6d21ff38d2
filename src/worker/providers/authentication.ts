/** Puts a provider's authentication together: fixed headers, or a token with its endpoint and its place in the fleet. */
import type { buildConnector } from 'undici';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { type Authentication, createFixedAuthentication, createTokenAuthentication } from './auth.ts';
import { createFleetToken } from './fleet-token.ts';
import { createHttpClient } from './http-call.ts';
import { type Fetched, fetchToken } from './token-endpoint.ts';
import { fingerprintOf, requestFor, secretsOf, type TokenAuth } from './token-grants.ts';

const tokenTimeoutMs = 10_000;
/** Outlives the fetching it protects. */
const lockMs = tokenTimeoutMs + 5_000;
const maxTokenAnswerBytes = 64 * 1024;
/** Outreach answers 429 to a second request for a token within a minute (its OAuth documentation). */
const minIntervalsMs: Readonly<Record<string, number>> = { outreach: 60_000 };

export function createAuthentication(config: ProviderConfig, deps: AdapterDeps, connect: buildConnector.connector): Authentication {
  const { account, kind, auth } = config;
  if (!isTokenAuth(auth)) return createFixedAuthentication(auth);
  const { redis, keys, sealer, clock, createId } = deps;
  const minIntervalMs = Object.hasOwn(minIntervalsMs, kind) ? (minIntervalsMs[kind] as number) : 0;
  const whose = { place: tokenPlaceOf(account, auth), fingerprint: fingerprintOf(auth), minIntervalMs };
  return createTokenAuthentication({
    fleet: createFleetToken(whose, { redis, keys, sealer, owner: createId(), lockMs }),
    fetch: (newestRefreshToken) => fetchOnce(auth, newestRefreshToken, connect, clock),
    mayRotate: auth.type === 'oauth2_refresh_token',
    minIntervalMs,
    secrets: secretsOf(auth),
    monotonicMs: clock.monotonicMs,
    createVersion: createId,
  });
}

function isTokenAuth(auth: ProviderConfig['auth']): auth is TokenAuth {
  return auth.type === 'oauth2_client_credentials' || auth.type === 'oauth2_refresh_token' || auth.type === 'salesforce_jwt';
}

/** Tokens are fetched so rarely that no connection is kept for them. */
async function fetchOnce(
  auth: TokenAuth,
  newestRefreshToken: string | undefined,
  connect: buildConnector.connector,
  clock: AdapterDeps['clock'],
): Promise<Fetched> {
  const granted = await requestFor(auth, newestRefreshToken, clock.nowMs());
  if (granted.status === 'refused') return granted;
  const client = createHttpClient({
    origin: new URL(granted.request.url).origin,
    connect,
    maxConnections: 1,
    timeoutMs: tokenTimeoutMs,
    maxAnswerBytes: maxTokenAnswerBytes,
    keepFailureBytes: maxTokenAnswerBytes,
    monotonicMs: clock.monotonicMs,
  });
  try {
    return await fetchToken(client, granted.request, { secrets: secretsOf(auth), nowMs: clock.nowMs });
  } finally {
    await client.close();
  }
}
