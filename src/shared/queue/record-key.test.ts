import { expect, test } from 'vitest';
import { createRecordHasher } from './record-key.ts';

const hasher = await createRecordHasher();
const key = (tenant: string, entity: string, recordId: string) => ({ tenant, entity, recordId });

test('shards and digests are those that Redis holds already', () => {
  const record = key('acme', 'contact', '0190a1b2');
  expect([hasher.shardOf(record, 16), hasher.shardOf(record, 1_024), hasher.digestOf(record)]).toMatchInlineSnapshot(`
    [
      6,
      934,
      "ljEbyDhhaVbBdxMdXC",
    ]
  `);
  expect(hasher.shardOfText('some key', 16)).toMatchInlineSnapshot(`12`);
});

test('parts that only look alike joined together are different records', () => {
  const alike = [key('a', 'bc', 'd'), key('a', 'b', 'cd'), key('ab', 'c', 'd'), key('a', '1:b', 'd')];
  expect(new Set(alike.map((each) => hasher.digestOf(each))).size).toBe(alike.length);
  expect(hasher.digestOf(key('a', 'c', 'd'))).toBe(hasher.digestOf(key('b', 'c', 'd')));
});

test('digests are 18 characters, different for different records', () => {
  const digests = Array.from({ length: 20_000 }, (_, i) => hasher.digestOf(key('t', 'contact', `r${i}`)));
  expect(digests.every((digest) => /^[A-Za-z0-9_-]{18}$/.test(digest))).toBe(true);
  expect(new Set(digests).size).toBe(digests.length);
});

test('records spread evenly over the shards', () => {
  const counts = new Array<number>(16).fill(0);
  for (let i = 0; i < 16_000; i++) {
    const shard = hasher.shardOf(key('t', 'contact', `r${i}`), 16);
    counts[shard] = (counts[shard] as number) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Math.max(...counts)).toBeLessThan(1_150);
});
