/**
 * Outreach's tokens. A refresh gives another refresh token and uses the old one up at once; a client may ask once in a while only. A
 * refresh token that was never given out here is taken the first time, unless settings say which ones there are.
 */
import { createAccessTokens } from '../access-tokens.ts';
import { randomHex } from '../random-ids.ts';
import { bearerOf } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { rateLimited, toReply, unauthorized } from './errors.ts';
import type { OutreachSettings } from './settings.ts';

export interface OutreachTokens {
  /** The refusal, or undefined for a token that is good. */
  refuse(request: SimulatedRequest): Reply | undefined;
  /** The token endpoint. */
  answer(request: SimulatedRequest): Reply;
  expireAll(): void;
  forgetAll(): void;
}

interface TokenDeps {
  readonly now: () => number;
  readonly random: () => number;
  readonly idsFrom: number;
  readonly settings: () => OutreachSettings;
}

export function isTokenCall({ path }: SimulatedRequest): boolean {
  return path === '/oauth/token';
}

/** A refusal of the token endpoint, in the form of OAuth. */
export function refuseGrant(status: number, error = 'invalid_grant'): Reply {
  const error_description = 'The provided authorization grant is invalid, expired, revoked, or was issued to another client.';
  return { status, body: { error, error_description } };
}

export function createOutreachTokens({ now, random, idsFrom, settings }: TokenDeps): OutreachTokens {
  const access = createAccessTokens({ now, idsFrom }, 'outreach-access-');
  /** Refresh tokens given out, with the end of their life. */
  const live = new Map<string, number>();
  /** Refresh tokens used up, with the time when they were. */
  const used = new Map<string, number>();
  const lastAskedMs = new Map<string, number>();

  function isGood(token: string): boolean {
    const { refresh_tokens, rotation_grace_ms } = settings();
    if (token === '') return false;
    const usedAtMs = used.get(token);
    if (usedAtMs !== undefined) return now() < usedAtMs + rotation_grace_ms;
    const endsAtMs = live.get(token);
    if (endsAtMs !== undefined) return endsAtMs > now();
    return refresh_tokens === null || refresh_tokens.includes(token);
  }

  function rotate(token: string): string {
    const { rotate: isRotating, refresh_life_s } = settings();
    if (!isRotating && token !== '') return token;
    if (token !== '' && !used.has(token)) used.set(token, now());
    live.delete(token);
    const next = `outreach-refresh-${randomHex(32, random)}`;
    live.set(next, now() + refresh_life_s * 1_000);
    return next;
  }

  function tooSoon(clientId: string): Reply | undefined {
    const { token_interval_ms } = settings();
    const lastMs = lastAskedMs.get(clientId);
    const untilMs = (lastMs ?? Number.NEGATIVE_INFINITY) + token_interval_ms;
    if (untilMs > now()) {
      const reply = toReply(rateLimited(1, untilMs));
      return { ...reply, headers: { 'retry-after': String(Math.ceil((untilMs - now()) / 1_000)) } };
    }
    lastAskedMs.set(clientId, now());
    return undefined;
  }

  function grant(form: URLSearchParams): Reply {
    const { client_id, client_secret, token_life_s, scopes } = settings();
    const clientId = form.get('client_id');
    if (!isAccepted(clientId, client_id) || !isAccepted(form.get('client_secret'), client_secret))
      return refuseGrant(401, 'invalid_client');
    const kind = form.get('grant_type');
    const hasCode = kind === 'authorization_code' && Boolean(form.get('code'));
    if (kind !== 'refresh_token' && !hasCode) return refuseGrant(400, hasCode ? 'invalid_grant' : 'unsupported_grant_type');
    const token = form.get('refresh_token') ?? '';
    if (kind === 'refresh_token' && !isGood(token)) return refuseGrant(400);
    const body = {
      access_token: access.issue(clientId ?? '', token_life_s * 1_000),
      token_type: 'Bearer',
      expires_in: token_life_s,
      refresh_token: rotate(token),
      scope: scopes,
      created_at: Math.floor(now() / 1_000),
    };
    return { status: 200, body };
  }

  return {
    refuse(request) {
      const token = bearerOf(request);
      const { static_tokens, static_prefixes, expired_token_id } = settings();
      if (token === undefined) return toReply(unauthorized('unauthorized', 'An access token is required.'));
      if (static_tokens.includes(token) || static_prefixes.some((prefix) => token.startsWith(prefix))) return undefined;
      const state = access.check(token);
      if (state.is === 'valid') return undefined;
      if (state.is === 'expired') return toReply(unauthorized(expired_token_id, 'The access token expired.'));
      return toReply(unauthorized('invalidAccessToken', 'The access token is not valid.'));
    },
    answer(request) {
      if (request.method !== 'POST') return { status: 405 };
      const form = new URLSearchParams(request.text);
      return tooSoon(form.get('client_id') ?? '') ?? grant(form);
    },
    expireAll: () => access.expireAll(),
    forgetAll() {
      access.clear();
      live.clear();
      used.clear();
      lastAskedMs.clear();
    },
  };
}

function isAccepted(given: string | null, expected: string | null): boolean {
  return expected === null ? Boolean(given) : given === expected;
}
