/** A gate that a test plays: it grants starts at an even pace, tells its own clock, and takes its time to answer. */
import type { AcquireRequest, Grant } from '../../src/shared/gate/acquire.ts';
import type { LiftOptions } from '../../src/shared/gate/lift.ts';
import type { Gate } from '../../src/worker/engine/permit-stock.ts';

export interface PlayedGate extends Gate {
  readonly requests: AcquireRequest[];
  /** By this gate's clock. */
  readonly starts: number[];
  slots: number;
  /** Undefined: all that is asked for. */
  fairSlots: number | undefined;
  doOthersWait: boolean;
  /** Milliseconds between two starts; 0: no limits. */
  paceMs: number;
  thereMs: number;
  backMs: number;
  /** Answers are lost, though the request was carried out. */
  isLosing: boolean;
  /** `paused`: it ends so long after the first question. */
  refusal: Pick<Grant, 'refusedBy' | 'retryInMs'> | undefined;
  /** Where it refuses nothing. */
  breaker: Grant['breaker'];
  epoch: number;
  hasLeft: boolean;
  /** Each time that what answers brought about was lifted. */
  readonly lifted: LiftOptions[];
}

export function createPlayedGate({ now }: { now: () => number }): PlayedGate {
  // By the timers of a test that passes them itself.
  const wait = (ms: number) => (ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined);
  const gate: PlayedGate = {
    requests: [],
    starts: [],
    slots: 8,
    fairSlots: undefined,
    doOthersWait: false,
    paceMs: 0,
    thereMs: 0,
    backMs: 0,
    isLosing: false,
    refusal: undefined,
    breaker: 'closed',
    epoch: 0,
    hasLeft: false,
    lifted: [],
    async acquire(_account, _policy, request) {
      await wait(gate.thereMs);
      gate.requests.push(request);
      const grant = answer(gate, request, now());
      await wait(gate.backMs);
      if (gate.isLosing) throw new Error('the answer was lost');
      return grant;
    },
    async leave() {
      gate.hasLeft = true;
    },
    async lift(_account, options) {
      gate.lifted.push(options);
    },
  };
  return gate;
}

function answer(gate: PlayedGate, { want, wantSlots, keepSlots, horizonMs }: AcquireRequest, nowMs: number): Grant {
  // A half-open breaker grants its probe alone.
  const most = gate.breaker === 'half_open' ? Math.min(1, want) : want;
  const fairSlots = gate.fairSlots ?? gate.slots;
  const slots = Math.max(Math.min(keepSlots, gate.slots), Math.min(wantSlots, fairSlots, gate.slots));
  const pausedUntilMs = endOfPause(gate.refusal, nowMs);
  const startsMs: number[] = [];
  let next = Math.max(nowMs, (gate.starts.at(-1) ?? Number.NEGATIVE_INFINITY) + gate.paceMs);
  while (!gate.refusal && startsMs.length < most && next <= nowMs + horizonMs) {
    startsMs.push(next - nowMs);
    gate.starts.push(next);
    next += gate.paceMs;
  }
  const isShort = startsMs.length < most;
  const refusal = gate.refusal ?? { refusedBy: 'rate' as const, retryInMs: Math.max(1, next - nowMs - horizonMs / 2) };
  return {
    nowMs,
    startsMs,
    slots,
    fairSlots,
    doOthersWait: gate.doOthersWait,
    retryInMs: undefined,
    refusedBy: undefined,
    ...(isShort ? refusal : {}),
    ...(isShort && pausedUntilMs > 0 ? { retryInMs: pausedUntilMs - nowMs } : {}),
    breaker: gate.refusal?.refusedBy === 'breaker' ? 'open' : gate.breaker,
    pausedUntilMs,
    epoch: gate.epoch,
  };
}

const ends = new WeakMap<object, number>();

/** By the gate's clock; 0 where it is not paused. */
function endOfPause(refusal: PlayedGate['refusal'], nowMs: number): number {
  if (refusal?.refusedBy !== 'paused') return 0;
  const endsAtMs = ends.get(refusal) ?? Math.ceil(nowMs + (refusal.retryInMs ?? 0));
  ends.set(refusal, endsAtMs);
  return endsAtMs;
}
