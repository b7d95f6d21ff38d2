import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aLane, anOperation, aQueue, aShard } from '../../../test/support/lanes.ts';
import type { Lane } from './lane.ts';
import { ReadyLanes } from './ready-lanes.ts';

const lanesOf = (tenant: string, count: number, shard = aShard()): Lane[] => {
  const queue = aQueue(`crm:${tenant}`, shard);
  return Array.from({ length: count }, (_, i) => aLane([anOperation(i + 1)], { queue, digest: `${tenant}${i}` }));
};

function takeAll(ready: ReadyLanes): string[] {
  const taken: string[] = [];
  for (let lane = ready.shift(); lane; lane = ready.shift()) taken.push(lane.digest);
  return taken;
}

/** Jain's index: 1 where all get the same. */
const jain = (shares: readonly number[]) =>
  shares.reduce((a, b) => a + b, 0) ** 2 / (shares.length * shares.reduce((a, b) => a + b * b, 0));

test('a tenant with little is not behind one with much', () => {
  const ready = new ReadyLanes();
  for (const lane of lanesOf('much', 1_000)) ready.push(lane);
  for (const lane of lanesOf('little', 2)) ready.push(lane);
  const first = Array.from({ length: 4 }, () => ready.shift()?.queue.tenant);
  expect(first.filter((tenant) => tenant === 'little')).toHaveLength(2);
});

test('tenants that always have work get the same, whoever queues more (Jain 0.99)', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 50, max: 400 }), { minLength: 2, maxLength: 8 }), (amounts) => {
      const ready = new ReadyLanes();
      amounts.forEach((amount, i) => {
        for (const lane of lanesOf(`t${i}`, amount)) ready.push(lane);
      });
      const shares = amounts.map(() => 0);
      for (let i = 0; i < amounts.length * 50; i++) {
        const tenant = ready.shift()?.queue.tenant as string;
        shares[Number(tenant.slice(1))] = (shares[Number(tenant.slice(1))] as number) + 1;
      }
      expect(jain(shares)).toBeGreaterThanOrEqual(0.99);
    }),
    { numRuns: 20 },
  );
});

test('a tenant’s lanes go in the order they came; what could not start goes first', () => {
  const ready = new ReadyLanes();
  const lanes = lanesOf('a', 4);
  for (const lane of lanes.slice(0, 3)) ready.push(lane);
  ready.pushFirst(lanes[3] as Lane);
  expect(takeAll(ready)).toEqual(['a3', 'a0', 'a1', 'a2']);
});

test('counts what it holds, through thousands of lanes', () => {
  const ready = new ReadyLanes();
  const lanes = lanesOf('a', 3_000);
  for (const lane of lanes) ready.push(lane);
  for (let i = 0; i < 1_500; i++) ready.shift();
  ready.pushFirst(lanes[0] as Lane);
  expect(ready.size).toBe(1_501);
  expect(takeAll(ready)).toHaveLength(1_501);
  expect(ready.size).toBe(0);
});

test('knows since when somebody waits, also behind a lane that was put first just now', () => {
  const ready = new ReadyLanes();
  const [first, second] = lanesOf('a', 2) as [Lane, Lane];
  expect(ready.oldestReadyAt).toBe(Number.POSITIVE_INFINITY);
  first.readyAt = 10;
  ready.push(first);
  second.readyAt = 50;
  ready.pushFirst(second);
  expect(ready.oldestReadyAt).toBe(10);
});

test('lets go of lanes whose shard or provider is gone', () => {
  const ready = new ReadyLanes();
  const gone = aShard({ shard: 1 });
  const dropped = lanesOf('dropped', 2);
  for (const lane of [...lanesOf('kept', 2), ...lanesOf('gone', 3, gone), ...dropped]) ready.push(lane);
  gone.isGone = true;
  (dropped[0] as Lane).queue.isDropped = true;
  ready.prune();
  expect(ready.size).toBe(2);
  expect(takeAll(ready)).toEqual(['kept0', 'kept1']);
});

test('lanes of one tenant keep their order, whatever comes first, last and goes', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('push', 'pushFirst', 'shift'), { maxLength: 60 }), (steps) => {
      const ready = new ReadyLanes();
      const lanes = lanesOf('a', steps.length);
      const model: Lane[] = [];
      steps.forEach((step, i) => {
        if (step === 'shift') expect(ready.shift()).toBe(model.shift());
        else ready[step](lanes[i] as Lane);
        if (step === 'push') model.push(lanes[i] as Lane);
        if (step === 'pushFirst') model.unshift(lanes[i] as Lane);
      });
      expect(ready.size).toBe(model.length);
      expect(takeAll(ready)).toEqual(model.map(({ digest }) => digest));
    }),
  );
});
