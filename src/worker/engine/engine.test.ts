/** The engine as the fleet and the process see it, with a Redis that a test plays: what is let go of leaves nothing behind. */
import { expect, test, vi } from 'vitest';
import { type Answering, playedAdapter, silentTelemetry } from '../../../test/support/engine.ts';
import { createPlayedGate } from '../../../test/support/played-gate.ts';
import { providerConfig } from '../../../test/support/provider-config.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { TakenEntry } from '../../shared/queue/claim.ts';
import { Engine } from './engine.ts';
import type { EngineDeps } from './engine-deps.ts';

useFakeTimers();

const entry = (rank: number, part: Partial<TakenEntry> = {}): TakenEntry => ({
  ms: 1_000,
  rank,
  header: JSON.stringify(['u', `r${rank}`, 1_000]),
  data: '{"x":1}',
  digest: `d${rank}`,
  state: '',
  inheritedIn: 1,
  trial: undefined,
  ...part,
});

function start(part: { pending?: readonly TakenEntry[]; deps?: Partial<EngineDeps>; config?: ProviderConfig | undefined } = {}) {
  const faults: unknown[] = [];
  const calls: string[] = [];
  const reads: string[] = [];
  const configs = new Map([['crm', 'config' in part ? part.config : providerConfig()]]);
  const gate = createPlayedGate({ now: Date.now });
  const engine = new Engine({
    reader: {
      slotOf: () => 0,
      claim: async (requests) => requests.map(() => ({ status: 'read', isDrained: true, checkUpTo: 0, entries: [] })),
      async takeOver(_owner, queue, { after }) {
        reads.push(queue);
        return {
          status: 'taken',
          last: after === undefined && part.pending ? '1000-1' : undefined,
          checkUpTo: 0,
          entries: after === undefined ? (part.pending ?? []) : [],
        };
      },
      mark: async () => true,
      sweep: async () => true,
      queuesOf: async () => ['crm', 'crm:acme', 'other'],
      findFinal: async () => new Set(),
    },
    settle: async (settlements) => settlements.map(() => 'ok'),
    gate,
    telemetry: silentTelemetry(faults),
    findProvider: (name) => configs.get(name),
    accountOf: (name) => name,
    createAdapter: () =>
      playedAdapter((batch) => {
        for (const { recordId } of batch) calls.push(recordId);
        return batch.map(() => ({ status: 'accepted' }));
      }),
    canKeepAdapter: () => true,
    limits: { shards: 16, window: 512, windowBytes: 1e6, historyEntries: 100, historyBytes: 1e6, leaseTtlMs: 10_000 },
    now: Date.now,
    redisNow: Date.now,
    learnRedisNow: () => {},
    random: () => 1,
    ...part.deps,
  });
  const openShard = (shard = 0, epoch = 1, endsAt = Date.now() + 10_000) =>
    engine.openShard(shard, { epoch, endsAt, hasOwnerDied: false, survivedEpoch: 0 }, ['crm']);
  return { engine, faults, calls, reads, configs, openShard };
}

const due = (dueAtMs: number) => ({ attempts: 1, dueAtMs, error: undefined, startedIn: 0, sealedTo: 0, writtenIn: 1 });

test.each([true, false])(
  'what a dead owner left of a provider that was not known yet is taken over when it comes, a bell before that or not: %s',
  async (hasRung) => {
    const takeOvers: [string, boolean][] = [];
    const pending = entry(1, { inheritedIn: 2 });
    const calls: [string, boolean][] = [];
    const { engine, configs } = start({
      config: undefined,
      deps: {
        reader: {
          slotOf: () => 0,
          claim: async (requests) => requests.map(() => ({ status: 'read', isDrained: true, checkUpTo: 0, entries: [] })),
          async takeOver(_owner, queue, { hasOwnerDied }) {
            takeOvers.push([queue, hasOwnerDied]);
            return { status: 'taken', last: undefined, checkUpTo: 0, entries: [pending] };
          },
          mark: async () => true,
          sweep: async () => true,
          queuesOf: () => new Promise((resolve) => setTimeout(() => resolve(['crm']), 2)),
          findFinal: async () => new Set(),
        },
        createAdapter: () =>
          playedAdapter((batch) => {
            for (const { recordId, isInDoubt } of batch) calls.push([recordId, isInDoubt]);
            return batch.map(() => ({ status: 'accepted' }));
          }),
      },
    });
    await engine.openShard(0, { epoch: 2, endsAt: Date.now() + 60_000, hasOwnerDied: true, survivedEpoch: 0 }, ['crm']);
    expect(takeOvers).toEqual([]);
    configs.set('crm', providerConfig());
    engine.providerChanged('crm');
    if (hasRung) engine.ring(0, 'crm');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(takeOvers).toEqual([['crm', true]]);
    expect(calls).toEqual([['r1', true]]);
    await engine.close();
  },
);

test('a shard that is let go of leaves no timer and no memory behind, whatever its lanes waited for', async () => {
  const { engine, openShard } = start({
    pending: [entry(1, { trial: due(Date.now() + 3_600_000) }), entry(2, { trial: due(Date.now() + 60_000) })],
  });
  await openShard();
  await vi.advanceTimersByTimeAsync(10);
  expect(engine.held.entries).toBe(2);
  expect(vi.getTimerCount()).toBe(2);
  engine.dropShard(0);
  expect(engine.held).toEqual({ entries: 0, bytes: 0 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(vi.getTimerCount()).toBe(0);
});

test('a wait longer than a timer can be does not run out at once', async () => {
  const { calls, openShard } = start({ pending: [entry(1, { trial: due(Date.now() + 60 * 86_400_000) })] });
  await openShard();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toEqual([]);
});

test('opened again, a shard begins anew: what belonged to its former epoch does nothing any more', async () => {
  const { engine, calls, openShard } = start({ pending: [entry(1, { trial: due(Date.now() + 100) })] });
  await openShard(0, 1);
  await openShard(0, 2);
  expect(engine.held.entries).toBe(1);
  await vi.advanceTimersByTimeAsync(500);
  expect(calls).toEqual(['r1']);
});

test('a lost answer that speaks of a former epoch does not cost the present one its shard', async () => {
  let answer = (_: 'lost' | 'ok') => {};
  const { engine, openShard } = start({
    pending: [entry(1)],
    deps: {
      settle: (settlements) =>
        new Promise((resolve) => {
          answer = (word) => resolve(settlements.map(() => word));
        }),
    },
  });
  await openShard(0, 1);
  await vi.advanceTimersByTimeAsync(20);
  await openShard(0, 2);
  answer('lost');
  await vi.advanceTimersByTimeAsync(0);
  expect(engine.renewed(0, Date.now() + 10_000, [])).toBe(true);
});

test('a shard that is not here says so when its lease is renewed', () => {
  expect(start().engine.renewed(3, 0, [])).toBe(false);
});

test('queues of a provider that is not registered are opened when it is, and only its own', async () => {
  const { engine, reads, configs, openShard } = start({ config: undefined });
  await openShard();
  expect(reads).toEqual([]);
  configs.set('crm', providerConfig());
  engine.providerChanged('crm');
  await vi.advanceTimersByTimeAsync(10);
  expect(reads).toEqual(['crm', 'crm:acme']);
});

test('a deleted provider’s account is forgotten once nothing waits for it, and made anew when it is back', async () => {
  const { engine, calls, configs, openShard } = start({ pending: [entry(1), entry(2, { trial: due(Date.now() + 60_000) })] });
  await openShard();
  await vi.advanceTimersByTimeAsync(50);
  engine.tidyUp();
  expect([...engine.callsInFlight.keys()]).toEqual(['crm']);
  configs.delete('crm');
  engine.providerChanged('crm');
  engine.tidyUp();
  expect(engine.callsInFlight.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  configs.set('crm', providerConfig());
  engine.providerChanged('crm');
  await vi.advanceTimersByTimeAsync(100);
  // Of both its queues.
  expect(calls).toEqual(['r1', 'r1', 'r1']);
});

test('of a backlog that goes in one call, the share of the shards that are here is enough', async () => {
  const batches: number[] = [];
  const answer: Answering = (batch) => {
    batches.push(batch.length);
    return batch.map(() => ({ status: 'accepted' }));
  };
  const bulk = { minRecords: 32, maxRecords: 100, takes: () => true };
  const { openShard } = start({
    pending: [entry(1), entry(2)],
    deps: { createAdapter: () => ({ ...playedAdapter(answer, 2), bulk }) },
  });
  await Promise.all([openShard(0), openShard(1)]);
  await vi.advanceTimersByTimeAsync(1_000);
  // Of 16 shards.
  expect(batches).toEqual([4]);
});

test('shards whose lease is about to end are let go of, the others stay', async () => {
  const { engine, openShard } = start();
  await openShard(0, 1, Date.now() + 900);
  await openShard(1, 2, Date.now() + 5_000);
  expect(engine.dropExpired(1_000)).toEqual([0]);
  expect(engine.renewed(1, Date.now() + 5_000, [])).toBe(true);
});

test('a record state that cannot be read is told, and kills nobody', async () => {
  const { calls, faults, openShard } = start({ pending: [entry(1, { state: 'x|y|{no JSON' }), entry(2)] });
  await openShard();
  await vi.advanceTimersByTimeAsync(50);
  expect(calls.toSorted()).toEqual(['r1', 'r2']);
  expect(faults).toHaveLength(1);
});

test('an entry that is none is told and acknowledged, and the others go on', async () => {
  const settled: number[] = [];
  const { calls, faults, openShard } = start({
    pending: [entry(1, { header: 'no JSON' }), entry(2)],
    deps: {
      settle: async (settlements) => {
        for (const { settledBefore } of settlements) settled.push(...settledBefore.map(({ rank }) => rank));
        return settlements.map(() => 'ok');
      },
    },
  });
  await openShard();
  await vi.advanceTimersByTimeAsync(50);
  expect(calls).toEqual(['r2']);
  expect(settled).toEqual([1]);
  expect(faults).toHaveLength(1);
});

test('closed, it leaves no timer behind, whatever still ends', async () => {
  const { engine, openShard } = start({ pending: [entry(1), entry(2, { trial: due(Date.now() + 5_000) })] });
  await openShard();
  await vi.advanceTimersByTimeAsync(1);
  await engine.close();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(vi.getTimerCount()).toBe(0);
});
