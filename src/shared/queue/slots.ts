/**
 * One script call may serve many queues where one Redis holds them all; on a cluster only those of one shard. This is the only place
 * that knows the difference.
 */
import { Cluster } from 'ioredis';
import type { RedisClient } from '../redis/connection.ts';

/** Shards that may share a script call have the same. */
export function slotOf(redis: RedisClient, shard: number): number {
  return redis instanceof Cluster ? shard : 0;
}

/** Splits work into groups that may share a script call: at most `maxWeight` each (but at least one item). */
export function groupForScript<T>(
  redis: RedisClient,
  items: readonly T[],
  shardOf: (item: T) => number,
  weightOf: (item: T) => number,
  maxWeight: number,
): T[][] {
  const open = new Map<number, { items: T[]; weight: number }>();
  const groups: T[][] = [];
  for (const item of items) {
    const slot = slotOf(redis, shardOf(item));
    let group = open.get(slot);
    const weight = weightOf(item);
    if (!group || group.weight + weight > maxWeight) {
      group = { items: [], weight: 0 };
      open.set(slot, group);
      groups.push(group.items);
    }
    group.items.push(item);
    group.weight += weight;
  }
  return groups;
}

/** By shard and epoch, in order: scripts check the lease once for all of them. */
export function groupByLease<T extends { readonly shard: number; readonly epoch: number }>(items: readonly T[]): T[][] {
  const groups: T[][] = [];
  const latest = new Map<number, T[]>();
  for (const item of items) {
    let group = latest.get(item.shard);
    if (group?.[0]?.epoch !== item.epoch) {
      group = [];
      latest.set(item.shard, group);
      groups.push(group);
    }
    group.push(item);
  }
  return groups;
}

/** Follows each of the texts that go to a script, or come from it, as one: a control character, so no JSON text holds it. */
export const textSeparator = '\x1f';
