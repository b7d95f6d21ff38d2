/** Writings that fail and are tried again, while others go on: random orders of what is added, answered and waited for. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { anOperation, aQueue } from '../../../test/support/lanes.ts';
import { useFakeTimers } from '../../../test/support/use-fake-timers.ts';
import type { Settlement } from '../../shared/queue/settle.ts';
import { finish } from './conclude.ts';
import { Settler } from './settler.ts';

useFakeTimers();

interface Writing {
  readonly settlements: readonly Settlement[];
  answer(isWritten: boolean): void;
}

const names = ['a', 'b', 'c'];

function start() {
  const underWay: Writing[] = [];
  const written: Record<string, number[]> = {};
  const queues = names.map((name) => aQueue(name));
  let rank = 0;
  const settler = new Settler({
    settle: (settlements) =>
      new Promise((resolve, reject) => {
        const busy = underWay.flatMap((writing) => writing.settlements.map(({ queue }) => queue));
        for (const { queue } of settlements) expect(busy, 'no queue is written twice at once').not.toContain(queue);
        const writing: Writing = {
          settlements,
          answer(isWritten) {
            underWay.splice(underWay.indexOf(writing), 1);
            if (isWritten) resolve(settlements.map(() => 'ok' as const));
            else reject(new Error('timed out'));
          },
        };
        underWay.push(writing);
      }),
    keepOf: () => 100,
    slotOf: () => 0,
    onWritten: () => {},
    onLost: () => {},
    onBatch: () => {},
    onError: () => {},
    onBug: (error) => {
      throw error;
    },
  });
  const added: Record<string, number[]> = {};
  const add = (index: number) => {
    const queue = queues[index] as (typeof queues)[number];
    const mine = ++rank;
    added[queue.name] = [...(added[queue.name] ?? []), mine];
    const whenWritten = () => {
      written[queue.name] = [...(written[queue.name] ?? []), mine];
    };
    settler.add(queue, { finals: [finish(anOperation(mine), 'succeeded', 2_000)], whenWritten });
  };
  const isUnwritten = ({ name }: { name: string }) => (written[name] ?? []).length < (added[name] ?? []).length;
  const isWhole = () => !queues.some(isUnwritten);
  /** What is not written yet is known, so that no shard is handed over before. */
  const expectBusy = () => {
    for (const queue of queues.filter(isUnwritten)) expect(settler.isBusyWithQueue(queue)).toBe(true);
  };
  const isIdle = () => !queues.some((queue) => settler.isBusyWithQueue(queue));
  return { underWay, written, added, add, isWhole, expectBusy, isIdle };
}

const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), queue: fc.nat(names.length - 1) }),
  fc.record({ do: fc.constant('answer' as const), which: fc.nat(3), isWritten: fc.boolean() }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 3, 50, 101) }),
);

test('whatever fails, and whenever its answer comes, every end is written, in order, by one writing at a time', async () => {
  const steps = fc.array(step, { minLength: 10, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const scene = start();
      for (const each of history) {
        if (each.do === 'add') scene.add(each.queue);
        if (each.do === 'answer') scene.underWay[each.which % Math.max(1, scene.underWay.length)]?.answer(each.isWritten);
        await vi.advanceTimersByTimeAsync(each.do === 'wait' ? each.ms : 0);
        scene.expectBusy();
      }
      for (let round = 0; round < 100 && !scene.isWhole(); round++) {
        for (const writing of [...scene.underWay]) writing.answer(true);
        await vi.advanceTimersByTimeAsync(101);
      }
      expect(scene.written).toEqual(scene.added);
      await vi.advanceTimersByTimeAsync(0);
      expect(scene.isIdle()).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
