/** Puts a provider's authentication together: fixed headers, or a token with its endpoint and its place in the fleet. */
import type { buildConnector } from 'undici';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { type Authentication, createFixedAuthentication, createTokenAuthentication } from './auth.ts';
import { createFleetToken } from './fleet-token.ts';
import { createHttpClient } from './http-call.ts';
import type { CallGuard } from './provider.ts';
import { type Fetched, fetchToken } from './token-endpoint.ts';
import { fingerprintOf, requestFor, secretsOf, type TokenAuth, type TokenRequest } from './token-grants.ts';

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
    fetch: async (newestRefreshToken, askedAtMs) => {
      const granted = await requestFor(auth, newestRefreshToken, clock.nowMs());
      if (granted.status === 'refused') return granted;
      const options = { secrets: secretsOf(auth), guard: guardOf(askedAtMs, clock.monotonicMs), nowMs: clock.nowMs };
      return fetchOnce(granted.request, options, { connect, monotonicMs: clock.monotonicMs });
    },
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

/**
 * A process that was frozen may have lost its right since: another has fetched, with a refresh token that must not be sent twice. So no call begins
 * that may outlast the right, and none is written whose own time is up.
 */
function guardOf(askedAtMs: number, monotonicMs: () => number): CallGuard {
  const beginsAtMs = monotonicMs();
  const isInTime = beginsAtMs - askedAtMs <= lockMs - tokenTimeoutMs;
  return { mayStart: () => isInTime && monotonicMs() - beginsAtMs < tokenTimeoutMs };
}

/** Tokens are fetched so rarely that no connection is kept for them. */
async function fetchOnce(
  request: TokenRequest,
  options: Parameters<typeof fetchToken>[2],
  { connect, monotonicMs }: { connect: buildConnector.connector; monotonicMs: () => number },
): Promise<Fetched> {
  const client = createHttpClient({
    origin: new URL(request.url).origin,
    connect,
    maxConnections: 1,
    timeoutMs: tokenTimeoutMs,
    maxAnswerBytes: maxTokenAnswerBytes,
    keepFailureBytes: maxTokenAnswerBytes,
    monotonicMs,
  });
  try {
    return await fetchToken(client, request, options);
  } finally {
    await client.close();
  }
}
