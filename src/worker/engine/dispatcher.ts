/**
 * Calls one provider for all lanes of this worker that are ready: forms groups and batches, spends permits, hands the calls to the
 * adapter, and passes their ends on. Everything here happens in memory, in the turn of the event loop in which a call ends or a
 * permit comes.
 */
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { BulkPolicy, CallOutcome, ProviderAdapter } from '../providers/provider.ts';
import { type AdapterInUse, Adapters, type AdaptersDeps } from './adapters.ts';
import { type CallOptions, CallsUnderWay, CallUnderWay, type Part, type Permit } from './call-under-way.ts';
import { makeCall } from './group-call.ts';
import type { Held, Lane } from './lane.ts';
import type { PermitStock } from './permit-stock.ts';
import { ReadyLanes } from './ready-lanes.ts';
import type { QueueState, ShardState } from './shard-state.ts';
import { SingleFile } from './single-file.ts';

/** What a dispatcher tells. */
export interface DispatcherEvents {
  /** The group cannot be called as it is: its provider was not asked. */
  onRefused(lane: Lane, length: number, error: ProviderError): void;
  /** The shard's lease has too little left for a call. */
  onTooLate(lane: Lane): void;
  /** A newer change has overtaken the head. */
  onStale(lane: Lane): void;
  /** These must be written down before their call. Never rejects. */
  onMark(lane: Lane, length: number): Promise<void>;
  onEnd(call: CallUnderWay, outcomes: readonly CallOutcome[]): void;
  /** A bug, ours or an adapter's, stopped the lane's head. */
  onFault(lane: Lane, error: unknown): void;
  /** A bug of an adapter that stopped no lane: it cannot be made or closed, or does not say what may go together. */
  onAdapterFault(error: unknown): void;
}

export interface DispatcherDeps extends DispatcherEvents, AdaptersDeps {
  readonly account: string;
  /** Whether the adapter of one configuration serves the other, too: then its connections are kept. */
  canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean;
  readonly stock: PermitStock;
  /** Monotonic, milliseconds. */
  now(): number;
  /** No call starts when its lease has less than this left. */
  readonly startMarginMs: number;
  /** How much of all shards this worker owns, 0 to 1. */
  shareOfShards(): number;
  /** Whether entries for the account are being read at this moment. */
  isReading(): boolean;
}

/** A backlog is read within so long, milliseconds. */
const gatherMs = 500;

export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #ready = new ReadyLanes();
  /** Batches that a provider refused whole, cut in halves: they go again as they are. */
  readonly #halves: Lane[][] = [];
  /** Calls that a worker died in go one at a time: the next death then charges the one that is to blame. */
  readonly #suspects = new SingleFile();
  #config: ProviderConfig | undefined;
  readonly #adapters: Adapters;
  #batchTimer: NodeJS.Timeout | undefined;
  #isPumping = false;
  #isClosed = false;
  /** Lanes of the call that is being filled that are written down first. */
  readonly #marks: Promise<void>[] = [];
  /** Calls whose lanes are being written down: each has a permit and a slot, so that no more are written down than can be called. */
  #marking = 0;
  /** Calls that wait for the permit of a further request. Their slots are their own, but not in use meanwhile. */
  #pausing: { readonly call: CallUnderWay; readonly resolve: (permit: Permit | undefined) => void }[] = [];
  readonly #callOptions: CallOptions;
  readonly #underWay = new CallsUnderWay();

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    const { account, now, startMarginMs } = deps;
    this.#adapters = new Adapters(deps);
    this.#callOptions = { account, now, startMarginMs, awaitPermit: (call) => this.#awaitPermit(call) };
  }

  get config(): ProviderConfig | undefined {
    return this.#config;
  }

  get inFlight(): number {
    return this.#underWay.size;
  }

  /** Fewer lanes are ready than one round of calls would take, or than make a backlog. */
  get isShortOfLanes(): boolean {
    const adapter = this.#adapters.present?.adapter;
    const round = (this.#config?.maxConcurrency ?? 0) * (adapter?.maxBatch ?? 1);
    return this.#ready.size < (adapter?.bulk ? Math.max(round, 2 * this.#backlogFor(adapter.bulk)) : round);
  }

  /** What is ready may be the beginning of a backlog that goes in one call. */
  get isGathering(): boolean {
    const bulk = this.#adapters.present?.adapter.bulk;
    return bulk !== undefined && this.#ready.size > 0 && this.#ready.size < this.#backlogFor(bulk);
  }

  /** How many have to wait here: records are spread evenly over the shards, so each worker has its share of a backlog. */
  #backlogFor({ minRecords }: BulkPolicy): number {
    return Math.ceil(minRecords * this.#deps.shareOfShards());
  }

  /** Undefined: the provider is not registered (yet, or any more); its lanes wait. */
  setConfig(config: ProviderConfig | undefined): void {
    if (config === this.#config) return;
    const before = this.#config;
    this.#config = config;
    if (!before || !config || !this.#deps.canKeepAdapter(before, config)) {
      this.#adapters.replace(config);
      if (before && config) this.#deps.stock.lift();
      // Halves were cut to the measure of the old one.
      for (const lane of this.#halves.splice(0).flat()) this.#ready.pushFirst(lane);
    }
    if (config) this.#deps.stock.policy = config;
    this.pump();
  }

  /** A lane whose head may be called. */
  enter(lane: Lane, isFirst = false): void {
    lane.state = 'ready';
    lane.readyAt = Math.trunc(this.#deps.now());
    if (isFirst) this.#ready.pushFirst(lane);
    else this.#ready.push(lane);
  }

  /** Lanes whose batch was refused as one: they go again in two halves. */
  enterHalves(lanes: readonly Lane[]): void {
    const middle = Math.ceil(lanes.length / 2);
    for (const lane of lanes) lane.state = 'ready';
    for (const half of [lanes.slice(0, middle), lanes.slice(middle)]) if (half.length > 0) this.#halves.push([...half]);
  }

  /** Takes out and returns the lanes of a queue that wait here. */
  withdraw(queue: QueueState): Lane[] {
    const waiting = this.#suspects.withdraw(queue);
    const isOther = (lane: Lane) => {
      if (lane.queue === queue) waiting.push(lane);
      return lane.queue !== queue;
    };
    this.#ready.prune(isOther);
    const halves = this.#halves.splice(0).map((half) => half.filter(isOther));
    this.#halves.push(...halves.filter(({ length }) => length > 0));
    return waiting;
  }

  /** Cuts the calls that carry anything of the shard. */
  abort(shard: ShardState, reason: string): void {
    for (const call of this.#underWay.of(shard)) call.inFlight?.abort(reason);
  }

  /** Lets go of lanes whose shard or provider is gone. */
  prune(): void {
    this.#ready.prune();
    const halves = this.#halves.splice(0).map((half) => half.filter(({ queue }) => !queue.isGone));
    this.#halves.push(...halves.filter(({ length }) => length > 0));
    this.pump();
  }

  /** Starts what can be started now, and asks for permits for the rest. */
  pump(): void {
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    try {
      const { stock } = this.#deps;
      const suspect = this.#suspects.next();
      if (suspect) this.#ready.pushFirst(suspect);
      while (this.#pausing.length > 0) {
        const permit = stock.take(this.#active);
        if (!permit) break;
        this.#pausing.shift()?.resolve(permit);
      }
      while (this.#isCallable()) {
        const permit = stock.take(this.#active);
        if (!permit) break;
        if (!this.#startNext(permit)) {
          stock.putBack(permit);
          break;
        }
      }
      stock.refill({ ready: this.#pausing.length + (this.#isCallable() ? this.#readyCalls() : 0), inFlight: this.#active });
    } finally {
      this.#isPumping = false;
    }
  }

  /** Calls that have, or are about to have, a request at the provider. */
  get #active(): number {
    return this.inFlight + this.#marking - this.#pausing.length;
  }

  #awaitPermit(call: CallUnderWay): Promise<Permit | undefined> {
    return new Promise((resolve) => {
      if (this.#isClosed || call.hasEnded) return resolve(undefined);
      this.#pausing.push({ call, resolve });
      this.pump();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { resolve } of this.#pausing.splice(0)) resolve(undefined);
    clearTimeout(this.#batchTimer);
    await this.#adapters.close();
    await this.#deps.stock.close();
  }

  /** There is something to call, and its batch need not wait for company. */
  #isCallable(): boolean {
    if (!this.#config || this.#config.isPaused || !this.#adapters.present) return false;
    if (this.#halves.length > 0) return true;
    if (this.#ready.size === 0) return false;
    const { maxBatch, batchWaitMs, bulk } = this.#adapters.present.adapter;
    // Where there is a bulk call, a full batch waits, too: it may be the beginning of a backlog that is just being read.
    if (maxBatch === 1 || (this.#ready.size >= maxBatch && !this.isGathering)) return true;
    const patienceMs = bulk && this.#deps.isReading() ? Math.max(batchWaitMs, gatherMs) : batchWaitMs;
    const waitMs = this.#ready.oldestReadyAt + patienceMs - this.#deps.now();
    if (waitMs <= 0) return true;
    this.#batchTimer ??= setTimeout(() => {
      this.#batchTimer = undefined;
      this.pump();
    }, Math.ceil(waitMs));
    return false;
  }

  #readyCalls(): number {
    return this.#halves.length + Math.ceil(this.#ready.size / (this.#adapters.present?.adapter.maxBatch ?? 1));
  }

  /** Fills one call and sends it. False when no lane was left that can be called. */
  #startNext(permit: Permit): boolean {
    const adapter = this.#adapters.present as AdapterInUse;
    const parts = this.#nextParts(adapter.adapter);
    const marks = this.#marks.length > 0 ? this.#marks.splice(0) : undefined;
    if (parts.length > 0) this.#send(adapter, parts, permit);
    else if (marks) void this.#keepFor(marks, permit);
    else return this.#isCallable() && this.#startNext(permit);
    return true;
  }

  #nextParts(adapter: ProviderAdapter): Part[] {
    const half = this.#halves.shift();
    if (half) return this.#partsOf(half);
    return adapter.maxBatch === 1 ? this.#takeOne() : this.#fillBatch(adapter);
  }

  /** Of calls that carry one group each, none has to wait for company or to suit another. */
  #takeOne(): Part[] {
    while (this.#marks.length === 0) {
      const lane = this.#ready.shift();
      if (!lane) break;
      const part = this.#prepare(lane);
      if (part) return [part];
    }
    return [];
  }

  async #keepFor(marks: readonly Promise<void>[], permit: Permit): Promise<void> {
    this.#marking++;
    await Promise.allSettled(marks);
    this.#marking--;
    this.#deps.stock.putBack(permit);
    this.pump();
  }

  #partsOf(lanes: readonly Lane[]): Part[] {
    return lanes.map((lane) => this.#prepare(lane)).filter((part) => part !== undefined);
  }

  #fillBatch(adapter: ProviderAdapter): Part[] {
    const { maxBatch, bulk } = adapter;
    const parts = this.#fill(adapter, []);
    const first = parts[0];
    if (!bulk || parts.length < maxBatch || !first) return parts;
    const backlog = Math.max(maxBatch + 1, this.#backlogFor(bulk));
    if (parts.length + this.#ready.size < backlog || !this.#takesBulk(bulk, first)) return parts;
    this.#fill(adapter, parts, bulk.maxRecords);
    // Too many of them were of other sorts.
    if (parts.length < backlog) for (const { lane } of parts.splice(maxBatch).reverse()) this.#ready.pushFirst(lane);
    return parts;
  }

  #takesBulk(bulk: BulkPolicy, first: Part): boolean {
    try {
      return bulk.takes(first.prepared.call);
    } catch (error) {
      this.#deps.onAdapterFault(error);
      return false;
    }
  }

  /** Lanes that cannot share the batch keep their places; only so many are looked at that a mixed backlog costs little. */
  #fill(adapter: ProviderAdapter, parts: Part[], size = adapter.maxBatch): Part[] {
    const aside: Lane[] = [];
    while (parts.length + this.#marks.length < size && aside.length < adapter.maxBatch) {
      const lane = this.#ready.shift();
      if (!lane) break;
      const part = this.#prepare(lane);
      if (!part) continue;
      const first = parts[0];
      const isSuspect = this.#suspects.isFirst(lane);
      if (first && (isSuspect || !this.#canShareBatch(adapter, first, part))) {
        aside.push(lane);
        continue;
      }
      parts.push(part);
      if (isSuspect) break;
    }
    for (const lane of aside.reverse()) this.#ready.pushFirst(lane);
    return parts;
  }

  #canShareBatch(adapter: ProviderAdapter, first: Part, next: Part): boolean {
    try {
      return adapter.canShareBatch(first.prepared.call, next.prepared.call);
    } catch (error) {
      this.#deps.onAdapterFault(error);
      return false;
    }
  }

  /** The lane's next group as a part of a call; undefined where it takes another way. */
  #prepare(lane: Lane): Part | undefined {
    if (!lane.queue.isOpen || lane.waiting.length === 0) return undefined;
    if (this.#deps.now() > lane.queue.shard.leaseEndsAt - this.#deps.startMarginMs) {
      this.#deps.onTooLate(lane);
      return undefined;
    }
    try {
      return this.#makePart(lane, this.#config as ProviderConfig);
    } catch (error) {
      this.#deps.onFault(lane, error);
      return undefined;
    }
  }

  #makePart(lane: Lane, config: ProviderConfig): Part | undefined {
    // It was judged before it came here, perhaps by another configuration.
    if (lane.isHeadStale(config.conflict)) {
      this.#deps.onStale(lane);
      return undefined;
    }
    const length = lane.groupLength(config.coalesce, config.conflict);
    const members = lane.headGroup(length);
    if (members.some((held) => held.hasCrashed) && !this.#suspects.enter(lane)) return undefined;
    const isSealed = length > 1 && (members[0] as Held).kind === 'create';
    if (members.some((held) => (held.isSuspect || isSealed) && !held.isMarked)) {
      lane.state = 'marking';
      this.#marks.push(this.#deps.onMark(lane, length));
      return undefined;
    }
    const preparation = (this.#adapters.present as AdapterInUse).adapter.prepare(makeCall(lane, members, config));
    if (preparation.status === 'prepared') return { lane, length, prepared: preparation.prepared };
    this.#deps.onRefused(lane, length, preparation.error);
    return undefined;
  }

  #send(adapter: AdapterInUse, parts: Part[], permit: Permit): void {
    const call = new CallUnderWay(parts, permit, this.#callOptions);
    for (const { lane } of parts) {
      lane.state = 'in_flight';
      lane.queue.partsInFlight++;
      lane.queue.shard.partsInFlight++;
    }
    this.#underWay.add(call);
    adapter.calls++;
    try {
      call.inFlight = adapter.adapter.send(
        parts.map(({ prepared }) => prepared),
        call,
        (outcomes, budgets) => {
          if (budgets) this.#deps.stock.observe(budgets, call.startedAt);
          this.#end(adapter, call, outcomes, undefined);
        },
      );
    } catch (error) {
      this.#end(adapter, call, undefined, error);
    }
  }

  /** Without outcomes the adapter has thrown `fault`. */
  #end(adapter: AdapterInUse, call: CallUnderWay, outcomes: readonly CallOutcome[] | undefined, fault: unknown): void {
    if (call.hasEnded) return;
    call.hasEnded = true;
    if (this.#pausing.length > 0) this.#stopPausing(call);
    this.#underWay.remove(call);
    call.isOutdated = adapter !== this.#adapters.present;
    this.#adapters.callEnded(adapter);
    for (const { lane } of call.parts) {
      lane.queue.partsInFlight--;
      lane.queue.shard.partsInFlight--;
    }
    try {
      if (outcomes) this.#deps.onEnd(call, outcomes);
      else this.#faultAll(call, fault);
    } catch (error) {
      this.#faultAll(call, error);
    }
    this.pump();
  }

  #stopPausing(call: CallUnderWay): void {
    const ended = this.#pausing.filter((pausing) => pausing.call === call);
    this.#pausing = this.#pausing.filter((pausing) => pausing.call !== call);
    for (const { resolve } of ended) resolve(undefined);
  }

  #faultAll(call: CallUnderWay, error: unknown): void {
    for (const { lane } of call.parts) this.#deps.onFault(lane, error);
  }
}
