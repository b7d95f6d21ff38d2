/** Lua scripts, called by their digest and sent whole only where Redis does not know them yet. */
import { createHash } from 'node:crypto';
import type { RedisClient } from './connection.ts';

export interface Script {
  readonly name: string;
  /** All keys in one slot. Safe to call before the script is loaded and after SCRIPT FLUSH. */
  run(redis: RedisClient, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
}

export function defineScript(name: string, source: string): Script {
  const digest = createHash('sha1').update(source).digest('hex');
  return {
    name,
    async run(redis, keys, args) {
      const rest = [...keys, ...args] as string[];
      try {
        return await redis.evalsha(digest, keys.length, ...rest);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return await redis.eval(source, keys.length, ...rest);
      }
    },
  };
}

/** A script answered with a word its wrapper does not know: a bug, or a foreign script under our digest. */
export function unexpectedReply(script: string, reply: unknown): Error {
  return new Error(`${script}: unexpected reply ${JSON.stringify(reply)?.slice(0, 200)}`);
}
