/** An account's state at this moment, for the status route and the metrics. Changes nothing. */
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { BreakerState, GateDeps, GatePolicy } from './acquire.ts';
import countsSource from './counts.lua';
import { gateKeys, limitArgs } from './limits.ts';
import peekSource from './peek.lua';
import ratesSource from './rates.lua';
import stateSource from './state.lua';

export interface GateStatus {
  /** Redis's clock. */
  readonly nowMs: number;
  /** In the policy's order. `left`: permits its rolling window has room for now; starts reserved ahead count as used. */
  readonly windows: readonly { readonly perMs: number; readonly requests: number; readonly left: number }[];
  readonly breaker: BreakerState;
  /** By Redis's clock; 0 where the account is not paused. */
  readonly pausedUntilMs: number;
  readonly pauseReason: string | undefined;
  /** Concurrency slots held by all workers together. */
  readonly heldSlots: number;
}

const script = defineScript('gate.peek', ['#!lua flags=no-writes', stateSource, countsSource, ratesSource, peekSource].join('\n'));

export async function peek(
  deps: Pick<GateDeps, 'redis' | 'keys'>,
  account: string,
  policy: Pick<GatePolicy, 'limits'>,
): Promise<GateStatus> {
  const reply = await script.run(deps.redis, gateKeys(deps.keys, account, policy.limits), limitArgs(policy.limits));
  if (!Array.isArray(reply) || reply[0] !== 'status') throw unexpectedReply(script.name, reply);
  const [, nowUs, breaker, pausedUntilMs, reason, heldSlots] = reply as [string, number, BreakerState, number, string, number];
  const left = reply.slice(6) as number[];
  return {
    nowMs: nowUs / 1000,
    windows: policy.limits.map(({ perMs, requests }, i) => ({ perMs, requests, left: left[i] as number })),
    breaker,
    pausedUntilMs,
    pauseReason: reason === '' ? undefined : reason,
    heldSlots,
  };
}
