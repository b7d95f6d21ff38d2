import { expect, test, vi } from 'vitest';
import { anOperation, aQueue, aShard } from '../../../test/support/lanes.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Settlement } from '../../shared/queue/settle.ts';
import { finish } from './conclude.ts';
import { Settler, type SettlerDeps, type SettlerItem } from './settler.ts';
import type { QueueState } from './shard-state.ts';

useFakeTimers();

type Settle = (settlements: readonly Settlement[]) => Promise<readonly ('ok' | 'lost')[]>;
const ok: Settle = async (settlements) => settlements.map(() => 'ok');
const away: Settle = async () => {
  throw new Error('Redis is away');
};

function startSettler(settle: Settle = ok, part: Partial<SettlerDeps> = {}) {
  const redis = { settle };
  const written: Settlement[][] = [];
  const events: string[] = [];
  const settler = new Settler({
    settle: (settlements) => {
      written.push([...settlements]);
      return redis.settle(settlements);
    },
    keepOf: () => 100,
    slotOf: () => 0,
    onWritten: (queue, items) => void events.push(`written ${queue.name} ${items.map(sizesOf).join(' ')}`),
    onLost: (queue) => void events.push(`lost ${queue.name}`),
    onBatch: (operations) => void events.push(`batch ${operations}`),
    onError: () => void events.push('error'),
    onBug: () => void events.push('bug'),
    ...part,
  });
  return { settler, redis, written, events };
}

const sizesOf = ({ finals = [], settledBefore = [] }: SettlerItem) => `${finals.length}+${settledBefore.length}`;
const final = (rank: number) => finish(anOperation(rank), 'succeeded', 2_000);
const ranks = (settlements: readonly Settlement[] | undefined) =>
  settlements?.map(({ queue, finals }) => [queue, finals.map(({ entry }) => entry.rank)]);

test('gathers what ends close together, and writes it in one step', async () => {
  const { settler, written, events } = startSettler();
  const [a, b] = [aQueue('a'), aQueue('b')];
  settler.add(a, { finals: [final(1)] });
  settler.add(b, { finals: [final(2)] });
  settler.add(a, { finals: [final(3)], settledBefore: [{ ms: 1, rank: 9 }] });
  await vi.advanceTimersByTimeAsync(5);
  expect(written.map(ranks)).toEqual([
    [
      ['a', [1, 3]],
      ['b', [2]],
    ],
  ]);
  expect(events).toEqual(['written a 1+0 1+1', 'written b 1+0', 'batch 4']);
});

test('a node of a cluster that hangs holds up no other', async () => {
  const isHanging = ([settlement]: readonly Settlement[]) => settlement?.shard === 0;
  const hang = new Promise<never>(() => {});
  const { settler, written, events } = startSettler((settlements) => (isHanging(settlements) ? hang : ok(settlements)), {
    slotOf: (shard) => shard,
  });
  const queues = [0, 1, 2].map((shard) => aQueue(`q${shard}`, aShard({ shard })));
  for (const queue of queues) settler.add(queue, { finals: [final(1)] });
  await vi.advanceTimersByTimeAsync(5);
  expect(written).toHaveLength(3);
  expect(events.filter((event) => event.startsWith('written'))).toEqual(['written q1 1+0', 'written q2 1+0']);
  expect(queues.map((queue) => settler.isBusyWithQueue(queue))).toEqual([true, false, false]);
});

test('what ends while a writing fails is written after it, be it more than a call takes as arguments', async () => {
  let fail = () => {};
  const { settler, redis, events } = startSettler(
    () =>
      new Promise((_, reject) => {
        fail = () => reject(new Error('Redis is away'));
      }),
  );
  const queue = aQueue('a');
  settler.add(queue, { finals: [final(1)] });
  await vi.advanceTimersByTimeAsync(5);
  const item = { settledBefore: [{ ms: 1, rank: 2 }] };
  for (let i = 0; i < 200_000; i++) settler.add(queue, item);
  redis.settle = ok;
  fail();
  await vi.advanceTimersByTimeAsync(200);
  expect(events.filter((event) => !event.startsWith('written'))).toEqual(['error', 'batch 200001']);
});

test('lanes go on only once the end of their call is written', async () => {
  let answer = () => {};
  const { settler } = startSettler(async (settlements) => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return settlements.map(() => 'ok');
  });
  let goesOn = false;
  settler.add(aQueue(), {
    finals: [final(1)],
    whenWritten: () => {
      goesOn = true;
    },
  });
  await vi.advanceTimersByTimeAsync(50);
  expect(goesOn).toBe(false);
  answer();
  await vi.advanceTimersByTimeAsync(0);
  expect(goesOn).toBe(true);
});

test('while Redis is away nothing is forgotten; what came first is written first', async () => {
  const { settler, redis, written, events } = startSettler(away);
  const queue = aQueue();
  const goneOn: number[] = [];
  settler.add(queue, { finals: [final(1)], whenWritten: () => void goneOn.push(1) });
  await vi.advanceTimersByTimeAsync(250);
  expect(goneOn).toEqual([]);
  settler.add(queue, { finals: [final(2)], whenWritten: () => void goneOn.push(2) });
  redis.settle = ok;
  await vi.advanceTimersByTimeAsync(150);
  expect(ranks(written.at(-1))).toEqual([['crm', [1, 2]]]);
  expect(goneOn).toEqual([1, 2]);
  expect(events.filter((event) => event === 'error').length).toBeGreaterThanOrEqual(2);
  expect(written.length).toBeLessThan(8);
});

test('one queue that cannot be written holds up no other', async () => {
  const { settler, written } = startSettler(async (settlements) => {
    if (settlements.some(({ queue }) => queue === 'bad')) throw new Error('WRONGTYPE');
    return settlements.map(() => 'ok');
  });
  const goneOn: string[] = [];
  for (const name of ['a', 'bad', 'b']) settler.add(aQueue(name), { finals: [final(1)], whenWritten: () => void goneOn.push(name) });
  await vi.advanceTimersByTimeAsync(300);
  expect(goneOn).toEqual(['a', 'b']);
  expect(written.filter((settlements) => settlements.some(({ queue }) => queue === 'a'))).toHaveLength(2);
});

test('nor does it slow them down, for as long as it cannot be written', async () => {
  const fails: Settle = async (settlements) => {
    if (settlements.some(({ queue }) => queue === 'bad')) throw new Error('cannot be written');
    return settlements.map(() => 'ok');
  };
  const { settler, written } = startSettler(fails);
  const [bad, good] = [aQueue('bad'), aQueue('good')];
  settler.add(bad, { finals: [final(1)] });
  await vi.advanceTimersByTimeAsync(5);
  const goneOn: number[] = [];
  for (let rank = 1; rank <= 50; rank++) {
    settler.add(good, { finals: [final(rank)], whenWritten: () => void goneOn.push(rank) });
    await vi.advanceTimersByTimeAsync(3);
  }
  expect(goneOn).toHaveLength(50);
  settler.add(bad, { finals: [final(2)] });
  await vi.advanceTimersByTimeAsync(200);
  expect(written.filter((batch) => batch.length > 1)).toEqual([]);
  expect(ranks(written.at(-1))).toEqual([['bad', [1, 2]]]);
  expect(settler.isBusyWithQueue(bad)).toBe(true);
  settler.close();
});

test('a fault in what follows a writing does not write it again, nor tell the others twice', async () => {
  const { settler, written, events } = startSettler();
  const goneOn: number[] = [];
  const queue = aQueue();
  settler.add(queue, {
    finals: [final(1)],
    whenWritten: () => {
      throw new Error('a bug');
    },
  });
  settler.add(queue, { finals: [final(2)], whenWritten: () => void goneOn.push(2) });
  await vi.advanceTimersByTimeAsync(500);
  expect(written).toHaveLength(1);
  expect(goneOn).toEqual([2]);
  expect(events).toEqual(['bug', 'written crm 1+0 1+0', 'batch 2']);
});

test.each(['onLost', 'onBatch', 'onWritten'] as const)('nor does a fault of %s', async (which) => {
  const faulty = () => {
    throw new Error('a bug');
  };
  const { settler, written, events } = startSettler(async () => ['ok', 'lost', 'ok'], { [which]: faulty });
  const goneOn: string[] = [];
  for (const name of ['a', 'another’s', 'b']) settler.add(aQueue(name), { finals: [final(1)], whenWritten: () => void goneOn.push(name) });
  await vi.advanceTimersByTimeAsync(500);
  expect(written).toHaveLength(1);
  expect(goneOn).toEqual(['a', 'b']);
  expect(events).toContain('bug');
  expect(events).not.toContain('error');
});

test('a lost lease is told, and its lanes do not go on', async () => {
  const { settler, events } = startSettler(async (settlements) => settlements.map(() => 'lost'));
  settler.add(aQueue(), { finals: [final(1)], whenWritten: () => void events.push('goes on') });
  await vi.advanceTimersByTimeAsync(50);
  expect(events).toEqual(['lost crm', 'batch 0']);
});

test('a late answer about a shard that is gone says nothing about the shard as it was taken back', async () => {
  const shard = aShard();
  const { settler, events } = startSettler(async (settlements) => {
    shard.isGone = true;
    return settlements.map(() => 'lost');
  });
  settler.add(aQueue('crm', shard), { finals: [final(1)] });
  await vi.advanceTimersByTimeAsync(50);
  expect(events).toEqual(['batch 0']);
});

test('nothing is written for a shard that is gone', async () => {
  const { settler, written } = startSettler();
  const shard = aShard();
  const queue = aQueue('crm', shard);
  settler.add(queue, { finals: [final(1)] });
  shard.isGone = true;
  settler.add(queue, { finals: [final(2)] });
  await vi.advanceTimersByTimeAsync(50);
  expect(written.flat()).toEqual([]);
});

test('knows whose writing is not done', async () => {
  const { settler } = startSettler();
  const queue = aQueue();
  const busy = (which: QueueState) => [settler.isBusyWith(which.shard), settler.isBusyWithQueue(which)];
  expect(busy(queue)).toEqual([false, false]);
  settler.add(queue, { finals: [final(1)] });
  expect(busy(queue)).toEqual([true, true]);
  void settler.tick();
  expect(busy(queue)).toEqual([true, true]);
  expect(settler.isBusyWithQueue(aQueue('other', queue.shard))).toBe(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(busy(queue)).toEqual([false, false]);
});

test('many ends at once do not wait for the timer', async () => {
  const { settler, written } = startSettler();
  settler.add(aQueue(), { finals: Array.from({ length: 64 }, (_, i) => final(i + 1)) });
  await vi.advanceTimersByTimeAsync(0);
  expect(written).toHaveLength(1);
});

test('very many go in several batches, and the lanes of one go on while the next is being written', async () => {
  const { settler, written } = startSettler((settlements) =>
    settlements.some(({ queue }) => queue === 'c') ? new Promise(() => {}) : ok(settlements),
  );
  const goneOn: string[] = [];
  for (const [name, count] of Object.entries({ a: 300, b: 300, c: 1 }))
    settler.add(aQueue(name), { finals: Array.from({ length: count }, (_, i) => final(i + 1)), whenWritten: () => void goneOn.push(name) });
  await vi.advanceTimersByTimeAsync(5);
  expect(written.map((settlements) => settlements.map(({ queue }) => queue))).toEqual([['a', 'b'], ['c']]);
  expect(goneOn).toEqual(['a', 'b']);
});

test('after closing no timer is left, whatever still ends', async () => {
  const { settler, written } = startSettler();
  settler.add(aQueue(), { finals: [final(1)] });
  settler.close();
  settler.add(aQueue(), { finals: Array.from({ length: 64 }, (_, i) => final(i + 2)) });
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(500);
  expect(written).toEqual([]);
});
