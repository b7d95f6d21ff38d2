/**
 * The engine of one worker: entries of the shards it owns become lanes, lanes become calls, calls become settlements.
 *
 *   claimer ──► lanes ──► dispatcher (permits, adapter) ──► conclude ──► settler ──► lanes go on
 *
 * State lives in ShardState, QueueState and Lane; the parts change it and call back here. What comes back for a shard that is gone is
 * dropped: its next owner has the pending list.
 */
import type { ConflictMode } from '../../shared/domain/conflict.ts';
import { parseQueueName } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import { parseRecordState } from '../../shared/domain/record-state.ts';
import type { Grant } from '../../shared/gate/acquire.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { ClaimedEntry, QueueReader, TakenEntry } from '../../shared/queue/claim.ts';
import { parseOperation } from '../../shared/queue/entry.ts';
import type { FinalSettlement, Settle } from '../../shared/queue/settle.ts';
import type { Trial } from '../../shared/queue/trial.ts';
import type { CallOutcome, ProviderAdapter } from '../providers/provider.ts';
import type { CallUnderWay } from './call-under-way.ts';
import { Claimer, entryOverheadBytes } from './claimer.ts';
import { type Circumstances, type Conclusion, concludeAccepted, concludeFailed, finish, giveUp } from './conclude.ts';
import { Dispatcher } from './dispatcher.ts';
import { type Held, Lane } from './lane.ts';
import { type Gate, PermitStock } from './permit-stock.ts';
import { Settler } from './settler.ts';
import { minWindow, QueueState, ShardState } from './shard-state.ts';

/** A bug that stops an operation so many times makes it a dead letter: without an attempt charged, but not for ever. */
const maxFaults = 5;
const faultDelayMs = 1_000;
const uncertainDelayMs = 100;
const leaseCheckMs = 50;
/** A throttled provider that says nothing of how long is left alone for a second. */
const defaultPauseMs = 1_000;

export interface Telemetry {
  final(queue: QueueState, settlement: FinalSettlement): void;
  called(provider: string, outcome: string, seconds: number): void;
  retried(provider: string, kind: string): void;
  granted(provider: string, grant: Grant, asked: number): void;
  paused(provider: string, reason: string): void;
  claimed(entries: number): void;
  settled(operations: number): void;
  fault(kind: 'redis' | 'bug', error: unknown, context: object): void;
}

export interface EngineDeps {
  readonly reader: QueueReader;
  readonly settle: Settle;
  readonly gate: Gate;
  readonly telemetry: Telemetry;
  findProvider(name: string): ProviderConfig | undefined;
  createAdapter(config: ProviderConfig): ProviderAdapter | undefined;
  canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean;
  readonly limits: { window: number; windowBytes: number; historyEntries: number; historyBytes: number; leaseTtlMs: number };
  /** Monotonic, milliseconds; goes on while the process is frozen. */
  now(): number;
  /** Redis's clock as far as it is known, epoch milliseconds. */
  redisNow(): number;
  learnRedisNow(ms: number): void;
  random(): number;
}

export class Engine {
  readonly #deps: EngineDeps;
  readonly #shards = new Map<number, ShardState>();
  readonly #dispatchers = new Map<string, Dispatcher>();
  readonly #stocks = new Map<string, PermitStock>();
  readonly #claimer: Claimer;
  readonly #settler: Settler;
  readonly #timers = new Set<NodeJS.Timeout>();
  #heldBytes = 0;
  #heldEntries = 0;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    const { limits, telemetry } = deps;
    const onError = (error: unknown) => telemetry.fault('redis', error, {});
    this.#claimer = new Claimer({
      reader: deps.reader,
      maxWindow: limits.window,
      maxBytes: limits.windowBytes,
      heldBytes: () => this.#heldBytes,
      onClaimed: (queue, claimed) => void this.#takeClaimed(queue, claimed),
      onLost: (queue) => this.dropShard(queue.shard.shard),
      onUncertain: (queue) => this.#after(uncertainDelayMs, () => void this.#openQueue(queue, false)),
      onError,
    });
    this.#settler = new Settler({
      settle: deps.settle,
      keepOf: (queue) => Math.min(limits.historyEntries, queue.meanBytes > 0 ? Math.floor(limits.historyBytes / queue.meanBytes) : limits.historyEntries),
      onWritten: (queue, { finals, settledBefore }) => this.#forget(queue, finals, settledBefore),
      onLost: (queue) => this.dropShard(queue.shard.shard),
      onBatch: (operations) => telemetry.settled(operations),
      onError,
    });
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
        return this.#openQueue(queue, lease.hasOwnerDied);
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
    const config = this.#deps.findProvider(name);
    const isNew = config !== undefined && this.#dispatchers.get(name)?.config === undefined;
    this.#dispatchers.get(name)?.setConfig(config);
    for (const state of this.#shards.values()) {
      if (!config) this.#dropQueues(state, name);
      else if (isNew) void this.#openUnknownQueues(state, name);
    }
  }

  /** The account's permits are void: a pause or a breaker, somewhere in the fleet. */
  gateChanged(account: string): void {
    this.#stocks.get(account)?.revoke();
  }

  // For operators

  queuesOf(shard: number): readonly string[] {
    return [...(this.#shards.get(shard)?.queues.keys() ?? [])];
  }

  get held(): { entries: number; bytes: number } {
    return { entries: this.#heldEntries, bytes: this.#heldBytes };
  }

  get callsInFlight(): ReadonlyMap<string, number> {
    return new Map([...this.#dispatchers].map(([name, { inFlight }]) => [name, inFlight]));
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
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.close()));
  }

  // Entries become lanes

  /** A provider that was deleted may come back with entries that were pending then. */
  async #openUnknownQueues(state: ShardState, provider: string): Promise<void> {
    try {
      for (const name of await this.#deps.reader.queuesOf(state.shard)) {
        if (parseQueueName(name).provider !== provider || state.queues.has(name) || !state.isOpen) continue;
        const queue = new QueueState(state, name);
        state.queues.set(name, queue);
        void this.#openQueue(queue, false);
      }
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { provider });
      this.#after(uncertainDelayMs, () => void this.#openUnknownQueues(state, provider));
    }
  }

  async #openQueue(queue: QueueState, hasOwnerDied: boolean): Promise<void> {
    queue.isTakingOver = true;
    try {
      let after: string | undefined;
      do {
        const page = await this.#deps.reader.takeOver(queue.shard, queue.name, { after, hasOwnerDied });
        if (queue.shard.isGone) return;
        if (page.status === 'lost') return this.dropShard(queue.shard.shard);
        for (const entry of page.entries) this.#hold(queue, entry, { trial: entry.trial, deliveries: entry.deliveries, hasOwnerDied });
        after = page.last;
      } while (after !== undefined);
      queue.isTakingOver = false;
      queue.hasUnread = true;
      this.#claimer.ask(queue);
      this.#dispatcherOf(queue.provider).pump();
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { shard: queue.shard.shard, queue: queue.name });
      this.#after(uncertainDelayMs, () => void this.#openQueue(queue, hasOwnerDied));
    }
  }

  async #takeClaimed(queue: QueueState, claimed: { entries: readonly ClaimedEntry[]; checkUpTo: number }): Promise<void> {
    this.#deps.telemetry.claimed(claimed.entries.length);
    const entries = claimed.checkUpTo > 0 ? await this.#skipFinal(queue, claimed.entries, claimed.checkUpTo) : claimed.entries;
    if (queue.shard.isGone) return;
    for (const entry of entries) this.#hold(queue, entry, undefined);
    this.#dispatcherOf(queue.provider).pump();
  }

  /** After a lost group, entries come again that were final: they are only acknowledged. */
  async #skipFinal(queue: QueueState, entries: readonly ClaimedEntry[], upTo: number): Promise<readonly ClaimedEntry[]> {
    const doubtful = entries.filter(({ rank }) => rank <= upTo).map(({ rank }) => rank);
    if (doubtful.length === 0) return entries;
    try {
      const final = await this.#deps.reader.findFinal(queue.shard.shard, queue.name, doubtful);
      const known = entries.filter(({ rank }) => final.has(rank));
      if (known.length > 0) this.#settler.add(queue, { settledBefore: known });
      return entries.filter(({ rank }) => !final.has(rank));
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { queue: queue.name });
      this.#after(uncertainDelayMs, () => void this.#openQueue(queue, false));
      return [];
    }
  }

  #hold(queue: QueueState, entry: ClaimedEntry | TakenEntry, taken: { trial: Trial | undefined; deliveries: number; hasOwnerDied: boolean } | undefined): void {
    if (queue.held.has(entry.rank)) return;
    const held = this.#parse(queue, entry);
    if (!held) return;
    queue.held.add(entry.rank);
    queue.meanBytes += (held.bytes - queue.meanBytes) / 16;
    this.#heldBytes += held.bytes + entryOverheadBytes;
    this.#heldEntries++;
    let lane = queue.lanes.get(entry.digest);
    if (!lane) {
      lane = new Lane(queue, entry.digest, entry.state === '' ? undefined : parseRecordState(entry.state));
      queue.lanes.set(entry.digest, lane);
    }
    if (taken) remember(held, lane, taken);
    insertInOrder(lane.waiting, held);
    if (taken?.trial && taken.trial.dueAtMs > this.#deps.redisNow() && lane.state === 'idle' && lane.waiting[0] === held) {
      this.#backOff(lane, taken.trial.dueAtMs - this.#deps.redisNow());
    } else if (lane.state === 'idle') this.#goOn(lane);
  }

  #parse(queue: QueueState, entry: ClaimedEntry): Held | undefined {
    try {
      const place = { shard: queue.shard.shard, queue: queue.name, ms: entry.ms, rank: entry.rank };
      const { kind, entity, recordId, timestampMs, dataJson } = parseOperation(place, entry.header, entry.data);
      return {
        ms: entry.ms,
        rank: entry.rank,
        kind,
        entity,
        recordId,
        timestampMs,
        stamp: { ms: timestampMs, rank: entry.rank },
        dataJson,
        header: entry.header,
        bytes: entry.header.length + entry.data.length,
        attempts: 0,
        isSuspect: false,
        isMarked: false,
        hasTrial: false,
        faults: 0,
        lastError: undefined,
      };
    } catch (error) {
      this.#deps.telemetry.fault('bug', error, { queue: queue.name, entry: `${entry.ms}-${entry.rank}` });
      this.#settler.add(queue, { settledBefore: [entry] });
      return undefined;
    }
  }

  // Lanes go on

  /** What comes next for a lane that nothing is under way for. */
  #goOn(lane: Lane): void {
    const { queue } = lane;
    if (!queue.isOpen) return;
    const config = this.#deps.findProvider(queue.provider);
    const stale = lane.dropStale(config?.conflict ?? 'record');
    if (stale.length > 0) this.#settler.add(queue, { finals: stale.map((held) => finish(held, 'stale', this.#deps.redisNow())) });
    const head = lane.waiting[0];
    if (!head) {
      queue.lanes.delete(lane.digest);
      return;
    }
    if (config && head.attempts >= config.retry.maxAttempts) return this.#endHead(lane, workerLost);
    this.#dispatcherOf(queue.provider).enter(lane, head.attempts > 0);
  }

  #backOff(lane: Lane, delayMs: number): void {
    lane.state = 'backoff';
    lane.dueAt = this.#deps.now() + delayMs;
    lane.queue.parked++;
    this.#after(delayMs, () => {
      lane.queue.parked--;
      if (!lane.queue.isOpen) return;
      lane.state = 'idle';
      this.#goOn(lane);
      this.#dispatcherOf(lane.queue.provider).pump();
    });
    this.#claimer.ask(lane.queue);
  }

  /** The head becomes a dead letter, without a call. */
  #endHead(lane: Lane, error: ProviderError): void {
    const head = lane.waiting.shift() as Held;
    lane.state = 'settling';
    this.#settler.add(lane.queue, { finals: [giveUp(head, lane.digest, error, this.#deps.redisNow())], whenWritten: () => this.#continue(lane) });
  }

  #continue(lane: Lane): void {
    lane.state = 'idle';
    this.#goOn(lane);
    this.#dispatcherOf(lane.queue.provider).pump();
  }

  // Calls end

  #end(call: CallUnderWay, outcomes: readonly CallOutcome[]): void {
    const provider = (call.parts[0] as CallUnderWay['parts'][number]).lane.queue.provider;
    this.#account(provider, call, outcomes);
    const refused = outcomes[0];
    if (call.parts.length > 1 && refused?.status === 'failed' && refused.error.isWholeBatch) {
      const lanes = call.parts.map(({ lane }) => lane).filter((lane) => !lane.queue.shard.isGone);
      this.#dispatcherOf(provider).enterHalves(lanes);
      return;
    }
    call.parts.forEach(({ lane, length }, i) => this.#endPart(lane, length, outcomes[i] as CallOutcome));
  }

  /** Tells the gate and the metrics; once a call, however many operations it carried. */
  #account(provider: string, call: CallUnderWay, outcomes: readonly CallOutcome[]): void {
    const { telemetry, now } = this.#deps;
    const stock = this.#stockOf(provider);
    const first = outcomes[0] as CallOutcome;
    const label = first.status === 'failed' ? first.error.kind : first.status;
    if (first.status === 'unsent') {
      stock.giveBack();
      telemetry.called(provider, label, 0);
      return;
    }
    telemetry.called(provider, label, (now() - call.startedAt) / 1_000);
    const error = first.status === 'failed' ? first.error : undefined;
    if (error?.kind !== 'rate_limited') stock.report(call.permit, error?.kind === 'transient' || error?.kind === 'ambiguous');
    if (error?.kind === 'rate_limited' || error?.code === 'credentials_refused') {
      const reason = error.kind === 'rate_limited' ? 'rate_limited' : 'auth';
      stock.pause(error.retryAfterMs ?? defaultPauseMs, reason === 'auth' ? error.message : reason);
      telemetry.paused(provider, reason);
    }
  }

  #endPart(lane: Lane, length: number, outcome: CallOutcome): void {
    if (lane.queue.shard.isGone) return;
    try {
      if (outcome.status === 'unsent') {
        this.#dispatcherOf(lane.queue.provider).enter(lane, true);
        return;
      }
      const group = { digest: lane.digest, members: lane.waiting.slice(0, length), applied: lane.applied };
      const circumstances = this.#circumstances(lane);
      const conclusion = outcome.status === 'accepted' ? concludeAccepted(group, outcome, circumstances) : concludeFailed(group, outcome.error, circumstances);
      if (outcome.status === 'failed' && conclusion.retries.length > 0) this.#deps.telemetry.retried(lane.queue.provider, outcome.error.kind);
      this.#conclude(lane, length, conclusion);
    } catch (error) {
      this.#fault(lane, error);
    }
  }

  #refuse(lane: Lane, length: number, error: ProviderError): void {
    const group = { digest: lane.digest, members: lane.waiting.slice(0, length), applied: lane.applied };
    this.#conclude(lane, length, concludeFailed(group, error, this.#circumstances(lane)));
  }

  #conclude(lane: Lane, length: number, { finals, retries, staying, applied, unfoldTo, sealedTo, delayMs }: Conclusion): void {
    lane.waiting = lane.waiting.length === length ? [...staying] : [...staying, ...lane.waiting.slice(length)];
    lane.applied = applied;
    lane.unfoldTo = Math.max(lane.unfoldTo, unfoldTo);
    lane.sealedTo = sealedTo;
    if (finals.length + retries.length === 0) {
      lane.state = 'idle';
      this.#goOn(lane);
      return;
    }
    lane.state = 'settling';
    this.#settler.add(lane.queue, {
      finals,
      retries,
      whenWritten: () => (retries.length > 0 && finals.length === 0 ? this.#backOff(lane, delayMs) : this.#continueOrWait(lane, delayMs)),
    });
  }

  #continueOrWait(lane: Lane, delayMs: number): void {
    if (delayMs > 0) this.#backOff(lane, delayMs);
    else this.#continue(lane);
  }

  /** A bug of ours: nobody is charged, but an operation that meets it again and again is put aside. */
  #fault(lane: Lane, error: unknown): void {
    const head = lane.waiting[0];
    this.#deps.telemetry.fault('bug', error, { queue: lane.queue.name, shard: lane.queue.shard.shard, rank: head?.rank });
    if (!head) return;
    head.faults++;
    if (head.faults >= maxFaults) this.#endHead(lane, poisoned);
    else this.#backOff(lane, faultDelayMs);
  }

  /** Writes down that the group is about to be called, then lets it go. */
  async #mark(lane: Lane, length: number): Promise<void> {
    const { queue } = lane;
    const members = lane.waiting.slice(0, length);
    const sealedTo = length > 1 && (members[0] as Held).kind === 'create' ? (members.at(-1) as Held).rank : 0;
    const trials = new Map(
      members.map((held) => [
        `${held.ms}-${held.rank}`,
        { attempts: held.attempts, dueAtMs: 0, error: held.lastError, startedIn: queue.shard.epoch, sealedTo } satisfies Trial,
      ]),
    );
    try {
      const isOwner = await this.#deps.reader.mark(queue.shard, queue.name, trials);
      if (queue.shard.isGone) return;
      if (!isOwner) return this.dropShard(queue.shard.shard);
      for (const held of members) {
        held.isMarked = true;
        held.hasTrial = true;
      }
      lane.sealedTo = Math.max(lane.sealedTo, sealedTo);
      this.#dispatcherOf(queue.provider).enter(lane, true);
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { queue: queue.name });
      this.#backOff(lane, uncertainDelayMs);
    }
    this.#dispatcherOf(queue.provider).pump();
  }

  // Bookkeeping

  #forget(queue: QueueState, finals: readonly FinalSettlement[], settledBefore: number): void {
    for (const settlement of finals) {
      const held = settlement.entry as Held;
      if (queue.held.delete(held.rank)) {
        this.#heldBytes -= held.bytes + entryOverheadBytes;
        this.#heldEntries--;
      }
      this.#deps.telemetry.final(queue, settlement);
    }
    if (finals.length + settledBefore > 0) this.#claimer.ask(queue);
  }

  #releaseHeld(queue: QueueState): void {
    this.#heldEntries -= queue.held.size;
    this.#heldBytes = this.#heldEntries === 0 ? 0 : Math.max(0, this.#heldBytes - queue.held.size * (queue.meanBytes + entryOverheadBytes));
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

  #circumstances(lane: Lane): Circumstances {
    const config = this.#dispatcherOf(lane.queue.provider).config;
    const mode: ConflictMode = config?.conflict ?? 'record';
    return { mode, retry: config?.retry ?? patientRetry, nowMs: this.#deps.redisNow(), random: this.#deps.random };
  }

  #dispatcherOf(provider: string): Dispatcher {
    let dispatcher = this.#dispatchers.get(provider);
    if (!dispatcher) {
      dispatcher = this.#createDispatcher(provider);
      this.#dispatchers.set(provider, dispatcher);
      dispatcher.setConfig(this.#deps.findProvider(provider));
    }
    return dispatcher;
  }

  #createDispatcher(provider: string): Dispatcher {
    return new Dispatcher({
      createAdapter: this.#deps.createAdapter,
      canKeepAdapter: this.#deps.canKeepAdapter,
      stock: this.#stockOf(provider),
      now: this.#deps.now,
      startMarginMs: this.#deps.limits.leaseTtlMs * 0.2,
      onRefused: (lane, length, error) => this.#refuse(lane, length, error),
      onMark: (lane, length) => void this.#mark(lane, length),
      onTooLate: (lane) => this.#backOff(lane, leaseCheckMs),
      onEnd: (call, outcomes) => this.#end(call, outcomes),
    });
  }

  #stockOf(provider: string): PermitStock {
    let stock = this.#stocks.get(provider);
    if (!stock) {
      stock = new PermitStock(unconfigured, {
        gate: this.#deps.gate,
        account: provider,
        holdTtlMs: this.#deps.limits.leaseTtlMs,
        now: this.#deps.now,
        onChange: () => this.#dispatchers.get(provider)?.pump(),
        onGrant: (grant, asked) => {
          this.#deps.learnRedisNow(grant.nowMs);
          this.#deps.telemetry.granted(provider, grant, asked);
        },
        onError: (error) => this.#deps.telemetry.fault('redis', error, { provider }),
      });
      this.#stocks.set(provider, stock);
    }
    return stock;
  }

  #after(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Until the provider's configuration is here, nothing is called. */
const unconfigured = { limits: [], maxConcurrency: 1, breaker: { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 10_000 } };
const patientRetry = { maxAttempts: 100, baseMs: 1_000, maxMs: 60_000, maxAgeMs: Number.MAX_SAFE_INTEGER };

const workerLost: ProviderError = { kind: 'ambiguous', code: 'worker_lost', message: 'a worker died during each of the attempts' };
const poisoned: ProviderError = { kind: 'invalid', code: 'internal_fault', message: 'a fault of our own stops this operation; see the log' };

function remember(held: Held, lane: Lane, { trial, deliveries, hasOwnerDied }: { trial: Trial | undefined; deliveries: number; hasOwnerDied: boolean }): void {
  held.isSuspect = deliveries > 1;
  if (!trial) return;
  held.hasTrial = true;
  held.attempts = trial.attempts + (trial.startedIn !== 0 && hasOwnerDied ? 1 : 0);
  held.lastError = trial.error;
  lane.sealedTo = Math.max(lane.sealedTo, trial.sealedTo);
}

/** Entries come in order, but for those that are read again after an answer was lost. */
function insertInOrder(waiting: Held[], held: Held): void {
  let at = waiting.length;
  while (at > 0 && (waiting[at - 1] as Held).rank > held.rank) at--;
  waiting.splice(at, 0, held);
}

