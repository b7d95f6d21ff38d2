/**
 * The providers that routes ever chose for a record, in the record's shard, for each tenant apart. One small field for each record that was
 * ever routed; written before its operations are enqueued, so that no later operation can miss a provider that has the record. Never
 * forgotten, like the record's state: a late update after a delete must reach the same providers.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import rememberSource from './remember-routed.lua';

const rememberScript = defineScript('remember-routed', rememberSource);

export interface RecordKey {
  readonly tenant: string;
  readonly entity: string;
  readonly recordId: string;
}

export interface Remembered {
  /** In the order of the records; one call for each shard and tenant. Empty lists for records never routed. Throws Redis errors. */
  read(records: readonly RecordKey[]): Promise<readonly (readonly string[])[]>;
  /** Adds to what is known. Throws Redis errors: then it may or may not be remembered. */
  add(records: readonly { readonly record: RecordKey; readonly providers: readonly string[] }[]): Promise<void>;
}

export interface RememberedDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  /** The queue's own: a record's shard and digest are the same everywhere. */
  readonly hasher: { shardOf(record: RecordKey, shards: number): number; digestOf(record: RecordKey): string };
}

export function createRemembered({ redis, keys, shards, hasher }: RememberedDeps): Remembered {
  const group = <T>(items: readonly T[], recordOf: (item: T) => RecordKey) => {
    const groups = new Map<string, { item: T; index: number }[]>();
    for (const [index, item] of items.entries()) {
      const record = recordOf(item);
      const key = keys.routed(hasher.shardOf(record, shards), record.tenant);
      const found = groups.get(key);
      if (found) found.push({ item, index });
      else groups.set(key, [{ item, index }]);
    }
    return [...groups];
  };

  return {
    async read(records) {
      const known: (readonly string[])[] = records.map(() => []);
      await Promise.all(
        group(records, (record) => record).map(async ([key, items]) => {
          const texts = await redis.hmget(key, ...items.map(({ item }) => hasher.digestOf(item)));
          for (const [at, { index }] of items.entries()) known[index] = texts[at]?.split(',') ?? [];
        }),
      );
      return known;
    },

    async add(records) {
      await Promise.all(
        group(records, ({ record }) => record).map(async ([key, items]) => {
          const args = items.flatMap(({ item: { record, providers } }) => [hasher.digestOf(record), providers.join(',')]);
          const reply = (await rememberScript.run(redis, [key], args)) as [string, number];
          if (reply[0] !== 'remembered') throw unexpectedReply(rememberScript.name, reply);
        }),
      );
    },
  };
}
