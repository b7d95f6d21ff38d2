/** A worker's farewell to an account. */
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { GateDeps } from './acquire.ts';
import source from './leave.lua';

const script = defineScript('gate.leave', source);

/** Gives up this worker's concurrency slots and its probe, so that others need not wait for their expiry. Its calls have ended. */
export async function leave({ redis, keys, workerId }: GateDeps, account: string): Promise<void> {
  const reply = await script.run(redis, [keys.gate(account)], [workerId]);
  if (reply !== 'left' && reply !== 'absent') throw unexpectedReply(script.name, reply);
}
