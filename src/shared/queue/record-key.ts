/**
 * Where a record lives, and the short name it has there. Both are part of what Redis holds: XXH32 with the seeds below, over
 * length-prefixed parts; changing either loses every known record.
 *
 * The digest is 96 bits of three seeds. A queue holds one tenant's records, so even a digest made to collide costs only
 * its maker.
 */
import xxhash from 'xxhash-wasm';

const shardSeed = 0x51;
const digestSeeds = [0x52, 0x53, 0x54] as const;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export interface RecordKey {
  readonly tenant: string;
  readonly entity: string;
  readonly recordId: string;
}

export interface RecordHasher {
  /** The record's shard, 0 to `shards` - 1. */
  shardOf(key: RecordKey, shards: number): number;
  /** The shard of any other text (idempotency keys). */
  shardOfText(text: string, shards: number): number;
  /** 18 characters that stand for the record within its queue. */
  digestOf(key: RecordKey): string;
}

/** Loads the hash's WebAssembly once. */
export async function createRecordHasher(): Promise<RecordHasher> {
  const { h32 } = await xxhash();
  return {
    shardOf: ({ tenant, entity, recordId }, shards) =>
      h32(`${tenant.length}:${tenant}${entity.length}:${entity}${recordId}`, shardSeed) % shards,
    shardOfText: (text, shards) => h32(text, shardSeed) % shards,
    digestOf({ entity, recordId }) {
      const text = `${entity.length}:${entity}${recordId}`;
      return base64(h32(text, digestSeeds[0])) + base64(h32(text, digestSeeds[1])) + base64(h32(text, digestSeeds[2]));
    },
  };
}

/** 32 bits as six characters. */
function base64(n: number): string {
  return (
    (alphabet[n >>> 26] as string) +
    alphabet[(n >>> 20) & 63] +
    alphabet[(n >>> 14) & 63] +
    alphabet[(n >>> 8) & 63] +
    alphabet[(n >>> 2) & 63] +
    alphabet[n & 3]
  );
}
