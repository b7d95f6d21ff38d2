/**
 * Until when the calls of an account are held back: two fields of the gate's hash (see shared/gate/state.lua), in one small read where `peek` goes
 * through all of it. For what is shown only; whether a call may start is the gate's to say.
 */
import { parseQueueName } from '../shared/domain/operation.ts';
import type { ProviderDirectory } from '../shared/providers/follow.ts';
import type { OperationView } from '../shared/queue/status.ts';
import type { RedisClient } from '../shared/redis/connection.ts';
import type { Keys } from '../shared/redis/keys.ts';

/** By Redis's clock, epoch ms; 0 where there is none. Either may be over already. */
export interface Hold {
  readonly pausedUntilMs: number;
  readonly breakerUntilMs: number;
}

export type ReadHold = (account: string) => Promise<Hold>;

export function createReadHold({ redis, keys }: { redis: RedisClient; keys: Keys }): ReadHold {
  return async (account) => {
    const [pauseUs, openUs] = await redis.hmget(keys.gate(account), 'pause', 'open');
    return { pausedUntilMs: Math.ceil(Number(pauseUs ?? 0) / 1_000), breakerUntilMs: Math.ceil(Number(openUs ?? 0) / 1_000) };
  };
}

export interface TellNextAttemptDeps {
  readonly readHold: ReadHold;
  readonly directory: Pick<ProviderDirectory, 'get' | 'accountOf'>;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
}

/** Puts right when an operation's next attempt can be, where the provider is held back for longer than the operation waits. */
export type TellNextAttempt = (view: OperationView) => Promise<OperationView>;

export function createTellNextAttempt({ readHold, directory, nowMs }: TellNextAttemptDeps): TellNextAttempt {
  return async (view) => {
    const { nextAttemptAtMs } = view;
    if (view.status !== 'retrying' || nextAttemptAtMs === undefined) return view;
    const { provider, tenant } = parseQueueName(view.place.queue);
    const { pausedUntilMs, breakerUntilMs } = await readHold(directory.accountOf(provider, tenant));
    const earliestMs = Math.max(nextAttemptAtMs, pausedUntilMs, breakerUntilMs);
    // Nobody knows when an operator will resume the provider.
    const isUnknown = directory.get(provider)?.isPaused === true && earliestMs <= nowMs();
    return { ...view, nextAttemptAtMs: isUnknown ? undefined : earliestMs };
  };
}
