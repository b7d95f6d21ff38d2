/**
 * The engine of one worker: entries of the shards it owns become lanes, lanes become calls, calls become settlements.
 *
 *   claimer ──► lanes ──► dispatcher (permits, adapter) ──► conclude ──► settler ──► lanes go on
 *
 * State lives in ShardState, QueueState and Lane; the parts change it and call back here. What comes back for a shard that is gone is
 * dropped: its next owner has the pending list.
 */
import type { FinalSettlement } from '../../shared/queue/settle.ts';
import { Accounts } from './accounts.ts';
import { Claimer } from './claimer.ts';
import type { EngineDeps } from './engine-deps.ts';
import { Intake } from './intake.ts';
import type { Held } from './lane.ts';
import { LaneRunner } from './lane-runner.ts';
import { Ledger } from './ledger.ts';
import { Settler } from './settler.ts';
import { minWindow, QueueState, ShardState } from './shard-state.ts';

/** After Redis failed in the middle of something, milliseconds. */
const retryMs = 100;
/** A lease that has too little left for a call is looked at again after so long. */
const leaseCheckMs = 50;

export class Engine {
  readonly #deps: EngineDeps;
  readonly #shards = new Map<number, ShardState>();
  readonly #ledger = new Ledger();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #accounts: Accounts;
  readonly #claimer: Claimer;
  readonly #settler: Settler;
  readonly #runner: LaneRunner;
  readonly #intake: Intake;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#claimer = this.#createClaimer();
    this.#settler = this.#createSettler();
    const after = (ms: number, run: () => void) => this.#after(ms, run);
    const onLost = (queue: QueueState) => this.dropShard(queue.shard.shard);
    const { findProvider, now, random, reader, redisNow, telemetry } = deps;
    this.#accounts = new Accounts(deps, {
      onRefused: (lane, length, error) => this.#runner.refuse(lane, length, error),
      onTooLate: (lane) => this.#runner.backOff(lane, leaseCheckMs),
      onMark: (lane, length) => void this.#runner.mark(lane, length),
      onEnd: (call, outcomes) => this.#runner.end(call, outcomes),
    });
    const shared = { accounts: this.#accounts, claimer: this.#claimer, settler: this.#settler, reader, telemetry, redisNow, after, onLost };
    this.#runner = new LaneRunner({ ...shared, findProvider, now, random });
    this.#intake = new Intake({ ...shared, runner: this.#runner, ledger: this.#ledger });
  }

  // Shards come and go

  /** Takes over a shard: first what its former owner left, then what is new. */
  async openShard(shard: number, lease: { epoch: number; endsAt: number; hasOwnerDied: boolean }, queues: readonly string[]): Promise<void> {
    const state = new ShardState(shard, lease.epoch, lease.endsAt);
    this.#shards.set(shard, state);
    await Promise.all(
      queues.map((name) => {
        const queue = new QueueState(state, name);
        state.queues.set(name, queue);
        return this.#intake.openQueue(queue, lease.hasOwnerDied);
      }),
    );
  }

  renewed(shard: number, leaseEndsAt: number, readyQueues: readonly string[]): void {
    const state = this.#shards.get(shard);
    if (!state) return;
    state.leaseEndsAt = leaseEndsAt;
    for (const queue of readyQueues) this.ring(shard, queue);
  }

  /** The queue got entries. */
  ring(shard: number, name: string): void {
    const state = this.#shards.get(shard);
    if (!state?.isOpen) return;
    let queue = state.queues.get(name);
    if (!queue) {
      queue = new QueueState(state, name);
      queue.isTakingOver = false;
      state.queues.set(name, queue);
    }
    queue.hasUnread = true;
    this.#claimer.ask(queue);
  }

  /** Stops starting calls for the shard; true once nothing of it is in flight or unwritten. */
  drainShard(shard: number): boolean {
    const state = this.#shards.get(shard);
    if (!state) return true;
    state.isDraining = true;
    return state.calls.size === 0 && !this.#settler.isBusyWith(state);
  }

  /** Lets go of everything of a shard that is another's now; calls still in flight are cut. */
  dropShard(shard: number): void {
    const state = this.#shards.get(shard);
    if (!state) return;
    this.#shards.delete(shard);
    state.isGone = true;
    for (const call of state.calls) call.inFlight?.abort('the lease ended');
    for (const queue of state.queues.values()) this.#releaseHeld(queue);
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
    const isNew = this.#accounts.configChanged(name);
    const isGone = this.#deps.findProvider(name) === undefined;
    for (const state of this.#shards.values()) {
      if (isGone) this.#dropQueues(state, name);
      else if (isNew) void this.#intake.openUnknownQueues(state, name);
    }
  }

  /** The account's permits are void: a pause or a breaker, somewhere in the fleet. */
  gateChanged(account: string): void {
    this.#accounts.gateChanged(account);
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
    if (queue && queue.held.size === 0 && !queue.hasUnread && !queue.isClaiming) queue.shard.queues.delete(name);
  }

  /** Shrinks windows that a provider in trouble no longer uses: called now and then. */
  shrinkWindows(): void {
    for (const { queues } of this.#shards.values()) {
      for (const queue of queues.values()) if (queue.held.size < minWindow) queue.window = minWindow;
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#settler.close();
    await this.#accounts.close();
  }

  #createClaimer(): Claimer {
    const { reader, limits, telemetry } = this.#deps;
    return new Claimer({
      reader,
      maxWindow: limits.window,
      maxBytes: limits.windowBytes,
      heldBytes: () => this.#ledger.bytes,
      isShortOfLanes: (provider) => this.#accounts.dispatcherOf(provider).isShortOfLanes,
      onClaimed: (queue, claimed) => void this.#intake.takeClaimed(queue, claimed),
      onLost: (queue) => this.dropShard(queue.shard.shard),
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
      onWritten: (queue, { finals, settledBefore }) => this.#forget(queue, finals, settledBefore),
      onLost: (queue) => this.dropShard(queue.shard.shard),
      onBatch: (operations) => telemetry.settled(operations),
      onError: (error) => telemetry.fault('redis', error, {}),
    });
  }

  #forget(queue: QueueState, finals: readonly FinalSettlement[], settledBefore: number): void {
    for (const settlement of finals) {
      const held = settlement.entry as Held;
      if (queue.held.delete(held.rank)) this.#ledger.remove(held.bytes);
      this.#deps.telemetry.final(queue, settlement);
    }
    if (finals.length + settledBefore > 0) this.#claimer.ask(queue);
  }

  #releaseHeld(queue: QueueState): void {
    for (const bytes of queue.held.values()) this.#ledger.remove(bytes);
    queue.held.clear();
    queue.lanes.clear();
  }

  #dropQueues(state: ShardState, provider: string): void {
    for (const [name, queue] of state.queues) {
      if (queue.provider !== provider) continue;
      queue.isDropped = true;
      this.#releaseHeld(queue);
      state.queues.delete(name);
    }
  }

  #after(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }
}
