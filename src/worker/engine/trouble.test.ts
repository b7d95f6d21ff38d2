import { expect, test } from 'vitest';
import { Trouble } from './trouble.ts';

function open() {
  const clock = { now: 0 };
  const told: unknown[] = [];
  const trouble = new Trouble({
    now: () => clock.now,
    onFailing: ({ code }, failures) => void told.push([code, failures]),
    onOver: () => void told.push('over'),
  });
  const fail = (code = 'connection_refused') => trouble.failed({ kind: 'transient', code, message: 'm' });
  return { clock, told, trouble, fail };
}

test('the first failure is told, then one a minute with how many there were, then that it is over', () => {
  const { clock, told, trouble, fail } = open();
  trouble.answered();
  for (let i = 0; i < 10; i++) fail();
  clock.now = 60_000;
  fail('connect_timeout');
  trouble.answered();
  trouble.answered();
  expect(told).toEqual([['connection_refused', 1], ['connect_timeout', 10], 'over']);
});

test('failing now and then it is told once a minute', () => {
  const { clock, told, trouble, fail } = open();
  for (; clock.now < 120_000; clock.now += 1_000) {
    fail();
    trouble.answered();
  }
  expect(told).toEqual([['connection_refused', 1], 'over', ['connection_refused', 60], 'over']);
});
