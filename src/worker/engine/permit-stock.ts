/**
 * A worker's permits and concurrency slots for one account: asks the gate for as many as its ready calls can use, keeps them until
 * their start, and reports how calls ended, all in the same round trip.
 *
 * Always: no call starts before its permit's start nor more than `useWithinMs` after it, so that the gate's margin covers what a window
 * sees at the provider; never more calls than slots, and, while an answer is due, never more than were promised to be kept.
 */
import type { AcquireRequest, GatePolicy, Grant, RefusalReason } from '../../shared/gate/acquire.ts';
import { useWithinMs } from '../../shared/gate/limits.ts';
import type { Permit } from './call-under-way.ts';

/** Permits are reserved so far ahead: longer than a busy worker's round trip, short enough that a pause voids few. */
const horizonMs = 150;
/** Without limits a permit costs nobody anything; it ends soon all the same, so that pauses and breakers are noticed. */
const unlimitedLifeMs = 250;
const reportAfterMs = 200;
const idleAfterMs = 50;
const retryAfterErrorMs = 250;
/** All slots are others' for now. */
const noSlotsRetryMs = 25;
/** First ask, before any slots are held. */
const firstWant = 32;

export interface Gate {
  acquire(account: string, policy: GatePolicy, request: AcquireRequest): Promise<Grant>;
}

export interface PermitStockDeps {
  readonly gate: Gate;
  readonly account: string;
  readonly holdTtlMs: number;
  /** Monotonic, milliseconds. */
  now(): number;
  /** Something changed: permits came, or the time of the next one did. */
  onChange(): void;
  onGrant(grant: Grant, asked: number): void;
  onError(error: unknown): void;
}

interface StockedPermit extends Permit {
  readonly epoch: number;
}

/** What the worker has to do for the account right now, in calls. */
export interface Demand {
  readonly ready: number;
  readonly inFlight: number;
}

export class PermitStock {
  readonly #deps: PermitStockDeps;
  #policy: GatePolicy;
  #permits: StockedPermit[] = [];
  #slots = 0;
  #fairSlots = 0;
  #promised = Number.POSITIVE_INFINITY;
  #holdEndsAt = 0;
  /** All slots were others' when this worker last asked for some. */
  #isShortOfSlots = false;
  #isAsking = false;
  #askAgainAt = 0;
  #discardsAnswer = false;
  #succeeded = 0;
  #failed = 0;
  #epoch = 0;
  #returned = 0;
  #pause: { ms: number; reason: string } | undefined;
  #lastAskAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  refusedBy: RefusalReason | undefined;

  constructor(policy: GatePolicy, deps: PermitStockDeps) {
    this.#policy = policy;
    this.#deps = deps;
  }

  set policy(policy: GatePolicy) {
    this.#policy = policy;
    this.revoke();
  }

  get #isUnlimited(): boolean {
    return this.#policy.limits.length === 0;
  }

  /** A permit whose start has come, if a slot is free for it. */
  take(inFlight: number): StockedPermit | undefined {
    const now = this.#deps.now();
    if (now >= this.#holdEndsAt || inFlight >= Math.min(this.#slots, this.#promised)) return undefined;
    this.#dropVoid(now);
    const permit = this.#permits[0];
    if (!permit) return undefined;
    if (permit.from > now) {
      this.#wakeAt(permit.from);
      return undefined;
    }
    this.#permits.shift();
    return permit;
  }

  /** The permit's call never started. */
  giveBack(): void {
    this.#returned++;
  }

  report(permit: Permit, hasFailed: boolean): void {
    const { epoch } = permit as StockedPermit;
    if (epoch < this.#epoch) return;
    if (hasFailed) this.#failed++;
    else this.#succeeded++;
  }

  /** The provider asked for silence: tells the gate at once. */
  pause(ms: number, reason: string): void {
    if (!this.#pause || this.#pause.ms < ms) this.#pause = { ms, reason };
    this.revoke();
  }

  /** The account's calls must stop, or its limits changed: permits in hand are void. */
  revoke(): void {
    while (this.#permits.length > 0) this.#giveBackFirst();
    this.#discardsAnswer = this.#isAsking;
    this.#askAgainAt = 0;
    this.#deps.onChange();
  }

  /** Asks the gate if there is something to ask or to tell; otherwise sees to it that it will be. */
  refill(demand: Demand): void {
    if (this.#isAsking) return;
    const now = this.#deps.now();
    if (now < this.#askAgainAt) {
      this.#wakeAt(this.#askAgainAt);
      return;
    }
    this.#dropVoid(now);
    const want = this.#want(demand);
    const needsSlot = this.#slots === 0 && demand.ready > 0;
    if (want > 0 || needsSlot || this.#pause || this.#isReportDue(demand, now)) void this.#ask(want, demand, now);
    else this.#wakeForReport(demand, now);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #want({ ready, inFlight }: Demand): number {
    const stocked = this.#permits.length;
    // While others have all slots, permits would go to waste here.
    if (this.#slots === 0) return this.#isShortOfSlots ? 0 : Math.min(ready, firstWant, this.#policy.maxConcurrency);
    const room = this.#isUnlimited ? 2 * this.#slots - inFlight : this.#slots - inFlight;
    const want = Math.min(ready, room) - stocked;
    return want >= Math.max(1, stocked) ? want : 0;
  }

  #isReportDue({ ready, inFlight }: Demand, now: number): boolean {
    const isIdle = ready === 0 && inFlight === 0;
    const sinceAsk = now - this.#lastAskAt;
    if (isIdle) return this.#slots > 0 && sinceAsk >= idleAfterMs;
    return (this.#succeeded + this.#failed > 0 && sinceAsk >= reportAfterMs) || sinceAsk >= this.#deps.holdTtlMs / 3;
  }

  #wakeForReport({ ready, inFlight }: Demand, now: number): void {
    if (this.#slots === 0 && ready === 0 && inFlight === 0 && this.#succeeded + this.#failed === 0) return;
    const isIdle = ready === 0 && inFlight === 0;
    const after = isIdle ? idleAfterMs : this.#succeeded + this.#failed > 0 ? reportAfterMs : this.#deps.holdTtlMs / 3;
    this.#wakeAt(Math.max(now + 1, this.#lastAskAt + after));
  }

  async #ask(want: number, { ready, inFlight }: Demand, askedAt: number): Promise<void> {
    const isIdle = ready === 0 && inFlight === 0;
    const keepSlots = isIdle ? 0 : Math.max(inFlight, Math.min(this.#slots, this.#fairSlots));
    const request: AcquireRequest = {
      want,
      horizonMs,
      keepSlots,
      wantSlots: isIdle ? 0 : Math.min(this.#policy.maxConcurrency, Math.max(keepSlots, inFlight + ready)),
      succeeded: this.#succeeded,
      failed: this.#failed,
      epoch: this.#epoch,
      returned: this.#returned,
      ...(this.#pause ? { pause: this.#pause } : {}),
    };
    const { pause } = request;
    this.#succeeded = 0;
    this.#failed = 0;
    this.#returned = 0;
    this.#pause = undefined;
    this.#isAsking = true;
    this.#promised = keepSlots;
    this.#lastAskAt = askedAt;
    try {
      const grant = await this.#deps.gate.acquire(this.#deps.account, this.#policy, request);
      this.#isShortOfSlots = request.wantSlots > 0 && grant.slots === 0;
      this.#accept(grant, askedAt);
      this.#deps.onGrant(grant, want);
    } catch (error) {
      // What was to be reported is told again; permits that may have been granted are lost, which errs on the safe side.
      this.#succeeded += request.succeeded;
      this.#failed += request.failed;
      if (pause) this.#pause ??= pause;
      this.#askAgainAt = this.#deps.now() + retryAfterErrorMs;
      this.#deps.onError(error);
    } finally {
      this.#isAsking = false;
      this.#promised = Number.POSITIVE_INFINITY;
      this.#discardsAnswer = false;
      this.#deps.onChange();
    }
  }

  #accept(grant: Grant, askedAt: number): void {
    const now = this.#deps.now();
    this.#slots = grant.slots;
    this.#fairSlots = grant.fairSlots;
    // By the clock of the asking: the gate's hold ends later than this.
    this.#holdEndsAt = askedAt + this.#deps.holdTtlMs * 0.8;
    this.refusedBy = grant.refusedBy;
    if (grant.epoch > this.#epoch) {
      this.#epoch = grant.epoch;
      this.#succeeded = 0;
      this.#failed = 0;
    }
    this.#askAgainAt = now + (grant.retryInMs ?? (this.#isShortOfSlots ? noSlotsRetryMs : 0));
    if (this.#discardsAnswer) this.#askAgainAt = 0;
    // Without a slot a permit is of no use, and one kept would stop the next asking.
    if (grant.slots === 0) while (this.#permits.length > 0) this.#giveBackFirst();
    if (this.#discardsAnswer || grant.slots === 0) {
      this.#returned += grant.startsMs.length;
      return;
    }
    for (const start of grant.startsMs) {
      // Never early: the script ran before `now`. Never late: it ran after `askedAt`.
      const from = now + start;
      this.#permits.push({ from, until: this.#isUnlimited ? from + unlimitedLifeMs : askedAt + start + useWithinMs, epoch: grant.epoch });
    }
  }

  #dropVoid(now: number): void {
    while (this.#permits.length > 0 && (this.#permits[0] as Permit).until < now) this.#giveBackFirst();
  }

  #giveBackFirst(): void {
    this.#permits.shift();
    this.#returned++;
  }

  #wakeAt(at: number): void {
    if (this.#timer && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#deps.onChange();
    }, Math.max(0, Math.ceil(at - this.#deps.now())));
  }
}
