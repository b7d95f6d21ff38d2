/**
 * Calls one provider for all lanes of this worker that are ready: spends permits, hands the calls to the adapter, and passes their ends on;
 * what goes into a call is decided in waiting-lanes.ts. Everything here happens in memory, in the turn of the event loop in which a call ends or a
 * permit comes.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { CallOutcome } from '../providers/provider.ts';
import { type AdapterInUse, Adapters, type AdaptersDeps } from './adapters.ts';
import { type CallOptions, CallsUnderWay, CallUnderWay, type Part, type Permit } from './call-under-way.ts';
import type { Lane } from './lane.ts';
import type { PermitStock } from './permit-stock.ts';
import type { QueueState, ShardState } from './shard-state.ts';
import type { Starter, StartPacer } from './start-pacer.ts';
import { WaitingLanes, type WaitingLanesDeps, type WaitingLanesEvents } from './waiting-lanes.ts';

/** What a dispatcher tells. */
export interface DispatcherEvents extends WaitingLanesEvents {
  onEnd(call: CallUnderWay, outcomes: readonly CallOutcome[]): void;
}

export interface DispatcherDeps extends DispatcherEvents, AdaptersDeps, WaitingLanesDeps {
  readonly account: string;
  /** Whether the adapter of one configuration serves the other, too: then its connections are kept. */
  canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean;
  readonly stock: PermitStock;
  readonly pacer: Pick<StartPacer, 'mayStart' | 'wait' | 'started'>;
}

interface Pausing {
  readonly call: CallUnderWay;
  readonly resolve: (permit: Permit | undefined) => void;
}

export class Dispatcher implements Starter {
  readonly #deps: DispatcherDeps;
  readonly #waiting: WaitingLanes;
  #config: ProviderConfig | undefined;
  readonly #adapters: Adapters;
  #batchTimer: NodeJS.Timeout | undefined;
  /** When the timer's pump is due. */
  #batchDueAt = Number.POSITIVE_INFINITY;
  #isPumping = false;
  #isClosed = false;
  /** Calls whose lanes are being written down: each has a permit and a slot, so that no more are written down than can be called. */
  #marking = 0;
  /** Calls that wait for the permit of a further request. Their slots are their own, but not in use meanwhile. */
  #pausing: Pausing[] = [];
  readonly #callOptions: CallOptions;
  readonly #underWay = new CallsUnderWay();
  isInQueue = false;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    const { account, now, startMarginMs } = deps;
    this.#waiting = new WaitingLanes(deps);
    this.#adapters = new Adapters(deps);
    this.#callOptions = { account, now, startMarginMs, awaitPermit: (call) => this.#awaitPermit(call) };
  }

  get config(): ProviderConfig | undefined {
    return this.#config;
  }

  get inFlight(): number {
    return this.#underWay.size;
  }

  get lanesReady(): number {
    return this.#waiting.lanesReady;
  }

  /** There is nothing that it could do for anybody. */
  get isUnused(): boolean {
    return !this.#config && this.inFlight + this.#marking + this.#pausing.length === 0 && this.#waiting.isEmpty;
  }

  /** Fewer lanes are ready than one round of calls would take, or than make a backlog. */
  get isShortOfLanes(): boolean {
    return this.#waiting.isShort(this.#adapters.present?.adapter, this.#config?.maxConcurrency ?? 0);
  }

  /** What is ready may be the beginning of a backlog that goes in one call. */
  get isGathering(): boolean {
    const adapter = this.#adapters.present?.adapter;
    return adapter !== undefined && this.#waiting.isGathering(adapter);
  }

  /** Undefined: the provider is not registered (yet, or any more); its lanes wait. */
  setConfig(config: ProviderConfig | undefined): void {
    if (config === this.#config) return;
    const before = this.#config;
    this.#config = config;
    if (!before || !config || !this.#deps.canKeepAdapter(before, config)) {
      this.#adapters.replace(config);
      if (before && config) this.#deps.stock.lift({ isElsewhere: isElsewhere(before, config) });
      this.#waiting.joinHalves();
    }
    if (config) this.#deps.stock.policy = config;
    this.pump();
  }

  /** A lane whose head may be called. */
  enter(lane: Lane, isFirst = false): void {
    this.#waiting.enter(lane, isFirst);
  }

  /** Lanes whose batch was refused as one: they go again in two halves. */
  enterHalves(lanes: readonly Lane[]): void {
    this.#waiting.enterHalves(lanes);
  }

  /** Takes out and returns the lanes of a queue that wait here. */
  withdraw(queue: QueueState): Lane[] {
    return this.#waiting.withdraw(queue);
  }

  /** Lets go of lanes whose shard or provider is gone. */
  prune(): void {
    this.#waiting.prune();
    this.pump();
  }

  /** Cuts the calls that carry anything of the shard. */
  abort(shard: ShardState, reason: string): void {
    for (const call of this.#underWay.of(shard)) call.inFlight?.abort(reason);
  }

  /** Starts what can be started now, and asks for permits for the rest. */
  pump(): void {
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    try {
      const { stock } = this.#deps;
      this.#waiting.admitSuspect();
      while (this.#pausing.length > 0) {
        const permit = stock.take(this.#active);
        if (!permit) break;
        const { call, resolve } = this.#pausing.shift() as Pausing;
        call.unused = permit;
        resolve(permit);
      }
      while (this.#isCallable() && this.#isItsTurn()) {
        const permit = stock.take(this.#active);
        if (!permit) break;
        if (!this.#startNext(permit)) {
          stock.putBack(permit);
          break;
        }
      }
      stock.refill({
        ready: this.#pausing.length + (this.#isCallable() ? this.#waiting.countCalls((this.#adapters.present as AdapterInUse).adapter) : 0),
        inFlight: this.#active,
      });
    } finally {
      this.#isPumping = false;
    }
  }

  /** The end of a call is written: lanes that waited for it go. Without any there is nothing to start, nor more to ask for than at the call's end. */
  goOn(): void {
    if (!this.#waiting.isEmpty) this.pump();
  }

  /** A permit that is for one moment cannot wait for another turn. */
  #isItsTurn(): boolean {
    const { stock, pacer } = this.#deps;
    if (!stock.isUnlimited || pacer.mayStart(this)) return true;
    if (stock.has(this.#active)) pacer.wait(this);
    return false;
  }

  /** Calls that have, or are about to have, a request at the provider. */
  get #active(): number {
    return this.inFlight + this.#marking - this.#pausing.length;
  }

  #awaitPermit(call: CallUnderWay): Promise<Permit | undefined> {
    return new Promise((resolve) => {
      if (this.#isClosed || call.hasEnded) return resolve(undefined);
      this.#giveBackUnused(call);
      // Its last request has ended; what came of it is known when the call has, which may be long after.
      this.#deps.stock.passOver(call.permit);
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
    const callableAt = this.#waiting.callableAt(this.#adapters.present.adapter);
    if (callableAt === undefined) return false;
    const waitMs = callableAt - this.#deps.now();
    if (waitMs <= 0) return true;
    // A batch that was to wait for what is being read need not any more when it has been read.
    if (callableAt < this.#batchDueAt) this.#pumpAt(callableAt, waitMs);
    return false;
  }

  #pumpAt(at: number, waitMs: number): void {
    clearTimeout(this.#batchTimer);
    this.#batchDueAt = at;
    this.#batchTimer = setTimeout(() => {
      this.#batchDueAt = Number.POSITIVE_INFINITY;
      this.pump();
    }, Math.ceil(waitMs));
  }

  /** Fills one call and sends it. False when no lane was left that can be called. */
  #startNext(permit: Permit): boolean {
    const adapter = this.#adapters.present as AdapterInUse;
    const { parts, marks } = this.#waiting.take(adapter.adapter, this.#config as ProviderConfig);
    if (parts.length > 0) this.#send(adapter, parts, permit);
    else if (marks.length > 0) void this.#keepFor(marks, permit);
    else return this.#isCallable() && this.#startNext(permit);
    return true;
  }

  async #keepFor(marks: readonly Promise<void>[], permit: Permit): Promise<void> {
    this.#marking++;
    await Promise.allSettled(marks);
    this.#marking--;
    this.#deps.stock.putBack(permit);
    this.pump();
  }

  #send(adapter: AdapterInUse, parts: Part[], permit: Permit): void {
    const call = new CallUnderWay(parts, permit, this.#callOptions);
    for (const { lane } of parts) {
      lane.state = 'in_flight';
      lane.queue.partsInFlight++;
      lane.queue.shard.partsInFlight++;
    }
    this.#underWay.add(call);
    this.#deps.pacer.started(parts.length);
    adapter.calls++;
    try {
      call.inFlight = adapter.adapter.send(
        parts.map(({ prepared }) => prepared),
        call,
        (outcomes, budgets) => {
          if (budgets) this.#deps.stock.observe(budgets, call.lastSentAt);
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
    this.#giveBackUnused(call);
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

  #giveBackUnused(call: CallUnderWay): void {
    if (call.unused) this.#deps.stock.giveBack(call.unused);
    call.unused = undefined;
  }

  #stopPausing(call: CallUnderWay): void {
    const ended = this.#pausing.filter((pausing) => pausing.call === call);
    this.#pausing = this.#pausing.filter((pausing) => pausing.call !== call);
    for (const { resolve } of ended) resolve(undefined);
  }

  #faultAll(call: CallUnderWay, error: unknown): void {
    this.#deps.stock.passOver(call.permit);
    for (const { lane, length } of call.parts) this.#deps.onFault(lane, error, length);
  }
}

/** Another address (some are among the options) or other credentials: what failed at the former says nothing of it. */
function isElsewhere(before: ProviderConfig, after: ProviderConfig): boolean {
  const placeOf = ({ baseUrl, auth, options }: ProviderConfig) => [baseUrl, auth, options];
  return !isDeepStrictEqual(placeOf(before), placeOf(after));
}
