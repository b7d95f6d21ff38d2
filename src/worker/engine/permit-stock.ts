/**
 * A worker's permits and concurrency slots for one account: asks the gate for as many as its ready calls can use, keeps them until
 * their start, and reports how calls ended, all in the same round trip.
 *
 * Always: no call starts before its permit's start nor more than `useWithinMs` after it, so that the gate's margin covers what a window
 * sees at the provider; never more calls than slots, and, while an answer is due, never more than were promised to be kept.
 */
import type { AcquireRequest, GatePolicy, Grant, RefusalReason } from '../../shared/gate/acquire.ts';
import type { BudgetReport } from '../../shared/gate/budgets.ts';
import { useWithinMs } from '../../shared/gate/limits.ts';
import type { Permit } from './call-under-way.ts';
import { ClockBounds } from './clock-bounds.ts';

/** Permits are reserved so far ahead: longer than a busy worker's round trip, short enough that a pause voids few. */
const horizonMs = 150;
/** Without limits a permit costs nobody anything; it ends soon all the same, so that pauses and breakers are noticed, unless an answer renews it. */
const unlimitedLifeMs = 2_000;
/** So many at least are asked for at once then, so that small providers do not cost a question for every other call. */
const unlimitedStock = 32;
const reportAfterMs = 200;
/** Successes alone can wait for longer, though not for long beside the breaker's window: a thousand providers would report five thousand times a second. */
const successesAfterMs = 1_000;
const successesPerWindow = 10;
/** Slots that nobody else wants are given up without haste. */
const idleAfterMs = { wanted: 50, unwanted: 1_000 };
const retryAfterErrorMs = 250;
/** The reason of a pause that the provider asked for by throttling. */
export const throttledReason = 'rate_limited';
/** All slots are others' for now. */
const noSlotsRetryMs = 25;
/** First ask, before any slots are held. */
const firstWant = 32;
/** A permit whose start is known less closely than `useWithinMs` (Redis is far away) can be used for so long all the same. */
const leastUseMs = 5;
/** A timer cannot wait for longer than 24 days; a quota may ask for more. */
const longestWaitMs = 3_600_000;

export interface Gate {
  acquire(account: string, policy: GatePolicy, request: AcquireRequest): Promise<Grant>;
  leave(account: string): Promise<void>;
  lift(account: string, stays: string): Promise<void>;
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
  until: number;
  readonly epoch: number;
}

interface Observed {
  readonly budget: BudgetReport;
  /** The worker's monotonic clock, milliseconds. */
  readonly sentAt: number;
  readonly answeredAt: number;
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
  readonly #redisClock = new ClockBounds();
  #slots = 0;
  /** Its fair share: what to come down to, and what it may hope for. */
  #fairSlots = 0;
  #wantedSlots = 0;
  #promised = Number.POSITIVE_INFINITY;
  #holdEndsAt = 0;
  /** All slots were others' when this worker last asked for some. */
  #isShortOfSlots = false;
  #isAsking = false;
  /** No permits are to be had before this. */
  #askAgainAt = 0;
  /** Redis failed: nothing is asked before this. */
  #silentUntil = 0;
  #discardsAnswer = false;
  #isClosed = false;
  #succeeded = 0;
  #failed = 0;
  #epoch = 0;
  #returned = 0;
  #pause: { ms: number; reason: string } | undefined;
  #throttled = 0;
  /** What the provider last said of each window, by its length. */
  #budgets = new Map<number, Observed>();
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

  get #idleAfterMs(): number {
    return this.#fairSlots < this.#policy.maxConcurrency ? idleAfterMs.wanted : idleAfterMs.unwanted;
  }

  get #isUnlimited(): boolean {
    return this.#policy.limits.length === 0;
  }

  /** A permit whose start has come, if a slot is free for it. */
  take(inFlight: number): StockedPermit | undefined {
    const now = this.#deps.now();
    if (now >= this.#holdEndsAt || inFlight >= Math.min(this.#slots, this.#fairSlots, this.#promised)) return undefined;
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

  /** Nothing was there to be called with the permit just taken: it serves the next call. */
  putBack(permit: Permit): void {
    this.#permits.unshift(permit as StockedPermit);
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
    if (reason === throttledReason) this.#throttled++;
    if (!this.#pause || this.#pause.ms < ms) this.#pause = { ms, reason };
    this.revoke();
  }

  /** What the provider refused is not the same any more: a pause for that reason ends, for the whole fleet. One for throttling stays. */
  lift(): void {
    this.#deps.gate.lift(this.#deps.account, throttledReason).catch((error) => this.#deps.onError(error));
  }

  /** What the answers of a call said of the account's limits: told with the next question. Of several calls, the one sent last counts. */
  observe(budgets: readonly BudgetReport[], sentAt: number): void {
    const answeredAt = this.#deps.now();
    for (const budget of budgets) {
      const known = this.#budgets.get(budget.perMs);
      if (!known || known.sentAt <= sentAt) this.#budgets.set(budget.perMs, { budget, sentAt, answeredAt });
    }
  }

  #takeBudgets(): BudgetReport[] {
    const now = this.#deps.now();
    const reports = [...this.#budgets.values()].map(({ budget, sentAt, answeredAt }) => ({
      ...budget,
      sentMsAgo: now - sentAt,
      answeredMsAgo: now - answeredAt,
    }));
    this.#budgets.clear();
    return reports;
  }

  /** The account's calls must stop, or its limits changed: permits in hand are void. */
  revoke(): void {
    this.#giveAllBack();
    this.#discardsAnswer = this.#isAsking;
    this.#askAgainAt = 0;
    this.#deps.onChange();
  }

  /** Asks the gate if there is something to ask or to tell; otherwise sees to it that it will be. */
  refill(demand: Demand): void {
    if (this.#isAsking || this.#isClosed) return;
    const now = this.#deps.now();
    if (now < this.#silentUntil) return this.#wakeAt(this.#silentUntil);
    this.#dropVoid(now);
    const mayWant = now >= this.#askAgainAt;
    const want = mayWant ? this.#want(demand) : 0;
    const isWorthAsking = want >= Math.max(1, this.#permits.length);
    const needsSlots = mayWant && demand.ready > 0 && this.#slots === 0;
    const reportAt = this.#reportAt(demand);
    if (isWorthAsking || needsSlots || this.#pause || this.#hasTooMany(demand) || now >= reportAt) void this.#ask(want, demand, now);
    else this.#wakeAt(Math.min(reportAt, mayWant || demand.ready === 0 ? Number.POSITIVE_INFINITY : this.#askAgainAt));
  }

  /** Gives its slots up, so that others need not wait for its hold to end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#slots === 0 && !this.#isAsking) return;
    await this.#deps.gate.leave(this.#deps.account).catch((error) => this.#deps.onError(error));
  }

  /** How many permits would be of use. */
  #want(demand: Demand): number {
    const { ready, inFlight } = demand;
    const stocked = this.#permits.length;
    // While others have all slots, permits would go to waste here.
    if (this.#slots === 0) {
      const most = this.#isUnlimited ? firstWant : Math.min(firstWant, this.#policy.maxConcurrency);
      return this.#isShortOfSlots || stocked > 0 ? 0 : Math.min(ready, most);
    }
    const usable = this.#usableSlots(demand);
    const room = (this.#isUnlimited ? Math.max(4 * usable, unlimitedStock) : usable) - inFlight;
    return Math.max(0, Math.min(ready, room) - stocked);
  }

  /** Who wants more than ever may hope for a fair share; who has asked for it already waits until others have come down. */
  #usableSlots({ ready, inFlight }: Demand): number {
    const couldUse = Math.min(this.#policy.maxConcurrency, inFlight + ready);
    return couldUse > this.#wantedSlots ? this.#fairSlots : Math.min(this.#slots, this.#fairSlots);
  }

  /** Others wait for what this worker holds beyond its share. */
  #hasTooMany({ ready, inFlight }: Demand): boolean {
    return ready + inFlight > 0 && this.#slots > Math.max(this.#fairSlots, inFlight);
  }

  /** When the gate is to hear from this worker even if it wants nothing. */
  #reportAt({ ready, inFlight }: Demand): number {
    const isIdle = ready === 0 && inFlight === 0;
    const hasNews = this.#succeeded + this.#failed + this.#returned + this.#budgets.size > 0;
    if (isIdle) {
      const afterMs = this.#failed > 0 ? Math.min(reportAfterMs, this.#idleAfterMs) : this.#idleAfterMs;
      return this.#slots > 0 || hasNews ? this.#lastAskAt + afterMs : Number.POSITIVE_INFINITY;
    }
    const isWaitingForOthers = ready > 0 && this.#slots < Math.min(this.#fairSlots, inFlight + ready);
    // Where there are no limits, nobody waits for permits that come back.
    const isUrgent = this.#failed + this.#budgets.size > 0 || (this.#returned > 0 && !this.#isUnlimited);
    if (isUrgent || isWaitingForOthers) return this.#lastAskAt + reportAfterMs;
    if (this.#succeeded === 0) return this.#lastAskAt + this.#deps.holdTtlMs / 3;
    return this.#lastAskAt + Math.max(reportAfterMs, Math.min(successesAfterMs, this.#policy.breaker.windowMs / successesPerWindow));
  }

  async #ask(want: number, demand: Demand, askedAt: number): Promise<void> {
    const request = this.#takeRequest(want, demand);
    this.#isAsking = true;
    this.#promised = request.keepSlots;
    this.#wantedSlots = request.wantSlots;
    this.#lastAskAt = askedAt;
    try {
      const grant = await this.#deps.gate.acquire(this.#deps.account, this.#policy, request);
      this.#accept(grant, request, askedAt);
      this.#deps.onGrant(grant, want);
    } catch (error) {
      this.#failedToAsk(request);
      this.#deps.onError(error);
    } finally {
      this.#isAsking = false;
      this.#promised = Number.POSITIVE_INFINITY;
      this.#discardsAnswer = false;
      this.#deps.onChange();
    }
  }

  /** What is to be asked and told; what is told once is taken out. */
  #takeRequest(want: number, { ready, inFlight }: Demand): AcquireRequest {
    const isIdle = ready === 0 && inFlight === 0;
    if (isIdle) this.#giveAllBack();
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
      ...(this.#throttled > 0 ? { throttled: this.#throttled } : {}),
      ...(this.#budgets.size > 0 ? { budgets: this.#takeBudgets() } : {}),
    };
    this.#throttled = 0;
    this.#succeeded = 0;
    this.#failed = 0;
    this.#returned = 0;
    this.#pause = undefined;
    return request;
  }

  /**
   * The request may have been carried out: slots beyond those it promised to keep may be others' now, and permits it granted are lost, which
   * errs on the safe side. What was to be reported is told again; what came back is not, since told twice it would make room twice.
   */
  #failedToAsk({ succeeded, failed, pause, keepSlots, throttled = 0 }: AcquireRequest): void {
    this.#throttled += throttled;
    this.#succeeded += succeeded;
    this.#failed += failed;
    this.#returned = 0;
    this.#slots = Math.min(this.#slots, keepSlots);
    if (pause) this.#pause ??= pause;
    this.#silentUntil = this.#deps.now() + retryAfterErrorMs;
  }

  #accept(grant: Grant, { want, wantSlots }: AcquireRequest, askedAt: number): void {
    const now = this.#deps.now();
    this.#slots = grant.slots;
    this.#fairSlots = grant.fairSlots;
    this.#isShortOfSlots = grant.slots === 0 && wantSlots > 0;
    // By the clock of the asking: the gate's hold ends later than this.
    this.#holdEndsAt = askedAt + this.#deps.holdTtlMs * 0.8;
    this.refusedBy = grant.refusedBy;
    if (grant.epoch > this.#epoch) {
      this.#epoch = grant.epoch;
      this.#succeeded = 0;
      this.#failed = 0;
    }
    this.#askAgainAt = this.#nextAskAt(grant, want, now);
    this.#redisClock.learn(askedAt, now, grant.nowMs);
    if (grant.slots === 0) this.#giveAllBack();
    if (this.#discardsAnswer || grant.slots === 0) {
      this.#returned += grant.startsMs.length;
      return;
    }
    if (this.#isUnlimited && grant.breaker === 'closed' && grant.pausedUntilMs === 0) this.#renew(grant);
    for (const startMs of grant.startsMs) this.#permits.push(this.#toPermit(grant, startMs));
  }

  /** Nothing has happened that would void what is in stock. */
  #renew({ nowMs, epoch }: Grant): void {
    const until = this.#redisClock.latest(nowMs) + unlimitedLifeMs;
    for (const permit of this.#permits) if (permit.epoch === epoch) permit.until = until;
  }

  #nextAskAt(grant: Grant, want: number, now: number): number {
    if (this.#discardsAnswer) return 0;
    if (grant.retryInMs !== undefined) return now + grant.retryInMs;
    if (this.#isShortOfSlots) return Math.max(this.#askAgainAt, now + noSlotsRetryMs);
    return want > 0 ? now : this.#askAgainAt;
  }

  /** Never early, and never late, whatever the answer's way took. */
  #toPermit({ nowMs, epoch }: Grant, startMs: number): StockedPermit {
    const from = this.#redisClock.latest(nowMs + startMs);
    if (this.#isUnlimited) return { from, until: from + unlimitedLifeMs, epoch };
    return { from, until: Math.max(from + leastUseMs, this.#redisClock.earliest(nowMs + startMs) + useWithinMs), epoch };
  }

  #dropVoid(now: number): void {
    while (this.#permits.length > 0 && (this.#permits[0] as Permit).until < now) this.#giveBackFirst();
  }

  #giveAllBack(): void {
    while (this.#permits.length > 0) this.#giveBackFirst();
  }

  #giveBackFirst(): void {
    this.#permits.shift();
    this.#returned++;
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
