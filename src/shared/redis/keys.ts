/**
 * Every key and channel name, with its type and life. `{NN}` is the shard's hash tag: all keys of a shard share it, so that one
 * script may touch them together and a Redis Cluster spreads shards over its nodes. A prefix keeps deployments (and tests) apart.
 */
import { queueName } from '../domain/operation.ts';

export type Keys = ReturnType<typeof createKeys>;

/** Results lie in buckets of so many ranks: hashes of up to 128 small fields stay packed in Redis (hash-max-listpack-entries). */
export const resultBucketSize = 100;

export function createKeys(prefix = '') {
  const shardTag = (shard: number) => `${prefix}{${shard < 10 ? `0${shard}` : shard}}`;
  const gateTag = (account: string) => `${prefix}gate:{${account}}`;
  return {
    prefix,

    // A shard's own
    /** Stream with group `workers`: a queue's entries in order of acceptance. History is trimmed by count, bytes and age. */
    queue: (shard: number, queue: string) => `${shardTag(shard)}:q:${queue}`,
    /** Hash: `a` entries added, `f` final, `x` dead letters, `m` newest entry's milliseconds, `g` 1 once the group was made, `r` last id to check after a lost group, `o` last rank of a provider that was removed. Kept, so that ranks never repeat. */
    counters: (shard: number, queue: string) => `${shardTag(shard)}:n:${queue}`,
    /** Set: queues that may have unread entries and whose owner has been told. */
    ready: (shard: number) => `${shardTag(shard)}:ready`,
    /** Sorted set: every queue of the shard, scored by when it first got an entry (ms). Idle ones without dead letters are swept. */
    queues: (shard: number) => `${shardTag(shard)}:queues`,
    /** Hash: record digest to the newest applied change (see record-state.ts). One small field for each known record. */
    records: (shard: number, queue: string) => `${shardTag(shard)}:rec:${queue}`,
    /** Hash: entry id to attempts and next due time of pending entries that have failed. Field removed when final. */
    tries: (shard: number, queue: string) => `${shardTag(shard)}:try:${queue}`,
    /** Hash of one bucket of ranks: outcome of finished operations, packed; with `n` after the field, what a dead letter was retried as. Expires after the status retention. */
    results: (shard: number, queue: string, rank: number) => `${shardTag(shard)}:res:${queue}:${Math.floor(rank / resultBucketSize)}`,
    /** String: operation id of an idempotency key, in the record's shard. Expires. */
    idempotency: (shard: number, key: string) => `${shardTag(shard)}:idem:${key}`,
    /** String: fingerprint and record id of an idempotency key, in the key's own shard. Expires. */
    fingerprint: (shard: number, key: string) => `${shardTag(shard)}:fp:${key}`,
    /** Stream: a provider's dead letters of this shard. Kept until somebody decides; bounded at the door. */
    deadLetters: (shard: number, provider: string) => `${shardTag(shard)}:dlq:${provider}`,
    /** Hash: `<queue> <entry id>` of a dead letter to its id in the stream. Lives as the stream. */
    deadLetterIndex: (shard: number, provider: string) => `${shardTag(shard)}:dlqx:${provider}`,
    /** Set: providers that have dead letters here. */
    deadLetterProviders: (shard: number) => `${shardTag(shard)}:dlqs`,
    /** Hash: `owner`, `epoch`, `until` (ms by Redis's clock). The epoch only ever grows. */
    lease: (shard: number) => `${shardTag(shard)}:lease`,
    /** Set: `<queue> <entry id>` of operations somebody is waiting for. Expires in a minute. */
    waiting: (shard: number) => `${shardTag(shard)}:waiting`,
    /** Hash, one for each tenant: record digest to the providers that routes ever chose for the record, joined by commas. Kept, as `records`. */
    routed: (shard: number, tenant: string) => `${shardTag(shard)}:${queueName('routed', tenant)}`,
    /** Channel: JSON array of names of queues that got entries while nobody was reading them. */
    bell: (shard: number) => `${shardTag(shard)}:bell`,
    /** Channel: members of `waiting` that became final. */
    done: (shard: number) => `${shardTag(shard)}:done`,

    // An account's gate
    /** Hash: bucket times, pause, breaker, concurrency holds. Expires when unused. */
    gate: (account: string) => gateTag(account),
    /** List: start times of the last permits of a limit (exact window). Expires with its window. */
    gateWindow: (account: string, perMs: number) => `${gateTag(account)}:w:${perMs}`,
    /** Hash: permits by sub-window of a long or large limit. Expires with its window. */
    gateQuota: (account: string, perMs: number) => `${gateTag(account)}:s:${perMs}`,
    /** Hash: the fleet's access token, sealed, its version and expiry. Expires with the token. */
    token: (place: string) => `${prefix}auth:{${place}}`,
    /** String: held by the one process that refreshes the token. Expires. */
    tokenLock: (place: string) => `${prefix}auth:{${place}}:lock`,
    /** String: the newest refresh token, sealed, where the configured one has been replaced. Kept: it is the only copy. Once the credentials are removed, a mark that expires. */
    refreshToken: (place: string) => `${prefix}auth:{${place}}:refresh`,
    /** String: the last request for a token, where the token endpoint may be asked only so often. Expires. */
    tokenPace: (place: string) => `${prefix}auth:{${place}}:pace`,

    // The fleet's
    /** Hash: name to configuration, as JSON; its field `:version` counts changes. */
    providers: `${prefix}providers`,
    /** Hash: name to route, as JSON; its field `:version` counts changes. */
    routes: `${prefix}routes`,
    /** Sorted set: worker id to the end of its heartbeat (ms by Redis's clock). */
    fleet: `${prefix}{fleet}`,
    /** Hash: worker id to what it says of itself, JSON. */
    fleetInfo: `${prefix}{fleet}:info`,
    /** String: the number of shards; set once. */
    shards: `${prefix}shards`,
    /** Channel: a worker came or went. */
    fleetChanged: `${prefix}fleet:changed`,
    /** Channel: name of the provider whose configuration changed. */
    providersChanged: `${prefix}providers:changed`,
    /** Channel: name of the route that changed. */
    routesChanged: `${prefix}routes:changed`,
    /** Channel: account whose calls must stop now (pause, breaker). */
    gateChanged: `${prefix}gate:changed`,
    gateLifted: `${prefix}gate:lifted`,
    /** Channel: account whose slots are shared anew: somebody begins to wait for some, or some came free that others wait for. */
    gateShares: `${prefix}gate:shares`,
    /** Prefix of rate-limiter-flexible's keys; they expire. */
    requestLimit: `${prefix}limit`,
  };
}

/** The consumer group of every queue. */
export const group = 'workers';
