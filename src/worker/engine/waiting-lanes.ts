/**
 * The lanes that wait for a call of one provider, and what goes into the next one: whose turn it is, which of them may share a batch, when a
 * batch need not wait for company, when a backlog goes in bulk. Permits and the calls themselves are the dispatcher's.
 */
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { BulkPolicy, ProviderAdapter } from '../providers/provider.ts';
import type { Part } from './call-under-way.ts';
import { makeCall } from './group-call.ts';
import type { Held, Lane } from './lane.ts';
import { ReadyLanes } from './ready-lanes.ts';
import type { QueueState } from './shard-state.ts';
import { SingleFile } from './single-file.ts';

/** Why a lane is in no call. */
export interface WaitingLanesEvents {
  /** The group cannot be called as it is: its provider was not asked. */
  onRefused(lane: Lane, length: number, error: ProviderError): void;
  /** The shard's lease has too little left for a call. */
  onTooLate(lane: Lane): void;
  /** A newer change has overtaken the head. */
  onStale(lane: Lane): void;
  /** These must be written down before their call. Never rejects. */
  onMark(lane: Lane, length: number): Promise<void>;
  /** A bug, ours or an adapter's, stopped the lane's head; `called`: so many of the lane may have been called. */
  onFault(lane: Lane, error: unknown, called?: number): void;
  /** A bug of an adapter that stopped no lane: it cannot be made or closed, or does not say what may go together. */
  onAdapterFault(error: unknown): void;
}

export interface WaitingLanesDeps extends WaitingLanesEvents {
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

export class WaitingLanes {
  readonly #deps: WaitingLanesDeps;
  readonly #ready = new ReadyLanes();
  /** Batches that a provider refused whole, cut in halves: they go again as they are. */
  readonly #halves: Lane[][] = [];
  /** Calls that a worker died in go one at a time: the next death then charges the one that is to blame. */
  readonly #suspects = new SingleFile();
  /** Lanes of the call that is being filled that are written down first. */
  #marks: Promise<void>[] = [];

  constructor(deps: WaitingLanesDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#ready.size + this.#halves.length === 0 && this.#suspects.isEmpty;
  }

  get lanesReady(): number {
    return this.#ready.size;
  }

  /** A lane whose head may be called. */
  enter(lane: Lane, isFirst: boolean): void {
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

  /** Lets go of lanes whose shard or provider is gone. */
  prune(): void {
    this.#ready.prune();
    const halves = this.#halves.splice(0).map((half) => half.filter(({ queue }) => !queue.isGone));
    this.#halves.push(...halves.filter(({ length }) => length > 0));
  }

  /** Halves were cut to the measure of an adapter that has been replaced. */
  joinHalves(): void {
    for (const lane of this.#halves.splice(0).flat()) this.#ready.pushFirst(lane);
  }

  /** The next of those that go one at a time, if it is its turn. */
  admitSuspect(): void {
    const suspect = this.#suspects.next();
    if (suspect) this.#ready.pushFirst(suspect);
  }

  /** Fewer than one round of calls would take, or than make a backlog. */
  isShort(adapter: ProviderAdapter | undefined, maxConcurrency: number): boolean {
    const round = maxConcurrency * (adapter?.maxBatch ?? 1);
    return this.#ready.size < (adapter?.bulk ? Math.max(round, 2 * this.#backlogFor(adapter.bulk)) : round);
  }

  /** What is ready may be the beginning of a backlog that goes in one call. */
  isGathering({ bulk }: ProviderAdapter): boolean {
    return bulk !== undefined && this.#ready.size > 0 && this.#ready.size < this.#backlogFor(bulk);
  }

  countCalls({ maxBatch }: ProviderAdapter): number {
    return this.#halves.length + Math.ceil(this.#ready.size / maxBatch);
  }

  /** From when on there is a call to make that need not wait for company: 0 for at once; undefined where nothing waits. */
  callableAt(adapter: ProviderAdapter): number | undefined {
    if (this.#halves.length > 0) return 0;
    if (this.#ready.size === 0) return undefined;
    const { maxBatch, batchWaitMs, bulk } = adapter;
    // Where there is a bulk call, a full batch waits, too: it may be the beginning of a backlog that is just being read.
    if (maxBatch === 1 || (this.#ready.size >= maxBatch && !this.isGathering(adapter))) return 0;
    const patienceMs = bulk && this.#deps.isReading() ? Math.max(batchWaitMs, gatherMs) : batchWaitMs;
    return this.#ready.oldestReadyAt + patienceMs;
  }

  /** What the next call carries, and what was to be written down before it can be called. */
  take(adapter: ProviderAdapter, config: ProviderConfig): { readonly parts: Part[]; readonly marks: readonly Promise<void>[] } {
    this.#marks = [];
    return { parts: this.#nextParts(adapter, config), marks: this.#marks };
  }

  #nextParts(adapter: ProviderAdapter, config: ProviderConfig): Part[] {
    const half = this.#halves.shift();
    if (half) return this.#partsOf(adapter, config, half);
    return adapter.maxBatch === 1 ? this.#takeOne(adapter, config) : this.#fillBatch(adapter, config);
  }

  /** Of calls that carry one group each, none has to wait for company or to suit another. */
  #takeOne(adapter: ProviderAdapter, config: ProviderConfig): Part[] {
    while (this.#marks.length === 0) {
      const lane = this.#ready.shift();
      if (!lane) break;
      const part = this.#prepare(adapter, config, lane);
      if (part) return [part];
    }
    return [];
  }

  /** How many have to wait here: records are spread evenly over the shards, so each worker has its share of a backlog. */
  #backlogFor({ minRecords }: BulkPolicy): number {
    return Math.ceil(minRecords * this.#deps.shareOfShards());
  }

  #partsOf(adapter: ProviderAdapter, config: ProviderConfig, lanes: readonly Lane[]): Part[] {
    return lanes.map((lane) => this.#prepare(adapter, config, lane)).filter((part) => part !== undefined);
  }

  #fillBatch(adapter: ProviderAdapter, config: ProviderConfig): Part[] {
    const { maxBatch, bulk } = adapter;
    const parts = this.#fill(adapter, config, []);
    const first = parts[0];
    if (!bulk || parts.length < maxBatch || !first) return parts;
    const backlog = Math.max(maxBatch + 1, this.#backlogFor(bulk));
    if (parts.length + this.#ready.size < backlog || !this.#takesBulk(bulk, first)) return parts;
    this.#fill(adapter, config, parts, bulk.maxRecords);
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
  #fill(adapter: ProviderAdapter, config: ProviderConfig, parts: Part[], size = adapter.maxBatch): Part[] {
    const aside: Lane[] = [];
    while (parts.length + this.#marks.length < size && aside.length < adapter.maxBatch) {
      const lane = this.#ready.shift();
      if (!lane) break;
      const part = this.#prepare(adapter, config, lane);
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
  #prepare(adapter: ProviderAdapter, config: ProviderConfig, lane: Lane): Part | undefined {
    if (!lane.queue.isOpen || lane.waiting.length === 0) return undefined;
    if (this.#deps.now() > lane.queue.shard.leaseEndsAt - this.#deps.startMarginMs) {
      this.#deps.onTooLate(lane);
      return undefined;
    }
    try {
      return this.#makePart(adapter, lane, config);
    } catch (error) {
      this.#deps.onFault(lane, error);
      return undefined;
    }
  }

  #makePart(adapter: ProviderAdapter, lane: Lane, config: ProviderConfig): Part | undefined {
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
    const preparation = adapter.prepare(makeCall(lane, members, config));
    if (preparation.status === 'prepared') return { lane, length, prepared: preparation.prepared };
    this.#deps.onRefused(lane, length, preparation.error);
    return undefined;
  }
}
