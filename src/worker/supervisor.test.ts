import { expect, test, vi } from 'vitest';
import { useFakeTimers } from '../../test/support/use-fake-timers.ts';
import { startLoop } from './supervisor.ts';

useFakeTimers();

function startCounting(rounds: (round: number) => Promise<number>) {
  const errors: unknown[] = [];
  let round = 0;
  const loop = startLoop({ tick: () => rounds(++round), onError: (error) => void errors.push(error), retryMs: 200 });
  return { loop, errors, rounds: () => round };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test('begins at once, and waits as long as each round says', async () => {
  const { rounds, loop } = startCounting(async (round) => round * 100);
  await pass(0);
  expect(rounds()).toBe(1);
  await pass(99);
  expect(rounds()).toBe(1);
  await pass(1);
  expect(rounds()).toBe(2);
  await pass(200);
  expect(rounds()).toBe(3);
  await loop.stop();
});

test('a failed round is told, and tried again after a while', async () => {
  const { rounds, errors, loop } = startCounting(async () => {
    throw new Error('Redis is away');
  });
  await pass(450);
  expect(rounds()).toBe(3);
  expect(errors).toHaveLength(3);
  await loop.stop();
});

test('woken, it goes on at once; woken during a round, right after it', async () => {
  let isSlow = false;
  let finish = () => {};
  const { rounds, loop } = startCounting(async () => {
    if (isSlow) {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    }
    return 10_000;
  });
  await pass(0);
  isSlow = true;
  loop.wake();
  await pass(0);
  expect(rounds()).toBe(2);
  loop.wake();
  await pass(0);
  expect(rounds()).toBe(2);
  isSlow = false;
  finish();
  await pass(0);
  expect(rounds()).toBe(3);
  await pass(5_000);
  expect(rounds()).toBe(3);
  await loop.stop();
});

test('stopped, it waits for the round that runs, and begins no other', async () => {
  let finish = () => {};
  const { rounds, loop } = startCounting(async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return 0;
  });
  let hasStopped = false;
  const stopping = loop.stop().then(() => {
    hasStopped = true;
  });
  await pass(0);
  expect(hasStopped).toBe(false);
  finish();
  await stopping;
  await pass(1_000);
  expect(rounds()).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});
