/** HubSpot's tokens: static ones, and those that its token endpoint gives for a refresh token or a code. Refresh tokens do not change. */
import { createAccessTokens } from '../access-tokens.ts';
import { randomHex, randomUuid } from '../random-ids.ts';
import { bearerOf } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { toReply } from './errors.ts';
import type { Author } from './object-store.ts';
import type { HubspotSettings } from './settings.ts';

/** Who calls: `app` is what limits are kept by. */
export interface Caller {
  readonly app: string;
  readonly isStatic: boolean;
  readonly author: Author;
}

export type Authentication = { readonly is: 'valid'; readonly caller: Caller } | { readonly is: 'refused'; readonly reply: Reply };

export interface HubspotTokens {
  authenticate(request: SimulatedRequest): Authentication;
  /** The token endpoint. */
  answer(request: SimulatedRequest): Reply;
  expireAll(): void;
  forgetAll(): void;
  /** A refusal of the token endpoint, in its form. */
  refuse(status: number): Reply;
}

interface TokenDeps {
  readonly now: () => number;
  readonly random: () => number;
  readonly idsFrom: number;
  readonly settings: () => HubspotSettings;
}

export function isTokenCall({ path }: SimulatedRequest): boolean {
  return /^\/oauth\/(?:v[1-9]|\d{4}-\d{2})\/token$/.test(path);
}

export function createHubspotTokens({ now, random, idsFrom, settings }: TokenDeps): HubspotTokens {
  const tokens = createAccessTokens({ now, idsFrom }, 'hubspot-access-');
  const issuedRefreshTokens = new Set<string>();

  function refuse(category: string, message: string, context?: Record<string, readonly string[]>): Authentication {
    return { is: 'refused', reply: toReply({ status: 401, category, message, ...(context && { context }) }, random) };
  }

  function expired(atMs: number): Authentication {
    const seconds = Math.max(0, Math.floor((now() - atMs) / 1_000));
    const message = `The OAuth token used to make this call expired ${seconds} second(s) ago.`;
    return refuse('EXPIRED_AUTHENTICATION', message, { 'expire time': [new Date(Math.floor(atMs)).toISOString()] });
  }

  function refuseGrant(form: URLSearchParams): Reply | undefined {
    const { client_id, client_secret, refresh_tokens } = settings();
    if (!isAccepted(form.get('client_id'), client_id)) return tokenError('BAD_CLIENT_ID', 'invalid_client', 'missing or unknown client id');
    if (!isAccepted(form.get('client_secret'), client_secret)) {
      return tokenError('BAD_CLIENT_SECRET', 'invalid_client', 'missing or invalid client secret');
    }
    const grant = form.get('grant_type');
    if (grant === 'authorization_code') return form.get('code') ? undefined : tokenError('BAD_AUTH_CODE', 'invalid_grant', 'missing code');
    if (grant !== 'refresh_token') return tokenError('BAD_GRANT_TYPE', 'unsupported_grant_type', 'unsupported grant type');
    const token = form.get('refresh_token') ?? '';
    const isKnown = token !== '' && (refresh_tokens === null || refresh_tokens.includes(token) || issuedRefreshTokens.has(token));
    return isKnown ? undefined : tokenError('BAD_REFRESH_TOKEN', 'invalid_grant', 'refresh token is invalid, expired or revoked');
  }

  function refreshTokenFor(form: URLSearchParams): string {
    const given = form.get('refresh_token');
    if (given) return given;
    const token = `hubspot-refresh-${randomHex(24, random)}`;
    issuedRefreshTokens.add(token);
    return token;
  }

  function tokenError(status: string, error: string, description: string): Reply {
    const body = { status, message: description, correlationId: randomUuid(random), error, error_description: description };
    return { status: 400, body };
  }

  return {
    authenticate(request) {
      const token = bearerOf(request);
      if (token === undefined) {
        return refuse('INVALID_AUTHENTICATION', 'Authentication credentials not found. This API supports OAuth 2.0 authentication.');
      }
      const { static_tokens, static_prefixes } = settings();
      if (static_tokens.includes(token) || static_prefixes.some((prefix) => token.startsWith(prefix))) {
        return { is: 'valid', caller: { app: token, isStatic: true, author: token.startsWith('user-') ? 'person' : 'app' } };
      }
      const state = tokens.check(token);
      if (state.is === 'expired') return expired(state.atMs);
      if (state.is === 'valid') return { is: 'valid', caller: { app: state.app, isStatic: false, author: 'app' } };
      return refuse('INVALID_AUTHENTICATION', 'Authentication credentials not found. The token is not one of this account.');
    },
    answer(request) {
      if (request.method !== 'POST') return { status: 405, body: { status: 'error', message: 'method not allowed' } };
      const form = new URLSearchParams(request.text);
      const refusal = refuseGrant(form);
      if (refusal) return refusal;
      const { token_life_s, portal_id } = settings();
      const refresh_token = refreshTokenFor(form);
      const access_token = tokens.issue(form.get('client_id') ?? '', token_life_s * 1_000);
      const more = request.path.startsWith('/oauth/v1/')
        ? {}
        : { hub_id: portal_id, scopes: ['crm.objects.contacts.read', 'crm.objects.contacts.write'] };
      return { status: 200, body: { token_type: 'bearer', refresh_token, access_token, expires_in: token_life_s, ...more } };
    },
    expireAll: () => tokens.expireAll(),
    forgetAll() {
      tokens.clear();
      issuedRefreshTokens.clear();
    },
    refuse: (status) => ({ ...tokenError('BAD_REFRESH_TOKEN', 'invalid_grant', 'refresh token is invalid, expired or revoked'), status }),
  };
}

function isAccepted(given: string | null, expected: string | null): boolean {
  return expected === null ? Boolean(given) : given === expected;
}
