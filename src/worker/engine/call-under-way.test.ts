import { expect, test } from 'vitest';
import { aLane, anOperation, aQueue, aShard } from '../../../test/support/lanes.ts';
import { CallUnderWay, type Permit } from './call-under-way.ts';
import type { Lane } from './lane.ts';

const prepared = { call: {} as never, body: undefined };

function aCall(lanes: readonly Lane[], { until = 100, now = 0, series = { isRevoked: false } } = {}) {
  const clock = { now };
  const further: Permit[] = [];
  const parts = lanes.map((lane) => ({ lane, length: 1, prepared }));
  const call = new CallUnderWay(
    parts,
    { from: 0, until, series },
    {
      account: 'crm',
      now: () => clock.now,
      startMarginMs: 20,
      awaitPermit: async () => further.shift(),
    },
  );
  return { call, clock, further };
}

const laneOf = (shard = aShard({ leaseEndsAt: 1_000 })) => aLane([anOperation(1)], { queue: aQueue('crm', shard) });

test('may start while its permit lasts, and then knows when it did', () => {
  const { call, clock } = aCall([laneOf()]);
  clock.now = 100;
  expect(call.mayStart()).toBe(true);
  expect([call.startedAt, call.lastSentAt]).toEqual([100, 100]);
  clock.now = 100.1;
  expect(call.mayStart()).toBe(false);
});

test('does not start with a permit that was revoked since, nor does its further request', async () => {
  const series = { isRevoked: false };
  const { call, further } = aCall([laneOf()], { series });
  further.push({ from: 0, until: 100, series });
  const guard = await call.nextRequest();
  series.isRevoked = true;
  expect([call.mayStart(), guard?.mayStart()]).toEqual([false, false]);
  series.isRevoked = false;
  expect([call.mayStart(), guard?.mayStart()]).toEqual([true, true]);
});

test('does not start when too little is left of its lease: a process that was frozen asks the clock first', () => {
  const { call, clock } = aCall([laneOf()], { until: 10_000 });
  clock.now = 980;
  expect(call.mayStart()).toBe(true);
  clock.now = 981;
  expect(call.mayStart()).toBe(false);
});

test('does not start for a shard that is handed over or gone, nor for a provider that was deleted', () => {
  const lane = laneOf();
  const { call } = aCall([laneOf(), lane]);
  lane.queue.shard.isDraining = true;
  expect(call.mayStart()).toBe(false);
  lane.queue.shard.isDraining = false;
  lane.queue.isDropped = true;
  expect(call.mayStart()).toBe(false);
  lane.queue.isDropped = false;
  expect(call.mayStart()).toBe(true);
  lane.queue.shard.isGone = true;
  expect(call.mayStart()).toBe(false);
});

test('a batch starts only if the leases of all its lanes last', () => {
  const { call, clock } = aCall([laneOf(), laneOf(aShard({ shard: 1, leaseEndsAt: 50 }))]);
  clock.now = 29;
  expect(call.mayStart()).toBe(true);
  clock.now = 31;
  expect(call.mayStart()).toBe(false);
});

test('a further request has a permit of its own, and goes even while its shard is handed over, but not once that is gone', async () => {
  const lane = laneOf();
  const { call, clock, further } = aCall([lane]);
  further.push({ from: 150, until: 200 }, { from: 150, until: 200 });
  const guard = await call.nextRequest();
  clock.now = 200;
  lane.queue.shard.isDraining = true;
  expect([call.mayStart(), guard?.mayStart()]).toEqual([false, true]);
  expect(call.lastSentAt).toBe(200);
  clock.now = 201;
  expect(guard?.mayStart()).toBe(false);
  expect(call.lastSentAt).toBe(200);
  clock.now = 190;
  lane.queue.shard.isGone = true;
  expect((await call.nextRequest())?.mayStart()).toBe(false);
});

test('there is no further request where no permit will come, nor once the call has ended', async () => {
  const { call, further } = aCall([laneOf()]);
  expect(await call.nextRequest()).toBeUndefined();
  further.push({ from: 0, until: 100 });
  call.hasEnded = true;
  expect(await call.nextRequest()).toBeUndefined();
});
