/**
 * Gates on a clock that the test sets: the scripts run on a real Redis, but read the time from a key. Minutes of a simulation then
 * take as long as their calls, and nothing depends on the machine's speed. Keys do not expire here: their lives are real time.
 */
import { createHash } from 'node:crypto';
import { createGate, type Gate } from '../../src/shared/gate/gate.ts';
import type { RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys, type Keys } from '../../src/shared/redis/keys.ts';

export interface ClockedGates {
  readonly keys: Keys;
  worker(workerId: string, options?: { holdTtlMs?: number }): Gate;
  /** What the clock shows, milliseconds. */
  nowMs(): number;
  /** It may only go on. */
  setMs(ms: number): Promise<void>;
  passed(ms: number): Promise<void>;
}

/** `prefix`: of the keys, and of the clock's own; one clock for each. */
export async function startClockedGates(redis: RedisClient, prefix: string): Promise<ClockedGates> {
  const [secondsKey, microsKey] = [`${prefix}clock:seconds`, `${prefix}clock:micros`];
  const clocked = withClock(redis, `redis.call('MGET', '${secondsKey}', '${microsKey}')`);
  const keys = createKeys(prefix);
  let now = 0;
  const setMs = async (ms: number) => {
    now = ms;
    const micros = Math.round(ms * 1000);
    await redis.mset(secondsKey, Math.floor(micros / 1_000_000), microsKey, micros % 1_000_000);
  };
  await setMs(1_700_000_000_000);
  return {
    keys,
    worker: (workerId, { holdTtlMs = 60_000 } = {}) => createGate({ redis: clocked, keys, workerId, holdTtlMs }),
    nowMs: () => now,
    setMs,
    passed: (ms) => setMs(now + ms),
  };
}

function withClock(redis: RedisClient, time: string): RedisClient {
  const digests = new Map<string, string>();
  const run = (digest: string, count: number, rest: string[]) => redis.evalsha(digest, count, ...rest);
  const client = {
    async evalsha(digest: string, count: number, ...rest: string[]) {
      const own = digests.get(digest);
      if (own === undefined) throw new Error('NOSCRIPT not known on this clock');
      return run(own, count, rest);
    },
    async eval(source: string, count: number, ...rest: string[]) {
      const own = (await redis.script('LOAD', clockedSource(source, time))) as string;
      digests.set(createHash('sha1').update(source).digest('hex'), own);
      return run(own, count, rest);
    },
  };
  return client as unknown as RedisClient;
}

function clockedSource(source: string, time: string): string {
  const [head, ...rest] = source.split('\n');
  const body = rest.join('\n').replaceAll("redis.call('TIME')", time).replaceAll("redis.call('PEXPIRE',", 'keep(');
  return `${head}\nlocal function keep() end\n${body}`;
}
