/**
 * The requests by which credentials become an access token: client credentials and refresh token (RFC 6749, 4.4 and 6), and
 * Salesforce's JWT bearer (RFC 7523).
 */
import { createPrivateKey } from 'node:crypto';
import type { AuthConfig } from '../../shared/providers/config.ts';
import { digestOf } from '../../shared/providers/token-place.ts';

export type ClientCredentials = Extract<AuthConfig, { type: 'oauth2_client_credentials' }>;
export type RefreshTokenGrant = Extract<AuthConfig, { type: 'oauth2_refresh_token' }>;
export type SalesforceJwt = Extract<AuthConfig, { type: 'salesforce_jwt' }>;
/** Credentials that are exchanged for an access token. */
export type TokenAuth = ClientCredentials | RefreshTokenGrant | SalesforceJwt;

export interface TokenRequest {
  readonly url: string;
  readonly form: URLSearchParams;
  /** What is in it that must not be shown. */
  readonly secrets: readonly string[];
}

export type Granted =
  | { readonly status: 'granted'; readonly request: TokenRequest }
  /** The credentials are of no use, which shows before anybody is asked. */
  | { readonly status: 'refused'; readonly message: string };

/** `newestRefreshToken`: where a later one has taken the place of the configured one. */
export async function requestFor(auth: TokenAuth, newestRefreshToken: string | undefined, nowMs: number): Promise<Granted> {
  if (auth.type === 'salesforce_jwt') return requestByAssertion(auth, nowMs);
  const { tokenUrl: url, clientId, clientSecret } = auth;
  const form = new URLSearchParams({ client_id: clientId, client_secret: clientSecret });
  if (auth.type === 'oauth2_client_credentials') {
    form.set('grant_type', 'client_credentials');
    if (auth.scope !== undefined) form.set('scope', auth.scope);
    return { status: 'granted', request: { url, form, secrets: [clientSecret] } };
  }
  const refreshToken = newestRefreshToken ?? auth.refreshToken;
  form.set('grant_type', 'refresh_token');
  form.set('refresh_token', refreshToken);
  if (auth.redirectUri !== undefined) form.set('redirect_uri', auth.redirectUri);
  return { status: 'granted', request: { url, form, secrets: [clientSecret, refreshToken] } };
}

/** Salesforce takes assertions that end within 3 minutes by its own clock; half a minute is left for ours being ahead. */
const assertionLifeSeconds = 150;

async function requestByAssertion(auth: SalesforceJwt, nowMs: number): Promise<Granted> {
  try {
    // Few workers ever need it.
    const { SignJWT } = await import('jose');
    const assertion = await new SignJWT({})
      .setProtectedHeader({ alg: 'RS256' })
      .setIssuer(auth.clientId)
      .setSubject(auth.username)
      .setAudience(auth.audience ?? audienceOf(auth.loginUrl))
      .setExpirationTime(Math.floor(nowMs / 1_000) + assertionLifeSeconds)
      .sign(createPrivateKey(auth.privateKey));
    const form = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion });
    const url = `${auth.loginUrl.replace(/\/+$/, '')}/services/oauth2/token`;
    return { status: 'granted', request: { url, form, secrets: [assertion] } };
  } catch {
    // What the libraries say of a key may quote it.
    return { status: 'refused', message: 'the private key cannot be used: it has to be an RSA key of 2048 bits or more, as PEM' };
  }
}

function audienceOf(loginUrl: string): string {
  return new URL(loginUrl).hostname === 'test.salesforce.com' ? 'https://test.salesforce.com' : 'https://login.salesforce.com';
}

/** Everything configured that must not be shown. */
export function secretsOf(auth: TokenAuth): readonly string[] {
  if (auth.type === 'salesforce_jwt') return [auth.privateKey];
  return auth.type === 'oauth2_refresh_token' ? [auth.clientSecret, auth.refreshToken] : [auth.clientSecret];
}

/** Stands for the credentials where they must not be written. */
export function fingerprintOf(auth: TokenAuth): string {
  return digestOf(Object.entries(auth).sort(([a], [b]) => (a < b ? -1 : 1)));
}
