/**
 * The access token that all workers share: sealed in Redis, and a lock so that one worker at a time fetches a new one. Where the
 * provider gives a new refresh token with each access token, the newest lies beside it, sealed and without an end, because the
 * configured one is spent: both are written in one step. A token's place is named by whose it is (token-place.ts).
 * Where credentials were removed, a mark lies in the refresh token's place for a while (removed-tokens.ts).
 */
import type { Sealer } from '../../shared/providers/seal.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import type { Keys } from '../../shared/redis/keys.ts';
import { defineScript, unexpectedReply } from '../../shared/redis/script.ts';
import acquireSource from './acquire-token.lua';
import publishSource from './publish-token.lua';
import releaseSource from './release-token-lock.lua';

const acquireToken = defineScript('acquire-token', acquireSource);
const publishToken = defineScript('publish-token', publishSource);
const releaseTokenLock = defineScript('release-token-lock', releaseSource);

/** `version` is unique to a token: it tells a token that was refused from its successor. */
export interface Token {
  readonly value: string;
  readonly version: string;
  readonly lifeMs: number;
  /** So long before its end it should be fetched anew. */
  readonly marginMs: number;
  /** The address of the API, where it came with the token. */
  readonly instanceUrl: string | undefined;
}

/** The newest refresh token; `value` is undefined where that is the configured one. */
export interface StoredRefreshToken {
  readonly value: string | undefined;
  /** Stands for what is stored, to notice a change; empty for nothing. */
  readonly mark: string;
}

/** A refresh token that came with an access token, and what was stored before. */
export interface RotatedRefreshToken {
  readonly value: string;
  readonly before: string;
}

export type Acquired =
  | { readonly status: 'token'; readonly token: Token }
  /** The caller is the one to fetch; it publishes or releases. */
  | { readonly status: 'fetch'; readonly refreshToken: StoredRefreshToken }
  | { readonly status: 'wait'; readonly atMostMs: number }
  /** The token endpoint may not be asked again before. */
  | { readonly status: 'later'; readonly inMs: number };

export interface FleetToken {
  acquire(options: { refusedVersion: string; isAhead: boolean }): Promise<Acquired>;
  /** Safe to repeat. Resolves also where another process was faster: then nothing is written. */
  publish(token: Token, rotated?: RotatedRefreshToken): Promise<void>;
  release(): Promise<void>;
}

/** Whose token it is. */
export interface TokenOwner {
  readonly place: string;
  /** Stands for the credentials: changed ones must not be served a token of the old ones. */
  readonly fingerprint: string;
  /** Least time between two requests to the token endpoint, from the whole fleet; 0: none. */
  readonly minIntervalMs: number;
}

export interface FleetTokenDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly sealer: Sealer;
  /** Unique to this user of the token: names it in the lock. */
  readonly owner: string;
  readonly lockMs: number;
}

export function createFleetToken(whose: TokenOwner, deps: FleetTokenDeps): FleetToken {
  const { place, fingerprint, minIntervalMs } = whose;
  const { redis, keys, sealer, owner, lockMs } = deps;
  const lock = keys.tokenLock(place);
  const pace = keys.tokenPace(place);
  const allKeys = [keys.token(place), lock, keys.refreshToken(place), pace];
  const accessSeal = `${place}/access_token`;
  const refreshSeal = `${place}/refresh_token`;
  let requests = 0;

  async function acquire(options: { refusedVersion: string; isAhead: boolean }): Promise<Acquired> {
    const { refusedVersion, isAhead } = options;
    requests += 1;
    const request = `${owner}:${requests}`;
    const args = [owner, lockMs, fingerprint, refusedVersion, isAhead ? 'ahead' : '', request, minIntervalMs];
    const reply = await acquireToken.run(redis, allKeys, args);
    const [word, ...rest] = Array.isArray(reply) ? reply : [];
    if (word === 'fetch') return { status: 'fetch', refreshToken: openRefreshToken(String(rest[0])) };
    if (word === 'wait') return { status: 'wait', atMostMs: Number(rest[0]) };
    if (word === 'later') return { status: 'later', inMs: Number(rest[0]) };
    if (word !== 'token') throw unexpectedReply(acquireToken.name, reply);
    const [sealed, version, lifeMs, marginMs, api] = rest.map(String) as [string, string, string, string, string];
    const opened = sealer.open(sealed, accessSeal);
    if (opened.status === 'opened') {
      const instanceUrl = api === '' ? undefined : api;
      return { status: 'token', token: { value: opened.plain, version, lifeMs: Number(lifeMs), marginMs: Number(marginMs), instanceUrl } };
    }
    // Sealed by a process with another key: as good as refused, or this process would never get one.
    if (refusedVersion === version) throw new Error(opened.reason);
    return acquire({ ...options, refusedVersion: version });
  }

  /** One that was sealed with another key is lost, as one that was removed is; the configured one may have been set again since. */
  function openRefreshToken(mark: string): StoredRefreshToken {
    const opened = mark === '' ? undefined : sealer.open(mark, refreshSeal);
    return { value: opened?.status === 'opened' ? opened.plain : undefined, mark };
  }

  function seal(plain: string, where: string): string {
    const sealed = sealer.seal(plain, where);
    if (sealed.status === 'no_key') throw new Error('SLUICE_ENCRYPTION_KEY is not set: the access token cannot be shared');
    return sealed.text;
  }

  return {
    acquire,
    async publish(token, rotated) {
      const lifeMs = Math.max(1, Math.floor(token.lifeMs));
      const access = [
        seal(token.value, accessSeal),
        token.version,
        fingerprint,
        lifeMs,
        Math.floor(token.marginMs),
        token.instanceUrl ?? '',
      ];
      const refresh = rotated ? [seal(rotated.value, refreshSeal), rotated.before] : ['', ''];
      const reply = await publishToken.run(redis, allKeys, [owner, ...access, ...refresh, minIntervalMs]);
      const [word] = Array.isArray(reply) ? reply : [];
      if (word !== 'published' && word !== 'late') throw unexpectedReply(publishToken.name, reply);
    },
    async release() {
      const reply = await releaseTokenLock.run(redis, [lock, pace], [owner, minIntervalMs]);
      const [word] = Array.isArray(reply) ? reply : [];
      if (word !== 'released' && word !== 'kept') throw unexpectedReply(releaseTokenLock.name, reply);
    },
  };
}
