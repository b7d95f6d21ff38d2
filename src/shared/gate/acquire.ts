/**
 * Asks for permits and concurrency slots, and reports what became of calls: one script, one round trip. See README.md.
 */
import type { BreakerPolicy, RateLimit } from '../providers/config.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import acquireSource from './acquire.lua';
import breakerSource from './breaker.lua';
import budgetsSource from './budgets.lua';
import { type BudgetReport, budgetArgs } from './budgets.ts';
import countsSource from './counts.lua';
import holdsSource from './holds.lua';
import { gateKeys, limitArgs } from './limits.ts';
import ratesSource from './rates.lua';
import recentSource from './recent.lua';
import reportsSource from './reports.lua';
import stateSource from './state.lua';
import throttlingSource from './throttling.lua';

/** More permits in one call are not granted: the script would hold Redis for too long. */
export const maxPermits = 512;

/** Passed in with each call: the scripts keep no configuration, so a change takes effect at the next call. */
export interface GatePolicy {
  /** Lengths differ: two limits of one `perMs` would share their history. */
  readonly limits: readonly RateLimit[];
  readonly maxConcurrency: number;
  readonly breaker: BreakerPolicy;
}

export interface AcquireRequest {
  /** Permits asked for, at most 512; 0 reports and renews only. */
  readonly want: number;
  /** Permits are granted for starts at most this far ahead. */
  readonly horizonMs: number;
  /** Slots the worker keeps for sure. It promises not to pass this number until the reply arrives. */
  readonly keepSlots: number;
  /** Slots it could use, those it keeps included. 0 where it has nothing to do: others share what it does not want. */
  readonly wantSlots: number;
  /** Calls ended since the last report; failed: transient or ambiguous. */
  readonly succeeded: number;
  readonly failed: number;
  /**
   * `Grant.epoch` of the permits that the reported calls ran on; calls on permits of an older epoch than the newest known are not
   * reported. Without it, a half-open breaker believes the prober alone, and takes late reports for what they say.
   */
  readonly epoch?: number;
  /** The provider said Retry-After, or throttled: the whole account pauses for so long from now. */
  readonly pause?: { readonly ms: number; readonly reason: string };
  /** Throttling answers since the last report; those of one pause, or of one second, cut the limits once. Telling it twice does no harm. */
  readonly throttled?: number;
  /** What answers since the last report said is left: the newest of each window is enough. May be told again, or not, after a lost reply. */
  readonly budgets?: readonly BudgetReport[];
  /** Permits granted but never used, each told once and within 30 s of its start. Must not be sent again after a lost reply. */
  readonly returned: number;
  /** The half-open breaker's probe is over, and told nothing of the provider's health: unused, throttled, cut. Another may go. */
  readonly probeEnded?: boolean;
}

export type RefusalReason = 'rate' | 'quota' | 'paused' | 'breaker';
export type BreakerState = 'closed' | 'half_open' | 'open';

export interface Grant {
  /** Redis's clock, with microseconds in the fraction. */
  readonly nowMs: number;
  /** For each granted permit, when its call may start: ms after `nowMs`, not decreasing. */
  readonly startsMs: number[];
  /** When to ask again if fewer than `want` were granted, ms from now, at least 1. */
  readonly retryInMs: number | undefined;
  /** Why fewer were granted; `quota`: a window of an hour or longer is full. */
  readonly refusedBy: RefusalReason | undefined;
  /** Concurrency slots this worker now holds. */
  readonly slots: number;
  /** What it would hold if the slots were shared evenly among those who want them now: what to come down to. */
  readonly fairSlots: number;
  /** Others want more slots than their share. */
  readonly doOthersWait: boolean;
  readonly breaker: BreakerState;
  /** By Redis's clock; 0 where the account is not paused. */
  readonly pausedUntilMs: number;
  /** Names the breaker's last opening: goes back with the report of the calls made on these permits. */
  readonly epoch: number;
}

export interface GateDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly workerId: string;
  /** A hold, and a probe, end this long after the last call of a worker that died. Longer than any call may take. */
  readonly holdTtlMs: number;
}

// It runs in a full Redis, too: permits are what empties it.
const parts = [
  stateSource,
  throttlingSource,
  breakerSource,
  holdsSource,
  budgetsSource,
  countsSource,
  ratesSource,
  recentSource,
  reportsSource,
  acquireSource,
];
const script = defineScript('gate.acquire', ['#!lua flags=allow-oom', ...parts].join('\n'));

/** Never waits: what cannot be granted within the horizon is refused with the time to ask again. Throws if Redis does not answer. */
export async function acquire(deps: GateDeps, account: string, policy: GatePolicy, request: AcquireRequest): Promise<Grant> {
  const args = [
    ...requestArgs(deps, request),
    ...policyArgs(deps, account, policy),
    count('throttled', request.throttled ?? 0),
    request.probeEnded ? 1 : 0,
    policy.limits.length,
    ...limitArgs(policy.limits),
    ...budgetArgs(request.budgets ?? [], policy.limits.length > 0),
  ];
  const reply = await script.run(deps.redis, gateKeys(deps.keys, account, policy.limits), args);
  return readReply(reply);
}

function requestArgs({ workerId }: GateDeps, request: AcquireRequest): (string | number)[] {
  const { want, horizonMs, keepSlots, wantSlots, succeeded, failed, epoch, pause, returned } = request;
  return [
    workerId,
    Math.min(maxPermits, count('want', want)),
    atLeastZero('horizonMs', horizonMs),
    count('keepSlots', keepSlots),
    count('wantSlots', wantSlots),
    count('succeeded', succeeded),
    count('failed', failed),
    epoch ?? '',
    pause === undefined ? 0 : atLeastZero('pause.ms', pause.ms),
    pause?.reason.slice(0, 200) ?? '',
    count('returned', returned),
  ];
}

function policyArgs({ keys, holdTtlMs }: GateDeps, account: string, { maxConcurrency, breaker }: GatePolicy): (string | number)[] {
  const { failureRate, minCalls, windowMs, openMs } = breaker;
  const { gateChanged, gateShares } = keys;
  return [count('maxConcurrency', maxConcurrency), failureRate, minCalls, windowMs, openMs, holdTtlMs, gateChanged, gateShares, account];
}

function atLeastZero(name: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} is ${value}, not a number of at least 0`);
  return value;
}

function count(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} is ${value}, not a whole number of at least 0`);
  return value;
}

const words = new Set<unknown>(['granted', 'rate', 'quota', 'paused', 'breaker']);

function readReply(reply: unknown): Grant {
  if (!Array.isArray(reply) || !words.has(reply[0])) throw unexpectedReply(script.name, reply);
  const [word, nowUs, permits, retryUs, slots, fairSlots, othersWait, breaker, pausedUntilMs, epoch] = reply as [
    'granted' | RefusalReason,
    ...[number, number, number, number, number, number],
    BreakerState,
    ...[number, number],
  ];
  const startsMs = new Array<number>(permits).fill(0);
  for (let i = 10; i < reply.length; i += 1) startsMs[i - 10] = reply[i] / 1000;
  return {
    nowMs: nowUs / 1000,
    startsMs,
    retryInMs: word === 'granted' ? undefined : retryUs / 1000,
    refusedBy: word === 'granted' ? undefined : word,
    slots,
    fairSlots,
    doOthersWait: othersWait === 1,
    breaker,
    pausedUntilMs,
    epoch,
  };
}
