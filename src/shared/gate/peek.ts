/** An account's state at this moment, for the status route and the metrics. Changes nothing. */
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { BreakerState, GateDeps, GatePolicy } from './acquire.ts';
import budgetsSource from './budgets.lua';
import countsSource from './counts.lua';
import { gateKeys, limitArgs } from './limits.ts';
import peekSource from './peek.lua';
import ratesSource from './rates.lua';
import stateSource from './state.lua';
import throttlingSource from './throttling.lua';

export interface WindowStatus {
  readonly perMs: number;
  /** As configured. */
  readonly requests: number;
  /** What throttling and the other users of the account leave of it now. */
  readonly effective: number;
  /** Permits its rolling window has room for now; starts reserved ahead count as used. */
  readonly left: number;
}

export interface BudgetStatus {
  readonly perMs: number;
  /** Undefined where the provider did not say. */
  readonly requests: number | undefined;
  readonly remaining: number;
  /** By Redis's clock. */
  readonly answeredAtMs: number;
  /** By Redis's clock; undefined where no reset is known. */
  readonly resetsAtMs: number | undefined;
}

export interface GateStatus {
  /** Redis's clock. */
  readonly nowMs: number;
  /** In the policy's order. */
  readonly windows: readonly WindowStatus[];
  /** What throttling left of the configured limits, 0.1 to 1; recovers by itself. */
  readonly factor: number;
  /** The newest answers' budgets that still count, of windows with a limit and of others. */
  readonly budgets: readonly BudgetStatus[];
  readonly breaker: BreakerState;
  /** By Redis's clock; 0 where the account is not paused. */
  readonly pausedUntilMs: number;
  readonly pauseReason: string | undefined;
  /** Concurrency slots held by all workers together. */
  readonly heldSlots: number;
}

/** By Redis's clock, epoch ms; 0 where there is none. Either may be over already. */
export interface ClosedUntil {
  readonly pausedUntilMs: number;
  readonly breakerUntilMs: number;
}

/** Two fields of the account's hash, in one small read where `peek` goes through all of it. */
export async function closedUntil({ redis, keys }: Pick<GateDeps, 'redis' | 'keys'>, account: string): Promise<ClosedUntil> {
  const [pauseUs, openUs] = await redis.hmget(keys.gate(account), 'pause', 'open');
  return { pausedUntilMs: Math.ceil(Number(pauseUs ?? 0) / 1_000), breakerUntilMs: Math.ceil(Number(openUs ?? 0) / 1_000) };
}

const parts = [stateSource, throttlingSource, budgetsSource, countsSource, ratesSource, peekSource];
const script = defineScript('gate.peek', ['#!lua flags=no-writes', ...parts].join('\n'));

export async function peek(
  deps: Pick<GateDeps, 'redis' | 'keys'>,
  account: string,
  policy: Pick<GatePolicy, 'limits'>,
): Promise<GateStatus> {
  const reply = await script.run(deps.redis, gateKeys(deps.keys, account, policy.limits), limitArgs(policy.limits));
  if (!Array.isArray(reply) || reply[0] !== 'status') throw unexpectedReply(script.name, reply);
  const [, nowUs, breaker, pausedUntilMs, reason, heldSlots, factor, windows, budgets] = reply as [
    string,
    number,
    BreakerState,
    number,
    string,
    number,
    string,
    number[],
    number[],
  ];
  return {
    nowMs: nowUs / 1000,
    windows: policy.limits.map(({ perMs, requests }, i) => ({
      perMs,
      requests,
      effective: windows[2 * i + 1] as number,
      left: windows[2 * i] as number,
    })),
    factor: Number(factor),
    budgets: readBudgets(budgets),
    breaker,
    pausedUntilMs,
    pauseReason: reason === '' ? undefined : reason,
    heldSlots,
  };
}

function readBudgets(values: readonly number[]): BudgetStatus[] {
  const budgets: BudgetStatus[] = [];
  for (let i = 0; i < values.length; i += 6) {
    const [perMs, requests, remaining, answeredAtMs, endsAtMs, isFixed] = values.slice(i, i + 6) as [
      number,
      ...[number, number, number, number, number],
    ];
    const resetsAtMs = isFixed === 1 ? endsAtMs : undefined;
    budgets.push({ perMs, requests: requests === 0 ? undefined : requests, remaining, answeredAtMs, resetsAtMs });
  }
  return budgets.sort((a, b) => a.perMs - b.perMs);
}
