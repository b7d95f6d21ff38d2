/** One call to a provider, from its permit to its end: whose lanes it carries, and until when it may start. */
import type { CallGuard, InFlight, PreparedCall } from '../providers/provider.ts';
import type { Lane } from './lane.ts';

export interface Permit {
  /** When the call may start, and when the permit is void; the worker's monotonic clock, milliseconds. */
  readonly from: number;
  readonly until: number;
}

/** One lane's part of a call: the group at its head. */
export interface Part {
  readonly lane: Lane;
  readonly length: number;
  readonly prepared: PreparedCall;
}

export class CallUnderWay implements CallGuard {
  readonly parts: readonly Part[];
  readonly permit: Permit;
  readonly #now: () => number;
  readonly #startMarginMs: number;
  startedAt = 0;
  hasEnded = false;
  inFlight: InFlight | undefined;

  constructor(parts: readonly Part[], permit: Permit, options: { now: () => number; startMarginMs: number }) {
    this.parts = parts;
    this.permit = permit;
    this.#now = options.now;
    this.#startMarginMs = options.startMarginMs;
  }

  /** Asked right before the first byte is written, which may be long after the call was handed over: connecting takes time, and so does a frozen process. */
  mayStart(): boolean {
    const now = this.#now();
    if (now > this.permit.until) return false;
    for (const { lane } of this.parts) {
      if (!lane.queue.isOpen || now > lane.queue.shard.leaseEndsAt - this.#startMarginMs) return false;
    }
    this.startedAt = now;
    return true;
  }
}
