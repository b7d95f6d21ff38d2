/** Shard leases and the fleet's members: who may read which shard. See worker/fleet for who asks for what, and when. */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import acquireSource from './acquire-lease.lua';
import heartbeatSource from './heartbeat.lua';
import releaseSource from './release-lease.lua';
import renewSource from './renew-lease.lua';

const acquireScript = defineScript('acquire-lease', acquireSource);
const renewScript = defineScript('renew-lease', renewSource);
const releaseScript = defineScript('release-lease', releaseSource);
const heartbeatScript = defineScript('heartbeat', heartbeatSource);

/** `runId`: which run of which Redis answered; '' where a user of Redis may not ask. */
export type Acquired =
  | { readonly status: 'acquired'; readonly epoch: number; readonly hasOwnerDied: boolean; readonly runId: string }
  | { readonly status: 'held'; readonly owner: string; readonly leftMs: number };
export type Renewed =
  | { readonly status: 'renewed'; readonly readyQueues: readonly string[]; readonly runId: string }
  | { readonly status: 'lost' };

export interface LeaseView {
  readonly shard: number;
  readonly owner: string | undefined;
  readonly epoch: number;
  readonly untilMs: number;
}

export interface MemberView {
  readonly id: string;
  readonly untilMs: number;
  /** What the worker says of itself: host, pid, start. */
  readonly info: Readonly<Record<string, unknown>>;
}

export interface Alive {
  readonly workers: readonly string[];
  /** Until the first heartbeat ends, milliseconds; the asking worker's own counts too. */
  readonly firstEndsInMs: number;
}

export interface Leases {
  acquire(shard: number, owner: string, ttlMs: number): Promise<Acquired>;
  renew(shard: number, owner: string, epoch: number, ttlMs: number): Promise<Renewed>;
  release(shard: number, owner: string, epoch: number): Promise<void>;
  /** Prolongs a worker's membership, and tells who is alive and when the first of the others will be missed. */
  heartbeat(worker: string, ttlMs: number, info: object): Promise<Alive>;
  leave(worker: string): Promise<void>;
  readLeases(): Promise<readonly LeaseView[]>;
  readMembers(): Promise<readonly MemberView[]>;
}

export function createLeases({ redis, keys, shards }: { redis: RedisClient; keys: Keys; shards: number }): Leases {
  const beat = async (worker: string, ttlMs: number, info: object) => {
    const reply = (await heartbeatScript.run(
      redis,
      [keys.fleet, keys.fleetInfo],
      [worker, ttlMs, JSON.stringify(info), keys.fleetChanged],
    )) as [string, string[], number];
    if (reply[0] !== 'alive') throw unexpectedReply('heartbeat', reply);
    return { workers: reply[1], firstEndsInMs: reply[2] };
  };
  return {
    async acquire(shard, owner, ttlMs) {
      const reply = (await acquireScript.run(redis, [keys.lease(shard)], [owner, ttlMs])) as [string, never, number, string];
      if (reply[0] === 'acquired') return { status: 'acquired', epoch: reply[1], hasOwnerDied: reply[2] === 1, runId: reply[3] };
      if (reply[0] === 'held') return { status: 'held', owner: reply[1], leftMs: reply[2] };
      throw unexpectedReply('acquire-lease', reply);
    },
    async renew(shard, owner, epoch, ttlMs) {
      const reply = (await renewScript.run(redis, [keys.lease(shard), keys.ready(shard)], [owner, epoch, ttlMs])) as [
        string,
        string[],
        string,
      ];
      if (reply[0] === 'renewed') return { status: 'renewed', readyQueues: reply[1], runId: reply[2] };
      if (reply[0] === 'lost') return { status: 'lost' };
      throw unexpectedReply('renew-lease', reply);
    },
    async release(shard, owner, epoch) {
      await releaseScript.run(redis, [keys.lease(shard)], [owner, epoch, keys.fleetChanged]);
    },
    heartbeat: beat,
    async leave(worker) {
      await beat(worker, 0, {});
    },
    async readLeases() {
      const all = Array.from({ length: shards }, (_, shard) => redis.hmget(keys.lease(shard), 'owner', 'epoch', 'until'));
      return (await Promise.all(all)).map(([owner, epoch, until], shard) => ({
        shard,
        owner: owner || undefined,
        epoch: Number(epoch ?? 0),
        untilMs: Number(until ?? 0),
      }));
    },
    async readMembers() {
      const [scores, info] = await Promise.all([redis.zrange(keys.fleet, '0', '-1', 'WITHSCORES'), redis.hgetall(keys.fleetInfo)]);
      return Array.from({ length: scores.length / 2 }, (_, i) => {
        const id = scores[i * 2] as string;
        return { id, untilMs: Number(scores[i * 2 + 1]), info: JSON.parse(info[id] ?? '{}') };
      });
    },
  };
}
