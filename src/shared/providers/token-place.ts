/** Where the fleet keeps the token of some credentials. Who uses them has to know it, and who removes them. */
import { createHash } from 'node:crypto';
import type { AuthConfig } from './config.ts';

/**
 * Each account has its own. Those with a refresh token go by the configured one instead: it may rotate, so all who were given the same
 * one (a tenant that has only limits of its own has the provider's) must share what has taken its place. A newly configured one thereby
 * begins anew, a former one goes on where it was, and a new client secret changes nothing.
 */
export function tokenPlaceOf(account: string, auth: AuthConfig): string {
  return auth.type === 'oauth2_refresh_token' ? digestOf([auth.tokenUrl, auth.clientId, auth.refreshToken]) : account;
}

/** Stands for what must not be written. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url');
}
