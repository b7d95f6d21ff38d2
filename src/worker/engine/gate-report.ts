/**
 * What a worker has to tell the gate of one account, until it is told: how calls ended, which permits came back, what the provider asked for and
 * said. It all goes with the next question for permits.
 *
 * Always: the ends of calls count for the newest epoch known alone; what makes room is told at most once, the rest again if the answer was lost.
 */
import type { AcquireRequest, GatePolicy, Grant } from '../../shared/gate/acquire.ts';
import type { Permit } from './call-under-way.ts';
import { ObservedBudgets } from './observed-budgets.ts';

/** The reason of a pause that the provider asked for by throttling. */
export const throttledReason = 'rate_limited';

/** Failures are told at once when they are this share of the calls that may open a breaker: it then opens few calls late. */
const pressingShare = 0.25;

export interface GrantedPermit extends Permit {
  readonly epoch: number;
  /** Those it was granted under. */
  readonly limits: GatePolicy['limits'];
  /** Granted by a half-open breaker, which lets nobody else through until it hears what became of it. */
  isProbe: boolean;
}

type Told = Pick<AcquireRequest, 'succeeded' | 'failed' | 'epoch' | 'returned' | 'probeEnded' | 'pause' | 'throttled' | 'budgets'>;

export class GateReport {
  readonly budgets = new ObservedBudgets();
  #epoch = 0;
  /** As the gate last said: what ends is its probe. */
  #isHalfOpen = false;
  #succeeded = 0;
  #failed = 0;
  #returned = 0;
  #hasProbeEnded = false;
  #throttled = 0;
  #pause: { ms: number; reason: string } | undefined;
  /** What the provider refused was mended since it was last told. */
  #isMended = false;

  get epoch(): number {
    return this.#epoch;
  }

  get hasPause(): boolean {
    return this.#pause !== undefined;
  }

  get hasSuccesses(): boolean {
    return this.#succeeded > 0;
  }

  /** The breaker waits for it: for the end of its probe, or for failures that may open it. */
  isPressing({ minCalls, failureRate }: GatePolicy['breaker']): boolean {
    const ended = this.#succeeded + this.#failed;
    if (this.#isHalfOpen) return this.#hasProbeEnded || ended > 0;
    return this.#failed > 0 && this.#failed >= Math.max(pressingShare * minCalls, failureRate * ended);
  }

  get hasReturns(): boolean {
    return this.#returned > 0;
  }

  /** Others wait for it. */
  get isUrgent(): boolean {
    return this.#hasProbeEnded || this.#failed + this.budgets.size > 0;
  }

  get isEmpty(): boolean {
    return !this.isUrgent && this.#succeeded + this.#returned === 0;
  }

  /** Under other limits, what came back would make room that was never taken. */
  forgetReturns(): void {
    this.#returned = 0;
  }

  /** No request was made with the permit. */
  giveBack(permit: GrantedPermit): void {
    this.#returned++;
    this.passOver(permit);
  }

  /** What became of the permit's request tells nothing of the provider's health, or not yet: if it was a probe, another may go. */
  passOver(permit: GrantedPermit): void {
    if (permit.isProbe && permit.epoch === this.#epoch) this.#hasProbeEnded = true;
    permit.isProbe = false;
  }

  /** The end of a call; of several requests, by the permit of the last. */
  add(permit: GrantedPermit, hasFailed: boolean): void {
    if (permit.epoch !== this.#epoch) return;
    permit.isProbe = false;
    if (hasFailed) this.#failed++;
    else this.#succeeded++;
  }

  /** Of several pauses the longest is told. */
  addPause(ms: number, reason: string): void {
    if (reason === throttledReason) this.#throttled++;
    this.#keepLongest({ ms, reason });
  }

  /** What the provider refused is not the same any more: a pause for that is not told, one for throttling is. */
  forgetRefusal(): void {
    this.#isMended = true;
    if (this.#pause?.reason !== throttledReason) this.#pause = undefined;
  }

  /** What was to be told of permits of another epoch counts for nothing. It begins again where the gate has forgotten an account that nobody used. */
  learn({ epoch, breaker }: Pick<Grant, 'epoch' | 'breaker'>): void {
    this.#isHalfOpen = breaker === 'half_open';
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#succeeded = 0;
    this.#failed = 0;
    this.#hasProbeEnded = false;
  }

  take(now: number): Told {
    const told: Told = {
      succeeded: this.#succeeded,
      failed: this.#failed,
      epoch: this.#epoch,
      returned: this.#returned,
      ...(this.#hasProbeEnded ? { probeEnded: true } : {}),
      ...(this.#pause ? { pause: this.#pause } : {}),
      ...(this.#throttled > 0 ? { throttled: this.#throttled } : {}),
      ...(this.budgets.size > 0 ? { budgets: this.budgets.take(now) } : {}),
    };
    this.#succeeded = 0;
    this.#failed = 0;
    this.#returned = 0;
    this.#hasProbeEnded = false;
    this.#throttled = 0;
    this.#pause = undefined;
    this.#isMended = false;
    return told;
  }

  /** The answer was lost. What came back is not told again: told twice it would make room twice. */
  tellAgain({ succeeded, failed, probeEnded = false, throttled = 0, pause }: Told): void {
    this.#succeeded += succeeded;
    this.#failed += failed;
    this.#returned = 0;
    this.#hasProbeEnded ||= probeEnded;
    this.#throttled += throttled;
    if (pause && (pause.reason === throttledReason || !this.#isMended)) this.#keepLongest(pause);
  }

  #keepLongest(pause: { ms: number; reason: string }): void {
    if (!this.#pause || this.#pause.ms < pause.ms) this.#pause = pause;
  }
}
