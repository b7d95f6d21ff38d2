/** Ends what answers brought about, before its time. */
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { GateDeps } from './acquire.ts';
import source from './lift.lua';

const script = defineScript('gate.lift', source);

export interface LiftOptions {
  /** A pause for this reason stays. */
  readonly stays?: string;
  /** What failed is not the same any more: the breaker closes and begins anew. Otherwise an open one stays. */
  readonly closesBreaker?: boolean;
}

/** Ends the account's pause. Limits that throttling has cut begin to come back. */
export async function lift(
  { redis, keys }: Pick<GateDeps, 'redis' | 'keys'>,
  account: string,
  { stays = '', closesBreaker = false }: LiftOptions = {},
): Promise<void> {
  const reply = await script.run(redis, [keys.gate(account)], [keys.gateLifted, account, stays, closesBreaker ? 1 : 0]);
  if (reply !== 'lifted' && reply !== 'absent') throw unexpectedReply(script.name, reply);
}
