import { expect, test } from 'vitest';
import { createOwnWrites } from './own-writes.ts';

test('the last write to a record is remembered, with ids of either length', () => {
  const writes = createOwnWrites();
  writes.note('0035g0000000001AAA', 1_000);
  writes.note('0035g0000000001', 2_000);
  expect(writes.lastMs('0035g0000000001AAA')).toBe(2_000);
  expect(writes.lastMs('0035g0000000002AAA')).toBeUndefined();
});

test('records written to long ago are crowded out', () => {
  const writes = createOwnWrites(2);
  writes.note('a', 1);
  writes.note('b', 2);
  writes.note('a', 3);
  writes.note('c', 4);
  expect(['a', 'b', 'c'].map((id) => writes.lastMs(id))).toEqual([3, undefined, 4]);
});
