/** Several workers' fleets on one Redis: who holds what, and when it changes hands. */
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createLeases } from '../../shared/queue/leases.ts';
import { createRecordHasher, type RecordHasher } from '../../shared/queue/record-key.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import { Fleet } from './fleet.ts';

const shards = 16;
let redis: RedisClient;
let hasher: RecordHasher;
let prefixes = 0;

useRedis(async (client) => {
  redis = client;
  hasher = await createRecordHasher();
});
afterEach(async () => {
  await redis.flushall();
});

interface Member {
  readonly fleet: Fleet;
  readonly open: Map<number, { epoch: number; hasOwnerDied: boolean }>;
  readonly busy: Set<number>;
  readonly epochs: number[];
}

function startFleet() {
  prefixes += 1;
  const keys = createKeys(`f${prefixes}:`);
  const leases = createLeases({ redis, keys, shards });
  const members: Member[] = [];
  const join = (workerId: string, leaseTtlMs = 60_000): Member => {
    const member: Member = {
      open: new Map(),
      busy: new Set(),
      epochs: [],
      fleet: new Fleet({
        leases,
        reader: { queuesOf: async () => [] },
        holder: {
          async openShard(shard, { epoch, hasOwnerDied }) {
            member.open.set(shard, { epoch, hasOwnerDied });
            member.epochs.push(epoch);
          },
          renewed: (shard) => member.open.has(shard),
          drainShard: (shard) => !member.busy.has(shard),
          resumeShard: () => {},
          isHeldUp: () => false,
          dropShard: (shard) => void member.open.delete(shard),
        },
        workerId,
        shards,
        leaseTtlMs,
        info: {},
        hash: (text) => hasher.shardOfText(text, 2 ** 32),
        now: () => performance.now(),
        listen: async () => {},
        unlisten: async () => {},
        onChange: () => {},
      }),
    };
    members.push(member);
    return member;
  };
  /** Rounds for all until nothing moves any more. */
  const settle = async (playing: readonly Member[] = members) => {
    for (let round = 0; round < 4; round++) for (const { fleet } of playing) await fleet.tick();
  };
  return { join, settle, members, leases };
}

const counts = (members: readonly Member[]) => members.map(({ open }) => open.size).sort((a, b) => a - b);
const owned = (members: readonly Member[]) => members.flatMap(({ open }) => [...open.keys()]).sort((a, b) => a - b);
const all = Array.from({ length: shards }, (_, shard) => shard);

test('one worker holds everything; with each that joins the shards are shared evenly, none twice', async () => {
  const { join, settle, members } = startFleet();
  for (const share of [[16], [8, 8], [5, 5, 6], [4, 4, 4, 4], [3, 3, 3, 3, 4]]) {
    join(`w${members.length}`);
    await settle();
    expect(counts(members)).toEqual(share);
    expect(owned(members)).toEqual(all);
  }
});

test('a worker that leaves hands over at once: nobody waits for a lease to end', async () => {
  const { join, settle, members } = startFleet();
  const [a, b] = [join('a'), join('b')];
  await settle();
  expect(await a.fleet.leave()).toBe(true);
  await settle([b]);
  expect(owned(members)).toEqual(all);
  expect([...b.open.values()].some(({ hasOwnerDied }) => hasOwnerDied)).toBe(false);
});

test('what a leaving worker has let go of is taken while it still waits for the rest', async () => {
  const { join, settle } = startFleet();
  const [a, b] = [join('a'), join('b')];
  await settle();
  const busy = [...a.open.keys()][0] as number;
  a.busy.add(busy);
  expect(await a.fleet.leave()).toBe(false);
  await b.fleet.tick();
  expect(owned([b])).toEqual(all.filter((shard) => shard !== busy));
  a.busy.clear();
  expect(await a.fleet.leave()).toBe(true);
  await b.fleet.tick();
  expect(owned([b])).toEqual(all);
});

test('a dead worker’s shards are taken when its leases have ended, and not before', async () => {
  const { join, settle, members, leases } = startFleet();
  const [dead, other] = [join('dead', 400), join('other', 400)];
  await settle();
  const orphans = (await leases.readLeases()).filter(({ owner }) => owner === 'dead');
  expect(orphans).toHaveLength(8);
  members.splice(members.indexOf(dead), 1);
  const early = new Set<number>();
  await eventually(
    async () => {
      await other.fleet.tick();
      const [seconds, micros] = await redis.time();
      const nowMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
      for (const { shard, untilMs } of orphans) if (other.open.has(shard) && nowMs < untilMs) early.add(shard);
      return other.open.size === shards;
    },
    { intervalMs: 5 },
  );
  expect(early).toEqual(new Set());
  expect(orphans.every(({ shard }) => other.open.get(shard)?.hasOwnerDied)).toBe(true);
});

test('the epoch of a shard grows with every change of hands', async () => {
  const { join, settle, leases } = startFleet();
  const a = join('a');
  await settle();
  const before = await leases.readLeases();
  const b = join('b');
  await settle();
  const moved = [...b.open.keys()];
  for (const { shard, epoch } of await leases.readLeases()) expect(epoch > (before[shard]?.epoch ?? 0)).toBe(moved.includes(shard));
  expect([...a.open].every(([shard, { epoch }]) => epoch === before[shard]?.epoch)).toBe(true);
});

test('a shard with calls in flight is handed over when they have ended, and looked at again soon', async () => {
  const { join, settle } = startFleet();
  const a = join('a');
  await settle();
  for (const shard of all) a.busy.add(shard);
  const b = join('b');
  await b.fleet.tick();
  expect(await a.fleet.tick()).toBe(10);
  expect(a.open.size).toBe(shards);
  a.busy.clear();
  await settle();
  expect(counts([a, b])).toEqual([8, 8]);
});

test('two workers that join at the same moment never both hold a shard', async () => {
  const { join, members } = startFleet();
  for (let i = 0; i < 6; i++) join(`w${i}`);
  for (let round = 0; round < 6; round++) {
    await Promise.all(members.map(({ fleet }) => fleet.tick()));
    const held = owned(members);
    expect(new Set(held).size).toBe(held.length);
  }
  expect(owned(members)).toEqual(all);
});
