/**
 * Writes what the token endpoint gave to where the fleet finds it.
 *
 * An access token that cannot be written still serves the process that fetched it. A refresh token that came along is another matter: the
 * one before it was spent when the endpoint answered, so it is the only one from then on. It goes to Redis in one step with the
 * access token, again and again until that succeeds; no other is fetched here meanwhile, and closing waits for it.
 *
 * What remains at risk: a process killed between the answer and the write, or closed while Redis stays away; and a Redis that loses its last
 * second (`appendfsync everysec`). The provider then refuses the spent token (`credentials_refused`) until somebody authorizes anew,
 * unless it takes a token twice within some time, as many do for this very case.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { FleetToken, RotatedRefreshToken, Token } from './fleet-token.ts';

export interface TokenPublisher {
  /** Resolves after the first try. Never rejects. */
  publish(token: Token, rotated: RotatedRefreshToken | undefined): Promise<void>;
  /** A new refresh token that is not stored yet; resolves when it is, or is given up for closing. */
  pending(): Promise<void> | undefined;
}

const againAfterMs = 50;
const maxAgainAfterMs = 5_000;

export interface TokenPublisherDeps {
  readonly fleet: Pick<FleetToken, 'publish'>;
  readonly monotonicMs: () => number;
  /** Once aborted, it is tried for `closingMs` more. */
  readonly closing: AbortSignal;
  readonly closingMs: number;
}

export function createTokenPublisher(deps: TokenPublisherDeps): TokenPublisher {
  const { fleet, monotonicMs, closing, closingMs } = deps;
  let pending: Promise<void> | undefined;

  async function publishUntilStored(token: Token, rotated: RotatedRefreshToken, endsAtMs: number): Promise<void> {
    let closedAtMs: number | undefined;
    for (let afterMs = againAfterMs; ; afterMs = Math.min(afterMs * 2, maxAgainAfterMs)) {
      await waitFor(afterMs, closing);
      if (closing.aborted) closedAtMs ??= monotonicMs();
      try {
        return await fleet.publish({ ...token, lifeMs: endsAtMs - monotonicMs() }, rotated);
      } catch {
        if (closedAtMs !== undefined && monotonicMs() - closedAtMs >= closingMs) return;
      }
    }
  }

  return {
    pending: () => pending,
    async publish(token, rotated) {
      const endsAtMs = monotonicMs() + token.lifeMs;
      try {
        await fleet.publish(token, rotated);
      } catch {
        if (!rotated) return;
        pending = publishUntilStored(token, rotated, endsAtMs).finally(() => {
          pending = undefined;
        });
      }
    },
  };
}

/** Closing ends the pause; after it, pauses are short. */
async function waitFor(ms: number, closing: AbortSignal): Promise<void> {
  if (closing.aborted) await delay(againAfterMs);
  else await delay(ms, undefined, { signal: closing }).catch(() => {});
}
