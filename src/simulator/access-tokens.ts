/**
 * Access tokens that a simulated provider has given out, and whether they are still good. A token says itself whose it is and when it
 * ends, with a check that makes others unknown, so that tokens outlive a restart of the simulator as they outlive one of the real thing.
 * Nothing is remembered but which ones were taken back. Anybody who reads this can make one: they guard nothing.
 */
import { createHmac } from 'node:crypto';

export type TokenState =
  | { readonly is: 'valid'; readonly app: string }
  | { readonly is: 'expired'; readonly atMs: number }
  | { readonly is: 'unknown' };

export interface AccessTokens {
  /** A new token for the application `app`. */
  issue(app: string, lifeMs: number): string;
  check(token: string): TokenState;
  /** Those given out so far are expired from this moment on. */
  expireAll(): void;
  /** Those given out so far are unknown. */
  clear(): void;
}

interface TokenDeps {
  readonly now: () => number;
  /** Tokens are numbered from here; those of an earlier start lie below. */
  readonly idsFrom: number;
}

export function createAccessTokens({ now, idsFrom }: TokenDeps, prefix: string): AccessTokens {
  let next = idsFrom;
  let expiredBelow = 0;
  let expiredAtMs = 0;
  let unknownBelow = 0;
  return {
    issue(app, lifeMs) {
      const body = `${prefix}${next}-${Math.floor(now() + lifeMs)}-${Buffer.from(app).toString('base64url')}`;
      next += 1;
      return `${body}-${checkOf(body)}`;
    },
    check(token) {
      const [, body, number, endsAt, app, check] = /^(\D*?(\d+)-(\d+)-([\w-]*))-([0-9a-f]{24})$/.exec(token) ?? [];
      if (!body?.startsWith(prefix) || checkOf(body) !== check || Number(number) < unknownBelow) return { is: 'unknown' };
      const atMs = Math.min(Number(endsAt), Number(number) < expiredBelow ? expiredAtMs : Number.POSITIVE_INFINITY);
      return atMs > now() ? { is: 'valid', app: Buffer.from(app ?? '', 'base64url').toString() } : { is: 'expired', atMs };
    },
    expireAll() {
      expiredBelow = next;
      expiredAtMs = now();
    },
    clear() {
      unknownBelow = next;
    },
  };
}

function checkOf(body: string): string {
  return createHmac('sha256', 'simulated').update(body).digest('hex').slice(0, 24);
}
