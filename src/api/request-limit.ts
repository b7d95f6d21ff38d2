/**
 * How many requests an API key may make a second, over all API processes: counted in Redis in windows of one second. While Redis cannot be
 * reached each process counts for itself. A key that is over its limit is known here until the window ends, and costs Redis nothing.
 */
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { type Problem, problem } from '../shared/domain/problem.ts';
import type { RedisClient } from '../shared/redis/connection.ts';

/** Undefined: go on. */
export type TakeRequest = (callerId: string) => Promise<Problem | undefined>;

export interface RequestLimitDeps {
  readonly redis: RedisClient;
  readonly keyPrefix: string;
  readonly requestsPerSecond: number;
}

/** Undefined where no limit is set. */
export function createRequestLimit({ redis, keyPrefix, requestsPerSecond }: RequestLimitDeps): TakeRequest | undefined {
  if (requestsPerSecond === 0) return undefined;
  const window = { points: requestsPerSecond, duration: 1 };
  const limiter = new RateLimiterRedis({
    ...window,
    storeClient: redis,
    keyPrefix,
    rejectIfRedisNotReady: true,
    inMemoryBlockOnConsumed: requestsPerSecond,
    insuranceLimiter: new RateLimiterMemory(window),
  });
  return async (callerId) => {
    try {
      await limiter.consume(callerId);
      return undefined;
    } catch (refusal) {
      // Anything else than a refusal is the limiter's own trouble: no reason to turn a caller away.
      if (!(refusal instanceof RateLimiterRes)) return undefined;
      return problem('rate_limited', { retryAfterSeconds: refusal.msBeforeNext / 1_000 });
    }
  };
}
