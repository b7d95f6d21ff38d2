/** Puts a provider's authentication together: fixed headers, or a token with its endpoint and its place in the fleet. */
import type { buildConnector } from 'undici';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { type Authentication, createFixedAuthentication, createTokenAuthentication, fingerprintOf } from './auth.ts';
import { createFleetToken } from './fleet-token.ts';
import { createHttpClient } from './http-call.ts';
import { type ClientCredentials, fetchToken } from './token-endpoint.ts';

const tokenTimeoutMs = 10_000;
/** Outlives the fetching it protects. */
const lockMs = tokenTimeoutMs + 5_000;
const maxTokenAnswerBytes = 64 * 1024;

export function createAuthentication(config: ProviderConfig, deps: AdapterDeps, connect: buildConnector.connector): Authentication {
  const { auth } = config;
  if (auth.type !== 'oauth2_client_credentials') return createFixedAuthentication(auth);
  const { redis, keys, sealer, clock, createId } = deps;
  return createTokenAuthentication({
    fleet: createFleetToken(config.name, fingerprintOf(auth), { redis, keys, sealer, owner: createId(), lockMs }),
    fetch: () => fetchOnce(auth, connect, clock),
    secrets: [auth.clientSecret],
    monotonicMs: clock.monotonicMs,
    createVersion: createId,
  });
}

/** Tokens are fetched so rarely that no connection is kept for them. */
async function fetchOnce(auth: ClientCredentials, connect: buildConnector.connector, clock: AdapterDeps['clock']) {
  const client = createHttpClient({
    origin: new URL(auth.tokenUrl).origin,
    connect,
    maxConnections: 1,
    timeoutMs: tokenTimeoutMs,
    maxAnswerBytes: maxTokenAnswerBytes,
    keepFailureBytes: maxTokenAnswerBytes,
    monotonicMs: clock.monotonicMs,
  });
  try {
    return await fetchToken(client, auth, clock.nowMs);
  } finally {
    await client.close();
  }
}
