/**
 * What an idempotency key stands for where routes choose: the operation's fingerprint and record id, as for any operation (it is the same
 * key in Redis, so the two cannot be confused), and the providers chosen then. A repetition goes to these, whatever the routes say by now,
 * with keys made of this one; so it finds what was enqueued the first time and adds what was not.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

export interface FirstUse {
  readonly fingerprint: string;
  readonly recordId: string;
  /** Empty where the key was used for an operation with a provider of its own: the fingerprint differs then. */
  readonly providers: readonly string[];
}

export interface FirstUses {
  /** Undefined: the key was never used, or is forgotten. Throws Redis errors. */
  read(key: string): Promise<FirstUse | undefined>;
  /** The first use of the key: this one, or another that came before. Throws Redis errors. */
  claim(key: string, use: FirstUse): Promise<FirstUse>;
}

export interface FirstUsesDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  readonly hasher: { shardOfText(text: string, shards: number): number };
  readonly idempotencyTtlMs: number;
}

/** It outlives the children's marks, which are made after it; see submit.ts. */
const graceMs = 120_000;

export function createFirstUses({ redis, keys, shards, hasher, idempotencyTtlMs }: FirstUsesDeps): FirstUses {
  const keyOf = (key: string) => keys.fingerprint(hasher.shardOfText(key, shards), key);
  return {
    async read(key) {
      const text = await redis.get(keyOf(key));
      return text === null ? undefined : parse(text);
    },
    async claim(key, use) {
      const mine = JSON.stringify([use.fingerprint, use.recordId, use.providers]);
      const known = await redis.call('SET', keyOf(key), mine, 'PX', idempotencyTtlMs + graceMs, 'NX', 'GET');
      return known === null ? use : parse(known as string);
    },
  };
}

function parse(text: string): FirstUse {
  const [fingerprint, recordId, providers] = JSON.parse(text) as [string, string, (readonly string[])?];
  return { fingerprint, recordId, providers: providers ?? [] };
}
