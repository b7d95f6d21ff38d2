/**
 * A worker's permits for one account: asks the gate for as many as its ready calls can use, keeps them until their start, and reports how
 * calls ended, all in the same round trip. What it says of its concurrency slots there is slot-hold.ts's.
 *
 * Always: no call starts before its permit's start nor more than `useWithinMs` after it, so that the gate's margin covers what a window
 * sees at the provider.
 */
import { isDeepStrictEqual } from 'node:util';
import type { AcquireRequest, GatePolicy, Grant } from '../../shared/gate/acquire.ts';
import type { BudgetReport } from '../../shared/gate/budgets.ts';
import type { LiftOptions } from '../../shared/gate/lift.ts';
import { useWithinMs } from '../../shared/gate/limits.ts';
import type { Permit } from './call-under-way.ts';
import { ClockBounds } from './clock-bounds.ts';
import { GateReport, type GrantedPermit, throttledReason } from './gate-report.ts';
import { type Demand, SlotHold } from './slot-hold.ts';

/** Permits are reserved so far ahead: longer than a busy worker's round trip, short enough that a pause voids few. */
const horizonMs = 150;
/** Without limits a permit costs nobody anything; it ends soon all the same, so that pauses and breakers are noticed, unless an answer renews it. */
const unlimitedLifeMs = 4_000;
/** So many at least are asked for at once then, so that small providers do not cost a question for every other call. */
const unlimitedStock = 32;
const reportAfterMs = 200;
/** Successes alone can wait for longer, though not for long beside the breaker's window: a thousand providers would report five thousand times a second. */
const successesAfterMs = 2_000;
const successesPerWindow = 5;
/** Slots that nobody else wants are given up without haste. */
const idleAfterMs = { wanted: 50, unwanted: 1_000 };
const retryAfterErrorMs = 250;
/** All slots are others' for now, or may be shared otherwise by now: between two questions about them. */
const slotsAskMs = 25;
/** First ask, before any slots are held. */
const firstWant = 32;
/** A permit whose start is known less closely than `useWithinMs` (Redis is far away) can be used for so long all the same. */
const leastUseMs = 5;
/** A timer cannot wait for longer than 24 days; a quota may ask for more. */
const longestWaitMs = 3_600_000;

export interface Gate {
  acquire(account: string, policy: GatePolicy, request: AcquireRequest): Promise<Grant>;
  leave(account: string): Promise<void>;
  lift(account: string, options: LiftOptions): Promise<void>;
}

export interface PermitStockDeps {
  readonly gate: Gate;
  readonly account: string;
  readonly holdTtlMs: number;
  /** Monotonic, milliseconds. */
  now(): number;
  /** Something changed: permits came, or the time of the next one did. */
  onChange(): void;
  /** A pause has ended before its time. */
  onLifted(): void;
  onGrant(grant: Grant, asked: number): void;
  onError(error: unknown): void;
}

interface StockedPermit extends GrantedPermit {
  until: number;
}

const hasWork = ({ ready, inFlight }: Demand): boolean => ready + inFlight > 0;

export class PermitStock {
  readonly #deps: PermitStockDeps;
  #policy: GatePolicy;
  /** The policy's; the same object while they do not change. */
  #limits: GatePolicy['limits'];
  #permits: StockedPermit[] = [];
  /** Of the permits that no revocation has met yet, wherever they are. */
  #series = { isRevoked: false };
  readonly #redisClock = new ClockBounds();
  readonly #slots: SlotHold;
  #isAsking = false;
  /** No permits are to be had before this. */
  #askAgainAt = 0;
  /** As the gate last said, by Redis's clock; 0 where it was not paused. */
  #pausedUntilMs = 0;
  /** The gate is asked even if there is nothing to ask or to tell. */
  #mustAsk = false;
  /** Redis failed: nothing is asked before this. */
  #silentUntil = 0;
  #discardsAnswer = false;
  #isClosed = false;
  readonly #report = new GateReport();
  #lastAskAt = 0;
  /** The provider’s answers tell what is left of its limits, though none is configured. */
  #hasBudgets = false;
  /** When there was last something to call. */
  #lastBusyAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(policy: GatePolicy, deps: PermitStockDeps) {
    this.#policy = policy;
    this.#limits = policy.limits;
    this.#slots = new SlotHold(policy.maxConcurrency);
    this.#deps = deps;
  }

  set policy(policy: GatePolicy) {
    if (!isDeepStrictEqual(policy.limits, this.#limits)) {
      this.#limits = policy.limits;
      this.#report.forgetReturns();
    }
    this.#policy = policy;
    this.#slots.maxConcurrency = policy.maxConcurrency;
    this.revoke();
  }

  /** How long the account's breaker stays open. */
  get breakerOpenMs(): number {
    return this.#policy.breaker.openMs;
  }

  /** No permit is for a moment of its own. */
  get isUnlimited(): boolean {
    return this.#limits.length === 0;
  }

  /** Nobody else could use what is granted to this worker. */
  get #costsNothing(): boolean {
    return this.isUnlimited && !this.#hasBudgets;
  }

  /** A permit whose start has come, if a slot is free for it; if its start is all that is missing, `onChange` tells when it comes. */
  take(inFlight: number): StockedPermit | undefined {
    const now = this.#deps.now();
    if (!this.#has(inFlight, now)) return undefined;
    this.#lastBusyAt = now;
    return this.#permits.shift();
  }

  /** `take` would give one. */
  has(inFlight: number): boolean {
    return this.#has(inFlight, this.#deps.now());
  }

  #has(inFlight: number, now: number): boolean {
    if (!this.#slots.mayCall(inFlight, now)) return false;
    this.#dropVoid(now);
    const permit = this.#permits[0];
    if (!permit) return false;
    if (permit.from > now) this.#wakeAt(permit.from);
    return permit.from <= now;
  }

  /** Nothing was there to be called with the permit just taken: it serves the next call, if it is good still. */
  putBack(permit: Permit): void {
    this.#permits.unshift(permit as StockedPermit);
    if (permit.series?.isRevoked) this.#giveBackFirst();
  }

  /** No request was made with the permit. What was granted under other limits is in none of these windows. */
  giveBack(permit: Permit): void {
    if ((permit as StockedPermit).limits === this.#limits) this.#report.giveBack(permit as StockedPermit);
    else this.passOver(permit);
  }

  /** The permit's request has ended, and told nothing of the provider's health, or not yet. */
  passOver(permit: Permit): void {
    this.#report.passOver(permit as StockedPermit);
  }

  /** A call has ended; of several requests, by the permit of the last. */
  report(permit: Permit, hasFailed: boolean): void {
    this.#report.add(permit as StockedPermit, hasFailed);
  }

  /** The provider asked for silence: tells the gate at once. */
  pause(ms: number, reason: string): void {
    this.#report.addPause(ms, reason);
    this.revoke();
  }

  /**
   * What the provider refused is not the same any more: a pause for refused credentials ends, for the whole fleet; at another address, or with
   * other credentials, an open breaker closes, too. A pause for throttling stays.
   */
  lift({ isElsewhere }: { isElsewhere: boolean }): void {
    this.#report.forgetRefusal();
    const { gate, account, onError } = this.#deps;
    gate.lift(account, { stays: throttledReason, closesBreaker: isElsewhere }).catch((error) => onError(error));
  }

  /** What the answers of a call said of the account's limits. `sentAt`: its last request. */
  observe(budgets: readonly BudgetReport[], sentAt: number): void {
    // What costs nothing so far is in none of them.
    if (budgets.length > 0 && this.#costsNothing) for (const permit of this.#permits.splice(0)) this.passOver(permit);
    if (budgets.length > 0) this.#hasBudgets = true;
    this.#report.budgets.observe(budgets, sentAt, this.#deps.now());
  }

  /** The account's calls must stop, or its limits changed: permits in hand are void. */
  revoke(): void {
    this.#voidAll();
    this.#discardsAnswer = this.#isAsking;
    this.#askAgainAt = 0;
    this.#deps.onChange();
  }

  /** Others have begun to wait for slots of the account, or some came free: what this worker may use is asked soon. */
  sharesChanged(): void {
    this.#slots.sharesChanged();
    if (this.#slots.isOutdated) this.#deps.onChange();
  }

  /** Announcements may have been missed: what is in hand may be void, and a pause known of may have been lifted. */
  catchUp(): void {
    this.#mustAsk = this.#pausedUntilMs > 0;
    this.#slots.sharesChanged();
    this.revoke();
  }

  /** Announcements get lost where nobody notices: whether a pause known of was lifted is asked now and then. */
  checkPause(): void {
    if (this.#pausedUntilMs > 0) this.catchUp();
  }

  /** Asks the gate if there is something to ask or to tell; otherwise sees to it that it will be. */
  refill(demand: Demand): void {
    if (this.#isAsking || this.#isClosed) return;
    const now = this.#deps.now();
    if (now < this.#silentUntil) return this.#wakeAt(this.#silentUntil);
    this.#dropVoid(now);
    const mayWant = now >= this.#askAgainAt;
    const want = mayWant ? this.#want(demand) : 0;
    const isWorthAsking = this.#mustAsk || want >= Math.max(1, this.#permits.length);
    const reportAt = this.#reportAt(demand);
    if (
      isWorthAsking ||
      (mayWant && this.#slots.needsMore(demand)) ||
      this.#report.hasPause ||
      this.#report.isPressing(this.#policy.breaker) ||
      this.#slots.hasTooMany(demand) ||
      now >= reportAt
    )
      void this.#ask(want, demand, now);
    else this.#wakeAt(Math.min(reportAt, mayWant || demand.ready === 0 ? Number.POSITIVE_INFINITY : this.#askAgainAt));
  }

  /** Gives its slots up, so that others need not wait for its hold to end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#slots.isKnown && !this.#isAsking) return;
    await this.#deps.gate.leave(this.#deps.account).catch((error) => this.#deps.onError(error));
  }

  /** How many permits would be of use. */
  #want(demand: Demand): number {
    const { ready, inFlight } = demand;
    const stocked = this.#permits.length;
    // While others have all slots, permits would go to waste here.
    if (this.#slots.isEmpty) {
      if (this.#slots.isShort || stocked > 0 || ready === 0) return 0;
      return this.#costsNothing ? unlimitedStock : Math.min(ready, firstWant, this.#policy.maxConcurrency);
    }
    const usable = this.#slots.usable(demand);
    const room = (this.isUnlimited ? Math.max(4 * usable, unlimitedStock) : usable) - inFlight;
    // Where they cost nothing, there are some for what comes next, too.
    if (this.#costsNothing) return ready > stocked ? Math.max(0, room - stocked) : 0;
    return Math.max(0, Math.min(ready, room) - stocked);
  }

  /** When the gate is to hear from this worker even if it wants nothing. */
  #reportAt(demand: Demand): number {
    const report = this.#report;
    // Where they cost nothing, nobody waits for permits that come back.
    const isUrgent = report.isUrgent || (report.hasReturns && !this.#costsNothing) || this.#slots.isWaitingForOthers(demand);
    let afterMs = Number.POSITIVE_INFINITY;
    if (this.#slots.isOutdated) afterMs = slotsAskMs;
    else if (isUrgent) afterMs = reportAfterMs;
    else if (report.hasSuccesses)
      afterMs = Math.max(reportAfterMs, Math.min(successesAfterMs, this.#policy.breaker.windowMs / successesPerWindow));
    if (hasWork(demand)) return this.#lastAskAt + Math.min(afterMs, this.#deps.holdTtlMs / 3);
    return Math.min(this.#lastAskAt + afterMs, this.#slots.isKnown ? this.#idleAt : Number.POSITIVE_INFINITY);
  }

  /** When the slots are to be given up: nobody else's while something is called now and then; others' as soon as there is no work. */
  get #idleAt(): number {
    return this.#slots.areWanted ? this.#lastAskAt + idleAfterMs.wanted : this.#lastBusyAt + idleAfterMs.unwanted;
  }

  async #ask(want: number, demand: Demand, askedAt: number): Promise<void> {
    const request = this.#takeRequest(want, demand, askedAt);
    // What is stocked beyond what there is to call is no refusal where it does not come.
    const needed = this.#costsNothing ? Math.min(want, demand.ready) : want;
    this.#isAsking = true;
    this.#lastAskAt = askedAt;
    if (demand.ready > 0) this.#lastBusyAt = askedAt;
    const limits = this.#limits;
    let isLifted = false;
    try {
      const grant = await this.#deps.gate.acquire(this.#deps.account, this.#policy, request);
      isLifted = this.#hasLifted(grant);
      this.#accept(grant, limits, needed, askedAt);
      this.#deps.onGrant(grant, Math.max(needed, grant.startsMs.length));
    } catch (error) {
      this.#failedToAsk(request);
      this.#deps.onError(error);
    } finally {
      this.#isAsking = false;
      this.#discardsAnswer = false;
      if (isLifted) this.#deps.onLifted();
      this.#deps.onChange();
    }
  }

  /** What is to be asked and told; what is told once is taken out. */
  #takeRequest(want: number, demand: Demand, askedAt: number): AcquireRequest {
    const isIdle = !hasWork(demand) && askedAt >= this.#idleAt;
    if (isIdle) this.#giveAllBack();
    return { want, horizonMs, ...this.#slots.ask(demand, isIdle), ...this.#report.take(askedAt) };
  }

  /** The request may have been carried out: permits it granted are lost, which errs on the safe side. */
  #failedToAsk(request: AcquireRequest): void {
    this.#report.tellAgain(request);
    this.#slots.unanswered();
    this.#silentUntil = this.#deps.now() + retryAfterErrorMs;
  }

  /** The pause known of has been taken back: who waits for its end need not wait. */
  #hasLifted({ nowMs, pausedUntilMs }: Grant): boolean {
    return nowMs < this.#pausedUntilMs && pausedUntilMs < this.#pausedUntilMs;
  }

  #accept(grant: Grant, limits: GatePolicy['limits'], needed: number, askedAt: number): void {
    const now = this.#deps.now();
    // By the clock of the asking: the gate's hold ends later than this.
    this.#slots.granted(grant, askedAt + this.#deps.holdTtlMs * 0.8);
    // Whatever announced that may have been lost on its way.
    if (grant.epoch > this.#report.epoch || grant.breaker === 'open' || grant.pausedUntilMs > 0) this.#voidAll();
    this.#report.learn(grant);
    this.#askAgainAt = this.#nextAskAt(grant, needed, now);
    this.#pausedUntilMs = grant.pausedUntilMs;
    if (!this.#discardsAnswer) this.#mustAsk = false;
    this.#redisClock.learn(askedAt, now, grant.nowMs);
    if (grant.slots === 0) this.#giveAllBack();
    const permits = grant.startsMs.map((startMs) => this.#toPermit(grant, limits, startMs));
    if (this.#discardsAnswer || grant.slots === 0) {
      for (const permit of permits) this.giveBack(permit);
      return;
    }
    if (this.#costsNothing && grant.breaker === 'closed' && grant.pausedUntilMs === 0) this.#renew(grant);
    this.#permits.push(...permits);
  }

  /** Nothing has happened that would void what is in stock. */
  #renew({ nowMs, epoch }: Grant): void {
    const until = this.#redisClock.latest(nowMs) + unlimitedLifeMs;
    for (const permit of this.#permits) if (permit.epoch === epoch) permit.until = until;
  }

  #nextAskAt(grant: Grant, needed: number, now: number): number {
    if (this.#discardsAnswer) return 0;
    if (grant.retryInMs !== undefined && grant.startsMs.length < needed) return now + grant.retryInMs;
    const askAgainAt = this.#hasLifted(grant) ? now : this.#askAgainAt;
    if (this.#slots.isShort) return Math.max(askAgainAt, now + slotsAskMs);
    return needed > 0 ? now : askAgainAt;
  }

  /** Never early, and never late, whatever the answer's way took. */
  #toPermit({ nowMs, epoch, breaker }: Grant, limits: GatePolicy['limits'], startMs: number): StockedPermit {
    const from = this.#redisClock.latest(nowMs + startMs);
    const until =
      limits.length === 0 ? from + unlimitedLifeMs : Math.max(from + leastUseMs, this.#redisClock.earliest(nowMs + startMs) + useWithinMs);
    return { from, until, epoch, limits, series: this.#series, isProbe: breaker === 'half_open' };
  }

  #dropVoid(now: number): void {
    while (this.#permits.length > 0 && (this.#permits[0] as Permit).until < now) this.#giveBackFirst();
  }

  /** Nothing granted so far may be used any more, in stock or in hand. */
  #voidAll(): void {
    this.#giveAllBack();
    this.#series.isRevoked = true;
    this.#series = { isRevoked: false };
  }

  #giveAllBack(): void {
    while (this.#permits.length > 0) this.#giveBackFirst();
  }

  #giveBackFirst(): void {
    this.giveBack(this.#permits.shift() as StockedPermit);
  }

  #wakeAt(at: number): void {
    if (this.#isClosed || at === Number.POSITIVE_INFINITY || (this.#timer && this.#timerAt <= at)) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const waitMs = Math.max(0, Math.ceil(at - this.#deps.now()));
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#deps.onChange();
      },
      Math.min(waitMs, longestWaitMs),
    );
  }
}
