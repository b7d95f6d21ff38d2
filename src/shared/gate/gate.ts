/**
 * The fleet-wide gate: may this worker call that provider, how often, and when? Every worker asks the same script in Redis, so
 * that limits, pauses, the breaker and concurrency hold for the fleet as a whole. README.md tells how it is used.
 */
import { type AcquireRequest, acquire, type GateDeps, type GatePolicy, type Grant } from './acquire.ts';
import { clear } from './clear.ts';
import { leave } from './leave.ts';
import { type LiftOptions, lift } from './lift.ts';
import { type ClosedUntil, closedUntil, type GateStatus, peek } from './peek.ts';

export interface Gate {
  acquire(account: string, policy: GatePolicy, request: AcquireRequest): Promise<Grant>;
  peek(account: string, policy: Pick<GatePolicy, 'limits'>): Promise<GateStatus>;
  /** Until when nothing starts, whatever is asked. */
  closedUntil(account: string): Promise<ClosedUntil>;
  leave(account: string): Promise<void>;
  /** Ends a pause. */
  lift(account: string, options?: LiftOptions): Promise<void>;
  clear(account: string): Promise<void>;
}

/** An account is whatever a provider counts calls by: a provider's name, or a name of its own for a tenant's account there. */
export function createGate(deps: GateDeps): Gate {
  return {
    acquire: (account, policy, request) => acquire(deps, account, policy, request),
    peek: (account, policy) => peek(deps, account, policy),
    closedUntil: (account) => closedUntil(deps, account),
    leave: (account) => leave(deps, account),
    lift: (account, options) => lift(deps, account, options),
    clear: (account) => clear(deps, account),
  };
}
