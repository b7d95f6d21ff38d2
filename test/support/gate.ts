/** A Redis with gates of several workers on it, and requests and policies of which a test says only what it is about. */
import type { AcquireRequest, GatePolicy, Grant } from '../../src/shared/gate/acquire.ts';
import { createGate, type Gate } from '../../src/shared/gate/gate.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys, type Keys } from '../../src/shared/redis/keys.ts';
import { eventually } from './eventually.ts';
import { startRedis } from './redis.ts';

export interface Gates {
  readonly redis: RedisClient;
  readonly url: string;
  readonly keys: Keys;
  worker(workerId: string, options?: { holdTtlMs?: number }): Gate;
  /** Redis's clock, milliseconds. */
  nowMs(): Promise<number>;
  /** Returns when Redis's clock has moved on by so much. */
  passed(ms: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startGates(prefix: string): Promise<Gates> {
  const server = await startRedis();
  const redis = connectRedis(server.url, { name: 'test' });
  const keys = createKeys(prefix);
  const nowMs = async () => {
    const [seconds, micros] = await redis.time();
    return Number(seconds) * 1000 + Number(micros) / 1000;
  };
  return {
    redis,
    url: server.url,
    keys,
    worker: (workerId, { holdTtlMs = 60_000 } = {}) => createGate({ redis, keys, workerId, holdTtlMs }),
    nowMs,
    async passed(ms) {
      const until = (await nowMs()) + ms;
      await eventually(async () => (await nowMs()) > until, { intervalMs: 1 });
    },
    async stop() {
      await disconnectRedis(redis);
      await server.stop();
    },
  };
}

export function gatePolicy(part: Partial<GatePolicy> = {}): GatePolicy {
  return { limits: [], maxConcurrency: 50, breaker: { failureRate: 0.5, minCalls: 20, windowMs: 600_000, openMs: 600_000 }, ...part };
}

export function gateRequest(part: Partial<AcquireRequest> = {}): AcquireRequest {
  return { want: 0, horizonMs: 0, keepSlots: 0, wantSlots: 0, succeeded: 0, failed: 0, returned: 0, ...part };
}

/** The granted starts on Redis's clock, whole microseconds. */
export function startsUs(grant: Grant): number[] {
  return grant.startsMs.map((startMs) => Math.round(grant.nowMs * 1000) + Math.round(startMs * 1000));
}
