import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { createRecordHasher, type RecordHasher } from '../../shared/queue/record-key.ts';
import { assignShards } from './assignment.ts';

let hasher: RecordHasher;
beforeAll(async () => {
  hasher = await createRecordHasher();
});
const hash = (text: string) => hasher.shardOfText(text, 2 ** 32);

const fleet = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,8}-[0-9]{1,4}$/), { minLength: 1, maxLength: 12 });
const shardCount = fc.integer({ min: 1, max: 64 });

function countsOf(assignment: ReadonlyMap<number, string>, workers: readonly string[]): number[] {
  return workers.map((worker) => [...assignment.values()].filter((owner) => owner === worker).length);
}

test('every shard has an owner, and nobody has more than one shard more than anybody else', () => {
  fc.assert(
    fc.property(shardCount, fleet, (shards, workers) => {
      const assignment = assignShards(shards, workers, hash);
      expect(assignment.size).toBe(shards);
      const counts = countsOf(assignment, workers);
      expect(Math.max(...counts)).toBe(Math.ceil(shards / workers.length));
      expect(Math.min(...counts)).toBe(Math.floor(shards / workers.length));
    }),
  );
});

test('every worker comes to the same answer, in whatever order it knows the others', () => {
  fc.assert(
    fc.property(shardCount, fleet, (shards, workers) => {
      expect(assignShards(shards, [...workers].reverse(), hash)).toEqual(assignShards(shards, workers, hash));
    }),
  );
});

test('when a worker comes, most of what moves moves to it', () => {
  let moved = 0;
  let movedToNew = 0;
  for (let i = 0; i < 200; i++) {
    const workers = Array.from({ length: 1 + (i % 6) }, (_, n) => `host${i}-${n * 31}`);
    const before = assignShards(32, workers, hash);
    const after = assignShards(32, [...workers, `new-${i}`], hash);
    for (const [shard, owner] of before) {
      if (after.get(shard) === owner) continue;
      moved++;
      if (after.get(shard) === `new-${i}`) movedToNew++;
    }
  }
  // It must get its share; what moves between the others is what their own shares leave over.
  expect(moved).toBeLessThan(1.35 * movedToNew);
});

test('when a worker goes, the others keep nearly all they have', () => {
  let kept = 0;
  let had = 0;
  for (let i = 0; i < 200; i++) {
    const workers = Array.from({ length: 2 + (i % 6) }, (_, n) => `host${i}-${n * 31}`);
    const before = assignShards(32, workers, hash);
    const after = assignShards(32, workers.slice(1), hash);
    for (const [shard, owner] of before) {
      if (owner === workers[0]) continue;
      had++;
      if (after.get(shard) === owner) kept++;
    }
  }
  expect(kept / had).toBeGreaterThan(0.9);
});

test('without workers nobody owns anything', () => {
  expect(assignShards(16, [], hash).size).toBe(0);
});
