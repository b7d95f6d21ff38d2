/** When an operation that waits for its next attempt can have it, as the status tells it. Whether a call may start is the gate's to say. */
import { parseQueueName } from '../shared/domain/operation.ts';
import type { Gate } from '../shared/gate/gate.ts';
import type { ProviderDirectory } from '../shared/providers/follow.ts';
import type { OperationView } from '../shared/queue/status.ts';

export interface TellNextAttemptDeps {
  readonly closedUntil: Gate['closedUntil'];
  readonly directory: Pick<ProviderDirectory, 'get' | 'accountOf'>;
  /** Redis's clock, epoch ms. */
  readonly nowMs: () => number;
}

/** Puts right when an operation's next attempt can be, where the provider is held back for longer than the operation waits. */
export type TellNextAttempt = (view: OperationView) => Promise<OperationView>;

export function createTellNextAttempt({ closedUntil, directory, nowMs }: TellNextAttemptDeps): TellNextAttempt {
  return async (view) => {
    const { nextAttemptAtMs } = view;
    if (view.status !== 'retrying' || nextAttemptAtMs === undefined) return view;
    const { provider, tenant } = parseQueueName(view.place.queue);
    const { pausedUntilMs, breakerUntilMs } = await closedUntil(directory.accountOf(provider, tenant));
    const earliestMs = Math.max(nextAttemptAtMs, pausedUntilMs, breakerUntilMs);
    // Nobody knows when an operator will resume the provider.
    const isUnknown = directory.get(provider)?.isPaused === true && earliestMs <= nowMs();
    return { ...view, nextAttemptAtMs: isUnknown ? undefined : earliestMs };
  };
}
