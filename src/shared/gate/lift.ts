/** Ends what answers brought about, before its time. */
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { GateDeps } from './acquire.ts';
import source from './lift.lua';

const script = defineScript('gate.lift', source);

/** Ends the account's pause, but for one whose reason is `stays`. Limits that throttling has cut begin to come back; an open breaker stays. */
export async function lift({ redis, keys }: Pick<GateDeps, 'redis' | 'keys'>, account: string, stays = ''): Promise<void> {
  const reply = await script.run(redis, [keys.gate(account)], [keys.gateLifted, account, stays]);
  if (reply !== 'lifted' && reply !== 'absent') throw unexpectedReply(script.name, reply);
}
