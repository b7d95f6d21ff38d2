/** Access tokens that a simulated provider has given out, and whether they are still good. */
import { randomHex } from './random-ids.ts';

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

/** Tokens remembered; the oldest are forgotten first, and are then unknown. */
const maxRemembered = 10_000;

export function createAccessTokens({ now, random }: { now: () => number; random: () => number }, prefix: string): AccessTokens {
  const tokens = new Map<string, { readonly app: string; expiresAtMs: number }>();
  let count = 0;
  return {
    issue(app, lifeMs) {
      count += 1;
      const token = `${prefix}${count}-${randomHex(24, random)}`;
      tokens.set(token, { app, expiresAtMs: now() + lifeMs });
      if (tokens.size > maxRemembered) tokens.delete(tokens.keys().next().value as string);
      return token;
    },
    check(token) {
      const found = tokens.get(token);
      if (!found) return { is: 'unknown' };
      return found.expiresAtMs > now() ? { is: 'valid', app: found.app } : { is: 'expired', atMs: found.expiresAtMs };
    },
    expireAll() {
      for (const token of tokens.values()) token.expiresAtMs = Math.min(token.expiresAtMs, now());
    },
    clear: () => tokens.clear(),
  };
}
