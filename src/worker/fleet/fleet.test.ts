/** A worker's place in the fleet, with leases that a test plays: what may fail does, at every step. */
import { describe, expect, test } from 'vitest';
import type { Acquired, Leases, Renewed } from '../../shared/queue/leases.ts';
import { Fleet, type FleetDeps, type ShardHolder } from './fleet.ts';

const leaseTtlMs = 9_000;
const runId = 'a run of Redis';

/** Two shards, free, for the only worker there is. */
function start(part: { holder?: Partial<ShardHolder>; leases?: Partial<Leases>; deps?: Partial<FleetDeps> } = {}) {
  const clock = { now: 1_000 };
  const log: string[] = [];
  let epoch = 0;
  const leases = {
    acquire: async (shard: number): Promise<Acquired> => {
      log.push(`acquire ${shard}`);
      epoch += 1;
      return { status: 'acquired', epoch, hasOwnerDied: false, runId };
    },
    renew: async (): Promise<Renewed> => ({ status: 'renewed', readyQueues: ['crm'], runId }),
    release: async (shard: number) => void log.push(`release ${shard}`),
    heartbeat: async () => ({ workers: ['me'], firstEndsInMs: leaseTtlMs }),
    leave: async () => void log.push('leave'),
    readLeases: async () => [],
    readMembers: async () => [],
    ...part.leases,
  };
  const open = new Set<number>();
  const holder: ShardHolder = {
    openShard: async (shard, lease) => {
      open.add(shard);
      log.push(`open ${shard}${lease.hasOwnerDied ? ' after a death' : ''} until ${lease.endsAt}`);
    },
    renewed: (shard) => open.has(shard),
    drainShard: () => true,
    resumeShard: (shard) => void log.push(`resume ${shard}`),
    isHeldUp: () => false,
    dropShard: (shard) => {
      if (open.delete(shard)) log.push(`drop ${shard}`);
    },
    ...part.holder,
  };
  const fleet = new Fleet({
    leases,
    reader: { queuesOf: async () => ['crm'] },
    holder,
    workerId: 'me',
    shards: 2,
    leaseTtlMs,
    info: {},
    hash: (text) => text.length,
    now: () => clock.now,
    listen: async () => {},
    unlisten: async () => {},
    onChange: () => {},
    ...part.deps,
  });
  return { fleet, leases, holder, log, clock, open };
}

const failOnce = <A extends unknown[], T>(work: (...args: A) => Promise<T>) => {
  let hasFailed = false;
  return async (...args: A): Promise<T> => {
    if (hasFailed) return work(...args);
    hasFailed = true;
    throw new Error('Redis is away');
  };
};

test('takes the shards that are its share, and counts a lease from before it asked', async () => {
  const { fleet, clock, log } = start({
    deps: {
      listen: async () => {
        clock.now += 100;
      },
    },
  });
  await fleet.tick();
  expect(fleet.shardsOwned).toBe(2);
  expect(log.filter((line) => line.startsWith('open'))).toEqual(['open 0 until 10000', 'open 1 until 10000']);
});

test('it is a member from its first heartbeat that was answered until that ends, counted from before it asked', async () => {
  let isAway = false;
  const { fleet, clock } = start({
    leases: {
      heartbeat: async () => {
        if (isAway) throw new Error('Redis is away');
        clock.now += 100;
        return { workers: ['me'], firstEndsInMs: leaseTtlMs };
      },
    },
  });
  expect(fleet.whyNoMember).toBe('the worker has not joined the fleet yet');
  await fleet.tick();
  clock.now = 1_000 + leaseTtlMs - 1;
  expect(fleet.whyNoMember).toBeUndefined();
  isAway = true;
  await expect(fleet.tick()).rejects.toThrow('Redis is away');
  clock.now += 1;
  expect(fleet.whyNoMember).toBe('Redis does not answer');
  isAway = false;
  await fleet.tick();
  expect(fleet.whyNoMember).toBeUndefined();
  await fleet.leave();
  expect(fleet.whyNoMember).toBe('the process is shutting down');
});

test.each(['listen', 'queuesOf'] as const)('where %s fails, the shard is taken again: it is never owned and not served', async (step) => {
  const deps: Partial<FleetDeps> =
    step === 'listen' ? { listen: failOnce(async () => {}) } : { reader: { queuesOf: failOnce(async () => ['crm']) } };
  const { fleet, open } = start({ deps });
  await expect(fleet.tick()).rejects.toThrow('Redis is away');
  expect(fleet.shardsOwned).toBe(open.size);
  await fleet.tick();
  expect([fleet.shardsOwned, open.size]).toEqual([2, 2]);
});

test('a lost answer to its taking does not hide that the former owner died', async () => {
  const taken: Acquired = { status: 'acquired', epoch: 7, hasOwnerDied: false, runId };
  const { fleet, log } = start({ leases: { acquire: failOnce(async () => taken) } });
  await fleet.tick().catch(() => {});
  await fleet.tick();
  expect(log.filter((line) => line.startsWith('open')).sort()).toEqual(['open 0 after a death until 10000', 'open 1 until 10000']);
});

test('that the former owner died is not forgotten when the taking fails halfway', async () => {
  let asked = 0;
  const { fleet, log } = start({
    leases: { acquire: async () => ({ status: 'acquired', epoch: ++asked, hasOwnerDied: asked <= 2, runId }) },
    deps: { listen: failOnce(async () => {}) },
  });
  await fleet.tick().catch(() => {});
  await fleet.tick();
  expect(log.filter((line) => line.includes('after a death'))).toHaveLength(2);
});

test('a shard that it lost and takes back is taken as from a dead worker: its calls were cut', async () => {
  const { fleet, holder, log } = start();
  await fleet.tick();
  holder.dropShard(1);
  fleet.forget([1]);
  await fleet.tick();
  expect(log.at(-1)).toBe('open 1 after a death until 10000');
});

test('a shard that the engine let go of is not held on to', async () => {
  const { fleet, open } = start();
  await fleet.tick();
  open.delete(0);
  await fleet.tick();
  expect(open).toEqual(new Set([0, 1]));
});

test('a lease that another has is waited for, and not longer than it lasts', async () => {
  const { fleet } = start({ leases: { acquire: async () => ({ status: 'held', owner: 'other', leftMs: 700 }) } });
  expect(await fleet.tick()).toBe(701);
  expect(fleet.shardsOwned).toBe(0);
});

test('rounds do not overlap, though one of them failed early', async () => {
  let isSlow = true;
  let underWay = 0;
  let most = 0;
  const release: (() => void)[] = [];
  const { fleet, open } = start({
    leases: {
      acquire: async (shard) => {
        if (shard === 0 && isSlow) throw new Error('Redis is away');
        underWay++;
        most = Math.max(most, underWay);
        if (isSlow) await new Promise<void>((resolve) => release.push(resolve));
        underWay--;
        return { status: 'acquired', epoch: 1, hasOwnerDied: false, runId };
      },
    },
  });
  const first = fleet.tick().catch(() => 'failed');
  const second = fleet.tick();
  await new Promise((resolve) => setImmediate(resolve));
  expect(release).toHaveLength(1);
  isSlow = false;
  release[0]?.();
  expect(await first).toBe('failed');
  await second;
  expect(most).toBe(1);
  expect(open.size).toBe(2);
});

test('leaving, it is no member any more before it has handed everything over', async () => {
  let isBusy = true;
  const { fleet, log } = start({ holder: { drainShard: (shard) => shard === 0 || !isBusy } });
  await fleet.tick();
  log.length = 0;
  expect(await fleet.leave()).toBe(false);
  expect(log).toEqual(['leave', 'drop 0', 'release 0']);
  isBusy = false;
  expect(await fleet.leave()).toBe(true);
  expect(log).toEqual(['leave', 'drop 0', 'release 0', 'drop 1', 'release 1']);
});

test('while leaving it renews what it still has, and takes nothing', async () => {
  let renewals = 0;
  const { fleet, log } = start({
    holder: { drainShard: () => false },
    leases: {
      renew: async () => {
        renewals++;
        return { status: 'renewed', readyQueues: [], runId };
      },
    },
  });
  await fleet.tick();
  await fleet.leave();
  log.length = 0;
  await fleet.tick();
  expect(renewals).toBe(2);
  expect(log).toEqual([]);
});

test('when Redis is away as it leaves, it starts no more calls, and leaves when Redis is back', async () => {
  const drained: number[] = [];
  const { fleet } = start({
    leases: { leave: failOnce(async () => {}) },
    holder: { drainShard: (shard) => drained.push(shard) > 0 },
  });
  await fleet.tick();
  await expect(fleet.leave()).rejects.toThrow('Redis is away');
  expect(drained).toEqual([0, 1]);
  expect(await fleet.leave()).toBe(true);
});

test('shards whose calls had to be cut are not handed over: their leases expire, as a dead worker’s', async () => {
  const { fleet, log } = start({ holder: { drainShard: (shard) => shard === 0 } });
  await fleet.tick();
  log.length = 0;
  await fleet.abandon();
  expect(log.toSorted()).toEqual(['drop 0', 'drop 1', 'leave', 'release 0']);
  expect(fleet.shardsOwned).toBe(0);
});

test('a call that does not end keeps its shard from moving, and the shard’s others from being called only for a while', async () => {
  const workers = ['me'];
  let drained = false;
  let isHeldUp = false;
  const { fleet, log, clock } = start({
    leases: { heartbeat: async () => ({ workers, firstEndsInMs: leaseTtlMs }) },
    holder: { drainShard: () => drained, isHeldUp: () => isHeldUp },
  });
  await fleet.tick();
  log.length = 0;
  workers.splice(0, 1, 'other');
  expect(await fleet.tick()).toBe(10);
  clock.now += leaseTtlMs / 3;
  expect(await fleet.tick()).toBe(leaseTtlMs / 3);
  expect(log).toEqual(['resume 0', 'resume 1']);
  isHeldUp = true;
  drained = true;
  expect(await fleet.tick()).toBe(leaseTtlMs / 3);
  expect(fleet.shardsOwned).toBe(2);
  isHeldUp = false;
  await fleet.tick();
  expect(log.slice(2).toSorted()).toEqual(['drop 0', 'drop 1', 'release 0', 'release 1']);
});

describe('when Redis is another one, which may have lost its last moments', () => {
  const another = async (): Promise<Renewed> => ({ status: 'renewed', readyQueues: [], runId: 'another' });

  test('what has ended is written; then the shards are taken again as from a dead worker, and not handed over', async () => {
    let isDrained = false;
    const { fleet, leases, log } = start({ holder: { drainShard: () => isDrained } });
    await fleet.tick();
    log.length = 0;
    leases.renew = another;
    expect(await fleet.tick()).toBe(10);
    expect(log).toEqual([]);
    isDrained = true;
    await fleet.tick();
    expect(log.splice(0)).toEqual(['drop 0', 'drop 1']);
    await fleet.tick();
    expect(log.filter((line) => line.startsWith('open'))).toEqual(['open 0 after a death until 10000', 'open 1 after a death until 10000']);
  });

  test('slow calls are cut: nothing else could be called of what was accepted since', async () => {
    const { fleet, leases, log, clock } = start({ holder: { drainShard: () => false, isHeldUp: () => true } });
    await fleet.tick();
    log.length = 0;
    leases.renew = another;
    await fleet.tick();
    clock.now += leaseTtlMs / 3;
    await fleet.tick();
    expect(log).toEqual(['drop 0', 'drop 1']);
    expect(fleet.shardsOwned).toBe(0);
  });
});

test('one that leaves resumes nothing: its calls have the time that is left to it', async () => {
  const { fleet, log, clock } = start({ holder: { drainShard: () => false, isHeldUp: () => true } });
  await fleet.tick();
  log.length = 0;
  await fleet.leave();
  clock.now += leaseTtlMs;
  await fleet.leave();
  expect(log).toEqual(['leave']);
});

test('where the fleet’s own key cannot be reached, leases are renewed all the same: on a cluster it lies on one node, they on others', async () => {
  const renewed: number[] = [];
  const { fleet, leases } = start({
    leases: {
      renew: async (shard) => {
        renewed.push(shard);
        return { status: 'renewed', readyQueues: [], runId };
      },
    },
  });
  await fleet.tick();
  leases.heartbeat = async () => {
    throw new Error('its node is away');
  };
  await expect(fleet.tick()).rejects.toThrow('its node is away');
  expect(renewed).toEqual([0, 1]);
  expect(fleet.shardsOwned).toBe(2);
});

test('a lease that another took is let go of', async () => {
  const { fleet, leases, open } = start();
  await fleet.tick();
  leases.renew = async () => ({ status: 'lost' });
  leases.acquire = async () => ({ status: 'held', owner: 'other', leftMs: 1_000 });
  await fleet.tick();
  expect([fleet.shardsOwned, open.size]).toEqual([0, 0]);
});
