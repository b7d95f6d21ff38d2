/** `/services/oauth2/token` and `/revoke`: JWT bearer, client credentials, refresh token and password, each checked as far as it is set. */
import { randomHex } from '../random-ids.ts';
import { headerOf } from '../request-reading.ts';
import type { Reply, SimulatedRequest } from '../simulated-provider.ts';
import { identityUrl } from './descriptions.ts';
import { grantError, refuseAssertion, type TokenError } from './jwt-assertion.ts';
import type { Org } from './org.ts';
import type { Sessions } from './sessions.ts';

export const oauthPath = '/services/oauth2/';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

export interface OAuth {
  answer(request: SimulatedRequest): Reply;
  /** Forgets the refresh tokens that rotation gave out and ended. */
  clear(): void;
}

export function createOAuth(org: Org, sessions: Sessions): OAuth {
  /** Given out by rotation. */
  const given = new Set<string>();
  const ended = new Set<string>();

  function isGood(refreshToken: string): boolean {
    if (ended.has(refreshToken)) return false;
    return given.has(refreshToken) || (org.settings.refresh_tokens?.includes(refreshToken) ?? refreshToken !== '');
  }

  function rotate(refreshToken: string): string | undefined {
    if (!org.settings.rotate_refresh_tokens) return undefined;
    const next = `5Aep${randomHex(60, org.random)}`;
    given.delete(refreshToken);
    ended.add(refreshToken);
    given.add(next);
    return next;
  }

  function refuse(form: URLSearchParams, request: SimulatedRequest): TokenError | undefined {
    const { username, password } = org.settings;
    switch (form.get('grant_type')) {
      case jwtBearer:
        return refuseAssertion(org, form.get('assertion') ?? '', request.baseUrl);
      case 'client_credentials':
        return refuseClient(org, form, { needsSecret: true });
      case 'refresh_token':
        return (
          refuseClient(org, form, { needsSecret: false }) ??
          (isGood(form.get('refresh_token') ?? '') ? undefined : grantError('expired access/refresh token'))
        );
      case 'password': {
        const isKnown = fits(username, form.get('username')) && fits(password, form.get('password'));
        return refuseClient(org, form, { needsSecret: true }) ?? (isKnown ? undefined : grantError('authentication failure'));
      }
      default:
        return { error: 'unsupported_grant_type', description: 'grant type not supported' };
    }
  }

  function token(request: SimulatedRequest): Reply {
    const form = readForm(request);
    const refusal = refuse(form, request);
    if (refusal) return { status: 400, body: { error: refusal.error, error_description: refusal.description } };
    const grant = form.get('grant_type');
    const next = grant === 'refresh_token' ? rotate(form.get('refresh_token') ?? '') : undefined;
    const body = {
      access_token: sessions.issue(),
      ...(next !== undefined && { refresh_token: next }),
      signature: randomHex(43, org.random),
      token_format: 'opaque',
      scope: 'api',
      instance_url: org.settings.instance_url ?? request.baseUrl,
      id: identityUrl(org, request.baseUrl),
      token_type: 'Bearer',
      issued_at: String(Math.floor(org.now())),
    };
    return { status: 200, body };
  }

  return {
    answer(request) {
      const isPost = request.method === 'POST';
      if (isPost && request.path === `${oauthPath}token`) return token(request);
      if (isPost && request.path === `${oauthPath}revoke`) {
        sessions.end(new URLSearchParams(request.text).get('token') ?? '');
        return { status: 200 };
      }
      return { status: 404, body: { error: 'unsupported_endpoint', error_description: 'no such endpoint' } };
    },
    clear() {
      given.clear();
      ended.clear();
    },
  };
}

/** The form, with the client's id and secret from HTTP Basic if they are not in it. */
export function readForm(request: SimulatedRequest): URLSearchParams {
  const form = new URLSearchParams(request.text);
  const basic = /^Basic +(\S+)$/i.exec(headerOf(request, 'authorization'))?.[1];
  const [id, secret] = Buffer.from(basic ?? '', 'base64')
    .toString('utf8')
    .split(':');
  if (id && !form.has('client_id')) form.set('client_id', id);
  if (secret && !form.has('client_secret')) form.set('client_secret', secret);
  return form;
}

function refuseClient({ settings }: Org, form: URLSearchParams, { needsSecret }: { needsSecret: boolean }): TokenError | undefined {
  if (!fits(settings.client_id, form.get('client_id'))) return { error: 'invalid_client_id', description: 'client identifier invalid' };
  const secret = form.get('client_secret');
  if (secret === null && !needsSecret) return undefined;
  return fits(settings.client_secret, secret) ? undefined : { error: 'invalid_client', description: 'invalid client credentials' };
}

function fits(expected: string | null, given: string | null): boolean {
  return expected === null ? given !== null && given !== '' : given === expected;
}
