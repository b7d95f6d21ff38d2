/** The signed assertion of the JWT bearer flow, and what Salesforce says of one that it does not take. */
import { verify } from 'node:crypto';
import { objectOf, parseJson } from '../request-reading.ts';
import type { Org } from './org.ts';

export interface TokenError {
  readonly error: string;
  readonly description: string;
}

/** Why the assertion is refused, or undefined. `siteUrl` is an audience too. */
export function refuseAssertion({ settings, now }: Org, assertion: string, siteUrl: string): TokenError | undefined {
  const [head = '', claimPart = '', signature = '', ...rest] = assertion.split('.');
  const header = objectOf(decode(head));
  const { iss, sub, aud, exp } = objectOf(decode(claimPart));
  const isWhole = rest.length === 0 && signature !== '' && typeof exp === 'number' && isText(iss) && isText(sub) && isText(aud);
  if (header['alg'] !== 'RS256' || !isWhole) return grantError('invalid assertion');
  if (settings.client_id !== null && iss !== settings.client_id) {
    return { error: 'invalid_client_id', description: 'client identifier invalid' };
  }
  if (!isSigned(settings.public_key, `${head}.${claimPart}`, signature)) return grantError('invalid assertion');
  if (![...settings.audiences, siteUrl].includes(aud)) return grantError('audience is invalid');
  if (settings.username !== null && sub !== settings.username) return grantError("user hasn't approved this consumer");
  const leftMs = exp * 1_000 - now();
  if (leftMs <= -settings.clock_skew_ms) return grantError('expired authorization code');
  return leftMs > settings.max_assertion_ms + settings.clock_skew_ms ? grantError('invalid assertion') : undefined;
}

export function grantError(description: string): TokenError {
  return { error: 'invalid_grant', description };
}

function isSigned(publicKey: string | null, content: string, signature: string): boolean {
  if (publicKey === null) return true;
  try {
    return verify('RSA-SHA256', Buffer.from(content), publicKey, Buffer.from(signature, 'base64url'));
  } catch {
    // A key that is none.
    return false;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function decode(part: string): unknown {
  return parseJson(Buffer.from(part, 'base64url').toString('utf8'));
}
