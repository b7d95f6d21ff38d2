/** The number of shards is part of what Redis holds: a process that was told another one must not start. */
import { StartProblem } from '../domain/start-problem.ts';
import type { RedisClient } from './connection.ts';
import type { Keys } from './keys.ts';

const retryMs = 500;

export class ShardCountMismatch extends StartProblem {
  constructor(stored: string, configured: number) {
    super(
      `SLUICE_SHARDS is ${configured}, but this deployment was made with ${stored} shards: set SLUICE_SHARDS=${stored}, or use another SLUICE_KEY_PREFIX`,
    );
    this.name = 'ShardCountMismatch';
  }
}

/** Stores the number on the first start. Waits while Redis cannot be used. Throws `ShardCountMismatch`. */
export async function checkShards(deps: {
  redis: RedisClient;
  keys: Keys;
  shards: number;
  onWaiting(error: unknown): void;
}): Promise<void> {
  const { redis, keys, shards, onWaiting } = deps;
  for (;;) {
    try {
      // First by reading alone: a full Redis refuses every SET, and the processes that would empty it have to start.
      const stored = (await redis.get(keys.shards)) ?? (await redis.call('SET', keys.shards, String(shards), 'NX', 'GET'));
      if (stored !== null && stored !== String(shards)) throw new ShardCountMismatch(String(stored), shards);
      return;
    } catch (error) {
      if (error instanceof ShardCountMismatch) throw error;
      onWaiting(error);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}
