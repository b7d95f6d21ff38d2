import { expect, test } from 'vitest';
import { awaitRedis } from './await-redis.mjs';

/** A Redis that answers after so many tries in vain; what was said, and the pauses made. */
async function waitThrough(failures: number, { stopAfter = Number.POSITIVE_INFINITY } = {}) {
  const said: string[] = [];
  const pauses: number[] = [];
  let pings = 0;
  const ping = async () => {
    pings += 1;
    if (pings <= failures) throw new Error('not there', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') });
  };
  await awaitRedis({
    ping,
    address: 'redis://***@127.0.0.1:1',
    print: (line: string) => said.push(line),
    isStopping: () => pings >= stopAfter,
    pause: async (ms: number) => pauses.push(ms),
  });
  return { said, pauses, pings };
}

test('nothing is said of a Redis that answers at once, or at the second try', async () => {
  expect(await waitThrough(0)).toEqual({ said: [], pauses: [], pings: 1 });
  expect((await waitThrough(1)).said).toEqual([]);
});

test('a Redis that is not there is named with the cause, with growing pauses between', async () => {
  const { said, pauses } = await waitThrough(9);
  expect(said[0]).toMatch(/^Redis at redis:\/\/\*\*\*@127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1\. Waiting/);
  expect(said.filter((line) => line.includes('REDIS_URL'))).toHaveLength(1);
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test('the wait ends when it is told to stop', async () => {
  expect((await waitThrough(100, { stopAfter: 3 })).pings).toBe(3);
});
