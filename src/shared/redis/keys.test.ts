import { expect, test } from 'vitest';
import { createKeys } from './keys.ts';

/** The part of a key that decides its slot on a cluster. */
const slotPart = (key: string) => /\{([^}]+)\}/.exec(key)?.[1] ?? key;

test('all keys of a shard share a slot, whatever names are in them', () => {
  const keys = createKeys('p:');
  const queue = 'crm:{odd} tenant}';
  const all = [
    keys.queue(7, queue),
    keys.counters(7, queue),
    keys.ready(7),
    keys.queues(7),
    keys.records(7, queue),
    keys.tries(7, queue),
    keys.results(7, queue, 1),
    keys.idempotency(7, '{x}'),
    keys.fingerprint(7, '{x}'),
    keys.deadLetters(7, 'crm'),
    keys.deadLetterIndex(7, 'crm'),
    keys.deadLetterProviders(7),
    keys.lease(7),
    keys.waiting(7),
    keys.routed(7, 'default'),
    keys.routed(7, '{x}'),
  ];
  expect(all.map(slotPart)).toEqual(all.map(() => '07'));
  expect(new Set(all).size).toBe(all.length);
});

test('the keys of a gate share a slot, and so do those of the fleet and of a token', () => {
  const keys = createKeys();
  expect([keys.gate('crm'), keys.gateWindow('crm', 1), keys.gateQuota('crm', 1)].map(slotPart)).toEqual(['crm', 'crm', 'crm']);
  expect(slotPart(keys.fleet)).toBe(slotPart(keys.fleetInfo));
  const token = [keys.token('crm'), keys.tokenLock('crm'), keys.refreshToken('crm'), keys.tokenPace('crm')];
  expect(new Set(token).size).toBe(4);
  expect(token.map(slotPart)).toEqual(token.map(() => 'crm'));
});

test('a hundred ranks share a bucket of results', () => {
  const keys = createKeys();
  expect(keys.results(0, 'crm', 199)).toBe(keys.results(0, 'crm', 100));
  expect(keys.results(0, 'crm', 200)).not.toBe(keys.results(0, 'crm', 199));
});
