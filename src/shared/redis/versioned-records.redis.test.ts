import { beforeEach, describe, expect, it } from 'vitest';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { RedisClient } from './connection.ts';
import { changesField, createVersionedRecords, parseRecord, type VersionedRecords, versionOf } from './versioned-records.ts';

const key = 'records';
const channel = 'records:changed';
let redis: RedisClient;
let records: VersionedRecords;
let now: number;

const { hear } = useRedis((client) => {
  redis = client;
});
beforeEach(async () => {
  await redis.flushall();
  now = Date.parse('2026-05-01T12:00:00Z');
  records = createVersionedRecords({ redis, key, channel, now: () => now });
});

interface Content {
  readonly held: { readonly n: number };
}
const content = (n: number): Content => ({ held: { n } });
const stored = async (field: string) => parseRecord<Content>((await records.read(field)) ?? '', 'held');

describe('writing', () => {
  it('counts, announces and dates each change', async () => {
    const heard = await hear(channel);
    expect(await records.write('a', undefined, content(1))).toMatchObject({ status: 'written' });
    const first = await stored('a');
    now += 1_000;
    expect(await records.write('a', first, content(2))).toEqual({ status: 'written', text: await records.read('a') });
    expect(await stored('a')).toEqual({
      version: 2,
      created_at: '2026-05-01T12:00:00.000Z',
      updated_at: '2026-05-01T12:00:01.000Z',
      held: { n: 2 },
    });
    expect(await records.readAll()).toEqual({ changes: 2, texts: new Map([['a', await records.read('a')]]) });
    expect(await records.countChanges()).toBe(2);
    expect(await heard()).toEqual(['a', 'a']);
  });

  it('changes nothing where another version is stored than the writer has seen', async () => {
    const heard = await hear(channel);
    const seen = { version: 3, created_at: undefined };
    expect(await records.write('a', seen, content(1))).toEqual({ status: 'conflict', version: 0 });
    await records.write('a', undefined, content(1));
    for (const before of [undefined, seen]) {
      expect(await records.write('a', before, content(2))).toEqual({ status: 'conflict', version: 1 });
    }
    expect((await stored('a'))?.held.n).toBe(1);
    expect([await records.countChanges(), await heard()]).toEqual([1, ['a']]);
  });

  it('lets none come to be whose parent is not there', async () => {
    const parent = { parent: 'a' };
    expect(await records.write('a/x', undefined, content(1), parent)).toEqual({ status: 'orphan' });
    await records.write('a', undefined, content(1));
    expect(await records.write('a/x', undefined, content(1), parent)).toMatchObject({ status: 'written' });
  });

  it('keeps to the bound, which the count of changes is no part of, and in which what is there can be replaced', async () => {
    const bound = { maxRecords: 2 };
    for (const field of ['a', 'b']) expect((await records.write(field, undefined, content(1), bound)).status).toBe('written');
    expect(await records.write('c', undefined, content(1), bound)).toEqual({ status: 'full' });
    expect((await records.write('a', await stored('a'), content(2), bound)).status).toBe('written');
    await records.remove('b');
    expect((await records.write('c', undefined, content(1), bound)).status).toBe('written');
    expect(await records.countChanges()).toBe(5);
  });

  it('replaces what is damaged by the version it begins with', async () => {
    await redis.hset(key, 'half', '{"version":7,"held":', 'none', 'damaged');
    expect(parseRecord('{"version":7,"held":[]}', 'held' as never)).toBeUndefined();
    for (const [field, version] of [
      ['half', 7],
      ['none', 0],
    ] as const) {
      const text = (await records.read(field)) as string;
      expect([parseRecord(text, 'held' as never), versionOf(text)]).toEqual([undefined, version]);
      await records.write(field, { version, created_at: undefined }, content(1));
      expect(await stored(field)).toMatchObject({ version: version + 1, created_at: '2026-05-01T12:00:00.000Z' });
    }
  });
});

describe('changing', () => {
  it('begins anew where another writer came between, so that no change is lost', async () => {
    await records.write('a', undefined, content(0));
    const addOne = () =>
      records.change('a', {}, async (text) => {
        const before = parseRecord<Content>(text ?? '', 'held');
        return records.write('a', before, content((before?.held.n ?? 0) + 1));
      });
    expect((await Promise.all(Array.from({ length: 8 }, addOne))).map(({ status }) => status)).toEqual(new Array(8).fill('written'));
    expect(await stored('a')).toMatchObject({ version: 9, held: { n: 8 } });
  });

  it('gives up where it loses every time', async () => {
    let attempts = 0;
    const conflict = { status: 'conflict', version: 5 } as const;
    const changed = await records.change('a', {}, async () => {
      attempts += 1;
      return conflict;
    });
    expect(changed).toEqual(conflict);
    expect(attempts).toBeLessThan(20);
  });

  it('asks for nothing where another version is stored than was asked for', async () => {
    const never = () => Promise.reject(new Error('it was asked'));
    for (const ifVersion of [0, 1, 'any'] as const)
      expect(await records.change('a', { ifVersion }, never), `${ifVersion}`).toEqual({ status: 'conflict', version: 0 });
    await records.write('a', undefined, content(1));
    expect(await records.change('a', { ifVersion: 2 }, never)).toEqual({ status: 'conflict', version: 1 });
    const done = { status: 'done' } as const;
    expect(await records.change('a', { ifVersion: 1 }, async () => done)).toBe(done);
  });
});

describe('removing', () => {
  it('is one change, of one record or of all that belong to it, and announces each', async () => {
    for (const field of ['a', 'a/x', 'a/y', 'ab', 'b']) await records.write(field, undefined, content(1));
    const { texts } = await records.readAll();
    const heard = await hear(channel);
    expect(await records.remove('b')).toEqual({ status: 'removed', texts: new Map([['b', texts.get('b')]]) });
    const removed = await records.remove('a', { along: 'a/' });
    expect(removed).toEqual({ status: 'removed', texts: new Map(['a', 'a/x', 'a/y'].map((field) => [field, texts.get(field)])) });
    expect((await redis.hkeys(key)).sort()).toEqual([changesField, 'ab']);
    expect(await records.countChanges()).toBe(7);
    expect([...(await heard())].sort()).toEqual(['a', 'a/x', 'a/y', 'b']);
  });

  it('changes nothing where there is none, or another version than was asked for', async () => {
    await records.write('a', undefined, content(1));
    expect(await records.remove('a', { ifVersion: 2 })).toEqual({ status: 'conflict', version: 1 });
    expect(await records.remove('b', { along: 'a' })).toEqual({ status: 'missing' });
    expect(await records.countChanges()).toBe(1);
    expect((await records.remove('a', { ifVersion: 1 })).status).toBe('removed');
    expect(await records.remove('a')).toEqual({ status: 'missing' });
  });
});

it('works after the scripts were flushed, and touches no other hash', async () => {
  await redis.hset('neighbour', 'a', 'theirs');
  await redis.script('FLUSH');
  expect((await records.write('a', undefined, content(1))).status).toBe('written');
  await redis.script('FLUSH');
  expect((await records.remove('a')).status).toBe('removed');
  expect(await redis.hgetall('neighbour')).toEqual({ a: 'theirs' });
});
