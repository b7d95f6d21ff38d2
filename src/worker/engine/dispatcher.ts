/**
 * Calls one provider for all lanes of this worker that are ready: forms groups and batches, spends permits, hands the calls to the
 * adapter, and passes their ends on. Everything here happens in memory, in the turn of the event loop in which a call ends or a
 * permit comes.
 */
import { judge } from '../../shared/domain/conflict.ts';
import { kindOf, mergeData } from '../../shared/domain/fold.ts';
import { formatOperationId } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { Call, CallOutcome, ProviderAdapter } from '../providers/provider.ts';
import { CallUnderWay, type Part, type Permit } from './call-under-way.ts';
import type { Held, Lane } from './lane.ts';
import type { PermitStock } from './permit-stock.ts';
import { ReadyLanes } from './ready-lanes.ts';

/** What a dispatcher tells. */
export interface DispatcherEvents {
  /** The group cannot be called as it is: its provider was not asked. */
  onRefused(lane: Lane, length: number, error: ProviderError): void;
  /** The shard's lease has too little left for a call. */
  onTooLate(lane: Lane): void;
  /** These must be written down before their call. */
  onMark(lane: Lane, length: number): void;
  onEnd(call: CallUnderWay, outcomes: readonly CallOutcome[]): void;
}

export interface DispatcherDeps extends DispatcherEvents {
  /** Undefined for a kind that this worker does not know: its lanes wait for one that does. */
  createAdapter(config: ProviderConfig): ProviderAdapter | undefined;
  /** Whether the adapter of one configuration serves the other, too: then its connections are kept. */
  canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean;
  readonly stock: PermitStock;
  /** Monotonic, milliseconds. */
  now(): number;
  /** No call starts when its lease has less than this left. */
  readonly startMarginMs: number;
}

interface Adapter {
  readonly adapter: ProviderAdapter;
  calls: number;
}

export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #ready = new ReadyLanes();
  /** Batches that a provider refused whole, cut in halves: they go again as they are. */
  readonly #halves: Lane[][] = [];
  #config: ProviderConfig | undefined;
  #adapter: Adapter | undefined;
  #batchTimer: NodeJS.Timeout | undefined;
  #isPumping = false;
  inFlight = 0;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
  }

  get config(): ProviderConfig | undefined {
    return this.#config;
  }

  /** Fewer lanes are ready than one round of calls would take. */
  get isShortOfLanes(): boolean {
    return this.#ready.size < (this.#config?.maxConcurrency ?? 0) * (this.#adapter?.adapter.maxBatch ?? 1);
  }

  /** Undefined: the provider is not registered (yet, or any more); its lanes wait. */
  setConfig(config: ProviderConfig | undefined): void {
    if (config?.version === this.#config?.version && config !== undefined) return;
    const before = this.#config;
    this.#config = config;
    if (!before || !config || !this.#deps.canKeepAdapter(before, config)) this.#replaceAdapter(config);
    if (config) this.#deps.stock.policy = config;
    this.pump();
  }

  /** The old one is closed when its last call has ended. */
  #replaceAdapter(config: ProviderConfig | undefined): void {
    const old = this.#adapter;
    const adapter = config && this.#deps.createAdapter(config);
    this.#adapter = adapter && { adapter, calls: 0 };
    if (old?.calls === 0) void old.adapter.close();
  }

  /** A lane whose head may be called. */
  enter(lane: Lane, isFirst = false): void {
    lane.state = 'ready';
    lane.readyAt = this.#deps.now();
    if (isFirst) this.#ready.pushFirst(lane);
    else this.#ready.push(lane);
  }

  /** Lanes whose batch was refused as one: they go again in two halves. */
  enterHalves(lanes: readonly Lane[]): void {
    const middle = Math.ceil(lanes.length / 2);
    for (const half of [lanes.slice(0, middle), lanes.slice(middle)]) {
      for (const lane of half) lane.state = 'ready';
      this.#halves.push([...half]);
    }
  }

  /** Starts what can be started now, and asks for permits for the rest. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      const { stock } = this.#deps;
      while (this.#isCallable()) {
        const permit = stock.take(this.inFlight);
        if (!permit) break;
        if (!this.#startNext(permit)) {
          stock.giveBack();
          break;
        }
      }
      stock.refill({ ready: this.#isCallable() ? this.#readyCalls() : 0, inFlight: this.inFlight });
    } finally {
      this.#isPumping = false;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#batchTimer);
    this.#deps.stock.close();
    await this.#adapter?.adapter.close();
  }

  /** There is something to call, and its batch need not wait for company. */
  #isCallable(): boolean {
    if (!this.#config || this.#config.isPaused || !this.#adapter) return false;
    if (this.#halves.length > 0) return true;
    if (this.#ready.size === 0) return false;
    const { maxBatch, batchWaitMs } = this.#adapter.adapter;
    if (maxBatch === 1 || this.#ready.size >= maxBatch) return true;
    const waitMs = this.#ready.oldestReadyAt + batchWaitMs - this.#deps.now();
    if (waitMs <= 0) return true;
    this.#batchTimer ??= setTimeout(() => {
      this.#batchTimer = undefined;
      this.pump();
    }, Math.ceil(waitMs));
    return false;
  }

  #readyCalls(): number {
    return this.#halves.length + Math.ceil(this.#ready.size / (this.#adapter?.adapter.maxBatch ?? 1));
  }

  /** Fills one call and sends it. False when no lane was left that can be called. */
  #startNext(permit: Permit): boolean {
    const adapter = this.#adapter as Adapter;
    const parts = this.#halves.length > 0 ? this.#partsOf(this.#halves.shift() as Lane[]) : this.#fillBatch(adapter.adapter);
    if (parts.length === 0) return this.#isCallable() && this.#startNext(permit);
    this.#send(adapter, parts, permit);
    return true;
  }

  #partsOf(lanes: readonly Lane[]): Part[] {
    return lanes.map((lane) => this.#prepare(lane)).filter((part) => part !== undefined);
  }

  #fillBatch(adapter: ProviderAdapter): Part[] {
    const parts: Part[] = [];
    while (parts.length < adapter.maxBatch) {
      const lane = this.#ready.shift();
      if (!lane) break;
      const part = this.#prepare(lane);
      if (!part) continue;
      const first = parts[0];
      if (first && !adapter.canShareBatch(first.prepared.call, part.prepared.call)) {
        this.#ready.pushFirst(lane);
        break;
      }
      parts.push(part);
    }
    return parts;
  }

  /** The lane's next group as a part of a call; undefined where it takes another way. */
  #prepare(lane: Lane): Part | undefined {
    const config = this.#config as ProviderConfig;
    if (!lane.queue.isOpen || lane.waiting.length === 0) return undefined;
    if (this.#deps.now() > lane.queue.shard.leaseEndsAt - this.#deps.startMarginMs) {
      this.#deps.onTooLate(lane);
      return undefined;
    }
    const length = lane.groupLength(config.coalesce, config.conflict);
    const members = length === 1 ? [lane.waiting[0] as Held] : lane.waiting.slice(0, length);
    const isSealed = length > 1 && (members[0] as Held).kind === 'create';
    if (members.some((held) => (held.isSuspect || isSealed) && !held.isMarked)) {
      lane.state = 'marking';
      this.#deps.onMark(lane, length);
      return undefined;
    }
    const preparation = (this.#adapter as Adapter).adapter.prepare(makeCall(lane, members, config));
    if (preparation.status === 'prepared') return { lane, length, prepared: preparation.prepared };
    this.#deps.onRefused(lane, length, preparation.error);
    return undefined;
  }

  #send(adapter: Adapter, parts: Part[], permit: Permit): void {
    const call = new CallUnderWay(parts, permit, this.#deps);
    for (const { lane } of parts) {
      lane.state = 'in_flight';
      lane.queue.shard.calls.add(call);
    }
    this.inFlight++;
    adapter.calls++;
    call.inFlight = adapter.adapter.send(
      parts.map(({ prepared }) => prepared),
      call,
      (outcomes) => this.#end(adapter, call, outcomes),
    );
  }

  #end(adapter: Adapter, call: CallUnderWay, outcomes: readonly CallOutcome[]): void {
    this.inFlight--;
    adapter.calls--;
    if (adapter.calls === 0 && adapter !== this.#adapter) void adapter.adapter.close();
    for (const { lane } of call.parts) lane.queue.shard.calls.delete(call);
    this.#deps.onEnd(call, outcomes);
    this.pump();
  }
}

function makeCall(lane: Lane, members: readonly Held[], { conflict }: ProviderConfig): Call {
  const head = members[0] as Held;
  const carrier = members.at(-1) as Held;
  const { queue, applied } = lane;
  const operationId = formatOperationId({ shard: queue.shard.shard, queue: queue.name, ms: carrier.ms, rank: carrier.rank });
  const kind = kindOf(members, members.length);
  return {
    operationId,
    idempotencyKey: operationId,
    kind,
    tenant: queue.tenant,
    entity: head.entity,
    recordId: head.recordId,
    timestampMs: carrier.timestampMs,
    dataJson: kind === 'delete' ? undefined : members.length > 1 ? mergeData(members.map((held) => held.dataJson)) : standingData(head, lane, conflict),
    providerRecordId: applied?.providerRecordId,
  };
}

/** What is left of a change; a stale one is dropped before it gets here. */
function standingData(held: Held, lane: Lane, mode: ProviderConfig['conflict']): string | undefined {
  if (mode === 'record') return held.dataJson;
  const standing = judge(held, lane.applied, mode);
  return standing.status === 'current' ? standing.dataJson : held.dataJson;
}
