/** A gate that a test plays: it grants starts at an even pace, tells its own clock, and takes its time to answer. */
import type { AcquireRequest, Grant } from '../../src/shared/gate/acquire.ts';
import type { Gate } from '../../src/worker/engine/permit-stock.ts';

export interface PlayedGate extends Gate {
  readonly requests: AcquireRequest[];
  /** By this gate's clock. */
  readonly starts: number[];
  slots: number;
  /** Undefined: all that is asked for. */
  fairSlots: number | undefined;
  /** Milliseconds between two starts; 0: no limits. */
  paceMs: number;
  thereMs: number;
  backMs: number;
  /** Answers are lost, though the request was carried out. */
  isLosing: boolean;
  refusal: Pick<Grant, 'refusedBy' | 'retryInMs'> | undefined;
  epoch: number;
  hasLeft: boolean;
  /** How often a pause was lifted. */
  lifted: number;
}

export function createPlayedGate({ now }: { now: () => number }): PlayedGate {
  // By the timers of a test that passes them itself.
  const wait = (ms: number) => (ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined);
  const gate: PlayedGate = {
    requests: [],
    starts: [],
    slots: 8,
    fairSlots: undefined,
    paceMs: 0,
    thereMs: 0,
    backMs: 0,
    isLosing: false,
    refusal: undefined,
    epoch: 0,
    hasLeft: false,
    lifted: 0,
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
    async lift() {
      gate.lifted++;
    },
  };
  return gate;
}

function answer(gate: PlayedGate, { want, wantSlots, keepSlots, horizonMs }: AcquireRequest, nowMs: number): Grant {
  const fairSlots = gate.fairSlots ?? gate.slots;
  const slots = Math.max(Math.min(keepSlots, gate.slots), Math.min(wantSlots, fairSlots, gate.slots));
  const startsMs: number[] = [];
  let next = Math.max(nowMs, (gate.starts.at(-1) ?? Number.NEGATIVE_INFINITY) + gate.paceMs);
  while (!gate.refusal && startsMs.length < want && next <= nowMs + horizonMs) {
    startsMs.push(next - nowMs);
    gate.starts.push(next);
    next += gate.paceMs;
  }
  const isShort = startsMs.length < want;
  const refusal =
    gate.refusal ?? (isShort ? { refusedBy: 'rate' as const, retryInMs: Math.max(1, next - nowMs - horizonMs / 2) } : undefined);
  return {
    nowMs,
    startsMs,
    slots,
    fairSlots,
    retryInMs: undefined,
    refusedBy: undefined,
    ...refusal,
    breaker: 'closed',
    pausedUntilMs: 0,
    epoch: gate.epoch,
  };
}
