/** One call to a provider, from its permit to its end: whose lanes it carries, and until when it may start. */
import type { CallGuard, InFlight, PreparedCall, SendGuard } from '../providers/provider.ts';
import type { Lane } from './lane.ts';
import type { ShardState } from './shard-state.ts';

export interface Permit {
  /** When the call may start, and when the permit is void; the worker's monotonic clock, milliseconds. */
  readonly from: number;
  readonly until: number;
  /** Those granted between two revocations: a pause, an opening of the breaker or other limits end the right to start, even in hand. */
  readonly series?: { readonly isRevoked: boolean };
}

/** A permit is for one moment, and only while nothing has been heard that takes it back. */
const isValid = ({ until, series }: Permit, now: number): boolean => now <= until && series?.isRevoked !== true;

/** One lane's part of a call: the group at its head. */
export interface Part {
  readonly lane: Lane;
  readonly length: number;
  readonly prepared: PreparedCall;
}

export interface CallOptions {
  /** Whose permits it uses. */
  readonly account: string;
  now(): number;
  readonly startMarginMs: number;
  /** Resolves with a permit for a further request of the call; undefined where there will be none. */
  awaitPermit(call: CallUnderWay): Promise<Permit | undefined>;
}

export class CallUnderWay implements SendGuard {
  readonly parts: readonly Part[];
  /** That of its last request; the one it began with until there is one. */
  permit: Permit;
  /** One that no request has been made with so far. */
  unused: Permit | undefined;
  readonly #first: Permit;
  readonly #options: CallOptions;
  startedAt = 0;
  /** When its last request was; of several, minutes may lie between the first and this one. */
  lastSentAt = 0;
  hasEnded = false;
  /** It was made with an address or credentials that have been replaced since. */
  isOutdated = false;
  inFlight: InFlight | undefined;
  /** Among those under way. */
  index = -1;

  constructor(parts: readonly Part[], permit: Permit, options: CallOptions) {
    this.parts = parts;
    this.permit = permit;
    this.unused = permit;
    this.#first = permit;
    this.#options = options;
  }

  get account(): string {
    return this.#options.account;
  }

  /** Asked right before the first byte is written, which may be long after the call was handed over: connecting takes time, and so does a frozen process. */
  mayStart(): boolean {
    const now = this.#options.now();
    if (!isValid(this.#first, now)) return false;
    for (const { lane } of this.parts) if (!lane.queue.isOpen || this.#isTooLate(lane, now)) return false;
    this.startedAt = now;
    this.#use(this.#first, now);
    return true;
  }

  /** A call that has begun is finished even while its shard is being handed over: the handing over waits for it. */
  async nextRequest(): Promise<CallGuard | undefined> {
    const permit = this.hasEnded ? undefined : await this.#options.awaitPermit(this);
    return permit && { mayStart: () => this.#mayGoOn(permit) };
  }

  #mayGoOn(permit: Permit): boolean {
    const now = this.#options.now();
    if (this.hasEnded || !isValid(permit, now)) return false;
    for (const { lane } of this.parts) if (lane.queue.isGone || this.#isTooLate(lane, now)) return false;
    this.#use(permit, now);
    return true;
  }

  #use(permit: Permit, now: number): void {
    this.permit = permit;
    if (this.unused === permit) this.unused = undefined;
    this.lastSentAt = now;
  }

  #isTooLate(lane: Lane, now: number): boolean {
    return now > lane.queue.shard.leaseEndsAt - this.#options.startMarginMs;
  }
}

/**
 * The calls of a dispatcher that have not ended, in no order. Not a Set: as one fills and empties, its tables are made anew, and each old
 * table that has outlived two collections keeps the calls of the next one alive, and so on: most calls became old garbage that way.
 */
export class CallsUnderWay {
  readonly #calls: CallUnderWay[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: CallUnderWay): void {
    call.index = this.#calls.push(call) - 1;
  }

  remove(call: CallUnderWay): void {
    const last = this.#calls.pop() as CallUnderWay;
    if (last === call) return;
    last.index = call.index;
    this.#calls[call.index] = last;
  }

  of(shard: ShardState): CallUnderWay[] {
    return this.#calls.filter(({ parts }) => parts.some(({ lane }) => lane.queue.shard === shard));
  }
}
