/**
 * The engine of one worker: entries of the shards it owns become lanes, lanes become calls, calls become settlements.
 *
 *   claimer ──► lanes ──► dispatcher (permits, adapter) ──► conclude ──► settler ──► lanes go on
 *
 * State lives in ShardState, QueueState and Lane; the parts change it and call back here. What comes back for a shard that is gone is
 * dropped: its next owner has the pending list.
 */
import { parseQueueName } from '../../shared/domain/operation.ts';
import type { TakenLease } from '../fleet/fleet.ts';
import { Accounts } from './accounts.ts';
import { Claimer } from './claimer.ts';
import type { EngineDeps } from './engine-deps.ts';
import { Intake } from './intake.ts';
import { LaneRunner } from './lane-runner.ts';
import { Ledger } from './ledger.ts';
import { Settler, type SettlerItem } from './settler.ts';
import { minWindow, type QueueState, ShardState } from './shard-state.ts';
import { StartPacer } from './start-pacer.ts';

/** After Redis failed in the middle of something, milliseconds. */
const retryMs = 100;
/** A timer cannot wait for longer than 24 days. */
const longestWaitMs = 2 ** 31 - 1;
/** A lease that has too little left for a call is looked at again after so long. */
const leaseCheckMs = 50;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #shards = new Map<number, ShardState>();
  readonly #ledger = new Ledger();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;
  readonly #accounts: Accounts;
  readonly #claimer: Claimer;
  readonly #settler: Settler;
  readonly #runner: LaneRunner;
  readonly #intake: Intake;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    const pacer = new StartPacer(() => this.#claimer.goOn());
    this.#claimer = this.#createClaimer(pacer);
    this.#settler = this.#createSettler();
    const after = (ms: number, run: () => void) => this.#after(ms, run);
    const onLost = (queue: QueueState) => this.#lost(queue.shard);
    const { now, random, reader, redisNow, telemetry } = deps;
    const shareOfShards = () => Math.min(1, this.#shards.size / deps.limits.shards);
    this.#accounts = new Accounts(
      {
        ...deps,
        shareOfShards,
        pacer,
        isReading: (account) => this.#claimer.isReading(account),
        onLifted: (account) => this.#wakeLanes(account),
      },
      {
        onRefused: (lane, length, error) => this.#runner.refuse(lane, length, error),
        onTooLate: (lane) => this.#runner.backOff(lane, leaseCheckMs),
        onStale: (lane) => this.#runner.goOn(lane),
        onMark: (lane, length) => this.#runner.mark(lane, length),
        onEnd: (call, outcomes) => this.#runner.end(call, outcomes),
        onFault: (lane, error, called) => this.#runner.fault(lane, error, called),
        onAdapterFault: (error) => telemetry.fault('bug', error, {}),
      },
    );
    const shared = { accounts: this.#accounts, claimer: this.#claimer, settler: this.#settler, reader, telemetry, redisNow, after, onLost };
    this.#runner = new LaneRunner({ ...shared, now, random });
    this.#intake = new Intake({ ...shared, runner: this.#runner, ledger: this.#ledger });
  }

  // Shards come and go

  /** Takes over a shard: first what its former owner left, then what is new. Queues without a provider wait for it. */
  async openShard(shard: number, lease: TakenLease, queues: readonly string[]): Promise<void> {
    this.dropShard(shard);
    const state = new ShardState(shard, lease);
    this.#shards.set(shard, state);
    for (const name of queues) if (!this.#hasProvider(name)) state.unopened.add(name);
    const known = queues.filter((name) => !state.unopened.has(name));
    await Promise.all(known.map((name) => this.#intake.open(state, name)));
  }

  /** False when the shard is not here: its lease alone is of no use. */
  renewed(shard: number, leaseEndsAt: number, readyQueues: readonly string[]): boolean {
    const state = this.#shards.get(shard);
    if (!state) return false;
    state.leaseEndsAt = leaseEndsAt;
    for (const queue of readyQueues) this.ring(shard, queue);
    return true;
  }

  /** The queue got entries. */
  ring(shard: number, name: string): void {
    const state = this.#shards.get(shard);
    if (!state?.isOpen) return;
    let queue = state.queues.get(name);
    if ((!queue || queue.isDropped) && !this.#hasProvider(name)) return;
    // Its provider was deleted and is back: what it left ends first.
    if (queue?.isDropped) return void this.#intake.openUnknownQueues(state, queue.provider);
    // Its provider has come, and its list of queues is just being read.
    if (!queue && state.unopened.has(name)) return void this.#intake.open(state, name);
    if (!queue) {
      queue = this.#intake.addQueue(state, name);
      queue.isTakingOver = false;
    }
    queue.hasUnread = true;
    queue.hasRung = true;
    this.#claimer.ask(queue);
  }

  #hasProvider(queue: string): boolean {
    return this.#deps.findProvider(parseQueueName(queue).provider) !== undefined;
  }

  /** Stops starting calls for the shard; true once nothing of it is in flight or unwritten. */
  drainShard(shard: number): boolean {
    const state = this.#shards.get(shard);
    if (!state) return true;
    state.isDraining = true;
    return state.partsInFlight === 0 && !this.#settler.isBusyWith(state);
  }

  /** Goes on calling for a shard that could not be drained, but for the queues that it waits for; for all of one that is kept. */
  resumeShard(shard: number, { isKept }: { isKept: boolean }): void {
    const state = this.#shards.get(shard);
    if (!state) return;
    state.isDraining = false;
    for (const queue of state.queues.values()) {
      queue.isStopped = !isKept && (queue.isStopped || queue.partsInFlight > 0);
      if (queue.isOpen) this.#intake.resume(queue);
    }
    // Bells, and providers that came, were not heeded meanwhile.
    for (const name of [...state.queues.keys(), ...state.unopened]) this.ring(shard, name);
  }

  /** A call that the shard waited for in vain is still under way. */
  isHeldUp(shard: number): boolean {
    const queues = this.#shards.get(shard)?.queues.values() ?? [];
    return [...queues].some(({ isStopped, partsInFlight }) => isStopped && partsInFlight > 0);
  }

  /** Lets go of everything of a shard that is another's now; calls still in flight are cut. */
  dropShard(shard: number): void {
    const state = this.#shards.get(shard);
    if (!state) return;
    this.#shards.delete(shard);
    state.isGone = true;
    this.#accounts.abort(state, 'the lease ended');
    for (const queue of state.queues.values()) this.#releaseHeld(queue);
    this.#accounts.prune();
  }

  /** An answer may speak of a lease that was lost, and taken again since. */
  #lost(state: ShardState): void {
    if (this.#shards.get(state.shard) === state) this.dropShard(state.shard);
  }

  /** Cuts the calls of shards whose lease ends within `marginMs`, and lets go of the shards. Returns which. */
  dropExpired(marginMs: number): number[] {
    const now = this.#deps.now();
    const expired = [...this.#shards.values()].filter(({ leaseEndsAt }) => leaseEndsAt - marginMs <= now).map(({ shard }) => shard);
    for (const shard of expired) this.dropShard(shard);
    return expired;
  }

  // Providers change

  /** A configuration came, changed or went. */
  providerChanged(name: string): void {
    const change = this.#accounts.changeOf(name);
    const shards = [...this.#shards.values()];
    if (change === 'gone' || change === 'another') {
      for (const state of shards) this.#dropQueues(state, name);
      this.#accounts.prune();
    }
    this.#accounts.follow(name);
    this.#moveLanes(name);
    if (change === 'new' || change === 'another') for (const state of shards) void this.#intake.openUnknownQueues(state, name);
  }

  /** Tenants get accounts of their own, and lose them: what waits at the former account goes on at the present one. */
  #moveLanes(provider: string): void {
    for (const { queues } of this.#shards.values()) {
      for (const queue of queues.values()) {
        const account = queue.provider === provider ? this.#accounts.nameFor(queue) : queue.account;
        if (account === queue.account) continue;
        const waiting = this.#accounts.dispatcherOf(queue.account).withdraw(queue);
        queue.account = account;
        for (const lane of waiting) this.#runner.goOn(lane);
        this.#runner.pump(account);
      }
    }
  }

  /** The account's permits are void: a pause or a breaker, somewhere in the fleet. */
  gateChanged(account: string): void {
    this.#accounts.gateChanged(account);
  }

  /** Somebody waits for slots of the account, or some came free. */
  sharesChanged(account: string): void {
    this.#accounts.sharesChanged(account);
  }

  /** The account may be called again. */
  pauseLifted(account: string): void {
    this.#accounts.gateChanged(account);
    this.#wakeLanes(account);
  }

  /** Announcements of pauses, and of their being lifted, may have been missed. */
  catchUp(): void {
    this.#accounts.catchUp();
  }

  /** Whether pauses known of were lifted unheard: called now and then. */
  checkPauses(): void {
    this.#accounts.checkPauses();
  }

  /** What waits for its next attempt need not wait any longer. */
  #wakeLanes(account: string): void {
    for (const { queues } of this.#shards.values())
      for (const queue of queues.values()) if (queue.account === account) this.#runner.wakeAll(queue);
    this.#runner.pump(account);
  }

  // For operators

  get held(): { entries: number; bytes: number } {
    return { entries: this.#ledger.entries, bytes: this.#ledger.bytes };
  }

  get callsInFlight(): ReadonlyMap<string, number> {
    return this.#accounts.callsInFlight;
  }

  /** A queue that Redis holds no more: nothing of it is in memory either, or it stays. */
  forgetQueue(shard: number, name: string): void {
    const queue = this.#shards.get(shard)?.queues.get(name);
    if (!queue || queue.isDropped || queue.isTakingOver || queue.isClaiming) return;
    if (queue.held.size === 0 && !queue.hasUnread) queue.shard.queues.delete(name);
  }

  /** Forgets queues and accounts of deleted providers, and shrinks windows that a provider in trouble no longer uses: called now and then. */
  tidyUp(): void {
    const accounts = new Set<string>();
    for (const { queues } of this.#shards.values()) {
      for (const queue of queues.values()) {
        if (queue.held.size < minWindow) queue.window = minWindow;
        if (queue.isDropped && queue.partsInFlight === 0 && !this.#settler.isBusyWithQueue(queue)) queues.delete(queue.name);
        else accounts.add(queue.account);
      }
    }
    this.#accounts.forgetDeleted(accounts);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#settler.close();
    await this.#accounts.close();
  }

  #createClaimer(pacer: StartPacer): Claimer {
    const { reader, limits, telemetry } = this.#deps;
    return new Claimer({
      reader,
      maxWindow: limits.window,
      maxBytes: limits.windowBytes,
      heldBytes: () => this.#ledger.bytes,
      lanesWaiting: (most) => pacer.lanesWaiting(most),
      isShortOfLanes: (account) => this.#accounts.dispatcherOf(account).isShortOfLanes,
      isGathering: (account) => this.#accounts.dispatcherOf(account).isGathering,
      onClaimed: (queue, claimed) => void this.#intake.takeClaimed(queue, claimed),
      onLost: (queue) => this.#lost(queue.shard),
      onUncertain: (queue) => this.#after(retryMs, () => void this.#intake.openQueue(queue, false)),
      onError: (error) => telemetry.fault('redis', error, {}),
    });
  }

  #createSettler(): Settler {
    const { settle, limits, telemetry } = this.#deps;
    const { historyEntries, historyBytes } = limits;
    return new Settler({
      settle,
      keepOf: ({ meanBytes }) => (meanBytes > 0 ? Math.min(historyEntries, Math.floor(historyBytes / meanBytes)) : historyEntries),
      slotOf: this.#deps.reader.slotOf,
      onWritten: (queue, written) => this.#forget(queue, written),
      onLost: (queue) => this.#lost(queue.shard),
      onBatch: (operations) => telemetry.settled(operations),
      onError: (error) => telemetry.fault('redis', error, {}),
      onBug: (error) => telemetry.fault('bug', error, {}),
    });
  }

  #forget(queue: QueueState, written: readonly SettlerItem[]): void {
    let hasEnded = false;
    for (const { finals = [], settledBefore = [] } of written) {
      for (const settlement of finals) {
        const bytes = queue.end(settlement.entry.rank);
        if (bytes !== undefined) this.#ledger.remove(bytes);
        this.#deps.telemetry.final(queue, settlement);
      }
      if (finals.length + settledBefore.length > 0) hasEnded = true;
    }
    if (hasEnded) this.#claimer.ask(queue);
  }

  #releaseHeld(queue: QueueState): void {
    for (const bytes of queue.held.values()) this.#ledger.remove(bytes);
    for (const lane of queue.lanes.values()) lane.cancelWait?.();
    queue.held.clear();
    queue.lanes.clear();
  }

  #dropQueues(state: ShardState, provider: string): void {
    for (const queue of state.queues.values()) {
      if (queue.provider !== provider || queue.isDropped) continue;
      queue.isDropped = true;
      this.#releaseHeld(queue);
    }
  }

  #after(delayMs: number, run: () => void): () => void {
    if (this.#isClosed) return () => {};
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        try {
          run();
        } catch (error) {
          this.#deps.telemetry.fault('bug', error, {});
        }
      },
      Math.min(delayMs, longestWaitMs),
    );
    this.#timers.add(timer);
    return () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
  }
}
