/** The access token that all workers share: sealed in Redis, and a lock so that one worker at a time fetches a new one. */
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
}

export type Acquired =
  | { readonly status: 'token'; readonly token: Token }
  /** The caller is the one to fetch; it publishes or releases. */
  | { readonly status: 'fetch' }
  | { readonly status: 'wait'; readonly atMostMs: number };

export interface FleetToken {
  acquire(options: { refusedVersion: string; isAhead: boolean }): Promise<Acquired>;
  publish(token: Token): Promise<void>;
  release(): Promise<void>;
}

export interface FleetTokenDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly sealer: Sealer;
  /** Unique to this user of the token: names it in the lock. */
  readonly owner: string;
  readonly lockMs: number;
}

/** `fingerprint` stands for the credentials: changed ones must not be served a token of the old ones. */
export function createFleetToken(provider: string, fingerprint: string, deps: FleetTokenDeps): FleetToken {
  const { redis, keys, sealer, owner, lockMs } = deps;
  const hash = keys.token(provider);
  const lock = keys.tokenLock(provider);
  const place = `${provider}/access_token`;

  async function acquire(options: { refusedVersion: string; isAhead: boolean }): Promise<Acquired> {
    const args = [owner, lockMs, fingerprint, options.refusedVersion, options.isAhead ? 'ahead' : ''];
    const reply = await acquireToken.run(redis, [hash, lock], args);
    const [word, ...rest] = Array.isArray(reply) ? reply : [];
    if (word === 'fetch') return { status: 'fetch' };
    if (word === 'wait') return { status: 'wait', atMostMs: Number(rest[0]) };
    if (word !== 'token') throw unexpectedReply(acquireToken.name, reply);
    const [sealed, version, lifeMs, marginMs] = rest.map(String) as [string, string, string, string];
    const opened = sealer.open(sealed, place);
    if (opened.status === 'opened')
      return { status: 'token', token: { value: opened.plain, version, lifeMs: Number(lifeMs), marginMs: Number(marginMs) } };
    // Sealed by a process with another key: as good as refused, or this process would never get one.
    if (options.refusedVersion === version) throw new Error(opened.reason);
    return acquire({ ...options, refusedVersion: version });
  }

  return {
    acquire,
    async publish(token) {
      const sealed = sealer.seal(token.value, place);
      if (sealed.status === 'no_key') throw new Error('SLUICE_ENCRYPTION_KEY is not set: the access token cannot be shared');
      const args = [owner, sealed.text, token.version, fingerprint, Math.max(1, Math.floor(token.lifeMs)), Math.floor(token.marginMs)];
      const reply = await publishToken.run(redis, [hash, lock], args);
      const [word] = Array.isArray(reply) ? reply : [];
      if (word !== 'published' && word !== 'late') throw unexpectedReply(publishToken.name, reply);
    },
    async release() {
      const reply = await releaseTokenLock.run(redis, [lock], [owner]);
      const [word] = Array.isArray(reply) ? reply : [];
      if (word !== 'released' && word !== 'kept') throw unexpectedReply(releaseTokenLock.name, reply);
    },
  };
}
