/**
 * A worker's concurrency slots for one account, as the gate last granted them, and what is told of them with each question.
 *
 * Always: never more calls than slots, nor, while an answer is due, than were promised to be kept; none once the hold has run out.
 */
import type { AcquireRequest, Grant } from '../../shared/gate/acquire.ts';

/** What the worker has to do for the account right now, in calls. */
export interface Demand {
  readonly ready: number;
  readonly inFlight: number;
}

type Told = Pick<AcquireRequest, 'keepSlots' | 'wantSlots'>;

export class SlotHold {
  /** Slots of the whole fleet. */
  maxConcurrency: number;
  #held = 0;
  /** This worker's fair share of what was wanted when the gate was last asked: what to come down to, and what it may hope for. */
  #fair = 0;
  #wanted = 0;
  #promised = Number.POSITIVE_INFINITY;
  #endsAt = 0;
  #doOthersWait = false;
  /** Others have begun to wait, or slots have come free: what is known of the fair share is of before. */
  #isOutdated = false;
  /** The gate may hold slots for it, or the wish for some: until it is taken back, others come to less. */
  #isKnown = false;
  /** All slots were others' when this worker last asked for some. */
  #isShort = false;

  constructor(maxConcurrency: number) {
    this.maxConcurrency = maxConcurrency;
  }

  get isEmpty(): boolean {
    return this.#held === 0;
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  get isShort(): boolean {
    return this.#isShort;
  }

  /** Others want slots, too, or use some. */
  get areWanted(): boolean {
    return this.#isOutdated || this.#doOthersWait || this.#fair < this.maxConcurrency;
  }

  /** The gate has to be asked what this worker's share is now. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  /** Somebody has told that the slots are shared anew. Who holds none and wants none need not know. */
  sharesChanged(): void {
    this.#isOutdated = this.#isKnown;
  }

  mayCall(inFlight: number, now: number): boolean {
    return now < this.#endsAt && inFlight < Math.min(this.#held, this.#fair, this.#promised);
  }

  /** Who wants more than ever may hope for a fair share; who has asked for it already waits until others have come down. */
  usable(demand: Demand): number {
    return this.#couldUse(demand) > this.#wanted ? this.#fair : Math.min(this.#held, this.#fair);
  }

  /** It could do more with further slots than the gate knows of. */
  needsMore(demand: Demand): boolean {
    if (demand.ready === 0 || this.#held === 0) return demand.ready > 0;
    return demand.inFlight >= Math.min(this.#held, this.#fair) && this.#couldUse(demand) > this.#wanted;
  }

  /** Others wait for what this worker holds beyond its share. */
  hasTooMany({ ready, inFlight }: Demand): boolean {
    return ready + inFlight > 0 && this.#held > Math.max(this.#fair, inFlight);
  }

  isWaitingForOthers({ ready, inFlight }: Demand): boolean {
    return ready > 0 && this.#held < Math.min(this.#fair, inFlight + ready);
  }

  /** A question is on its way. `isIdle`: all slots are given up. */
  ask(demand: Demand, isIdle: boolean): Told {
    const keepSlots = isIdle ? 0 : Math.max(demand.inFlight, Math.min(this.#held, this.#fair));
    const wantSlots = isIdle ? 0 : Math.min(this.maxConcurrency, Math.max(keepSlots, demand.inFlight + demand.ready));
    this.#promised = keepSlots;
    this.#wanted = wantSlots;
    this.#isKnown = true;
    this.#isOutdated = false;
    return { keepSlots, wantSlots };
  }

  /** `endsAt`: of the hold. */
  granted({ slots, fairSlots, doOthersWait }: Grant, endsAt: number): void {
    this.#promised = Number.POSITIVE_INFINITY;
    this.#held = slots;
    this.#fair = fairSlots;
    this.#doOthersWait = doOthersWait;
    this.#isKnown = slots > 0 || this.#wanted > 0;
    this.#endsAt = endsAt;
    this.#isShort = slots === 0 && this.#wanted > 0;
  }

  /** The answer was lost: slots beyond those that were promised to be kept may be others' now. */
  unanswered(): void {
    this.#held = Math.min(this.#held, this.#promised);
    this.#promised = Number.POSITIVE_INFINITY;
    this.#isOutdated = true;
  }

  #couldUse({ ready, inFlight }: Demand): number {
    return Math.min(this.maxConcurrency, inFlight + ready);
  }
}
