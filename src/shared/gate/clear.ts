/** Forgets an account: its provider was deleted. */
import type { GateDeps } from './acquire.ts';

const bucketField = /^b:(\d+)$/;

/**
 * Removes every key of the account. The lengths of its windows are read from its hash: a window whose bucket is no longer there
 * has passed, and its key has expired. A worker that asks once more meanwhile makes them anew; they expire by themselves.
 */
export async function clear({ redis, keys }: Pick<GateDeps, 'redis' | 'keys'>, account: string): Promise<void> {
  const fields = await redis.hkeys(keys.gate(account));
  const lengths = fields.flatMap((field) => bucketField.exec(field)?.[1] ?? []).map(Number);
  const windows = lengths.flatMap((perMs) => [keys.gateWindow(account, perMs), keys.gateQuota(account, perMs)]);
  await redis.unlink(keys.gate(account), ...windows);
}
