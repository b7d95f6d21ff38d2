/** What a worker holds of the shards it owns: plain state, changed by the engine's parts. */
import { formatIdIn, idSuffix, parseQueueName } from '../../shared/domain/operation.ts';
import type { TakenLease } from '../fleet/fleet.ts';
import type { Lane } from './lane.ts';
import { LaneTable } from './lane-table.ts';

export class ShardState {
  readonly shard: number;
  readonly epoch: number;
  /** No call may be under way past this moment; the worker's monotonic clock, milliseconds. */
  leaseEndsAt: number;
  /** Told to hand over: what is in flight ends, nothing new starts. */
  isDraining = false;
  /** Another owns it, or will: whatever comes back for it is ignored. */
  isGone = false;
  readonly queues = new Map<string, QueueState>();
  /** Queues whose provider was not known when the shard was taken: what their former owner left is still to be taken over. */
  readonly unopened = new Set<string>();
  /** That owner has died. */
  readonly hasOwnerDied: boolean;
  /** The epoch in which this worker held the shard and lost it; 0: none. */
  readonly survivedEpoch: number;
  /** Groups that a call is under way for. */
  partsInFlight = 0;

  constructor(shard: number, { epoch, endsAt, hasOwnerDied, survivedEpoch }: TakenLease) {
    this.shard = shard;
    this.epoch = epoch;
    this.leaseEndsAt = endsAt;
    this.hasOwnerDied = hasOwnerDied;
    this.survivedEpoch = survivedEpoch;
  }

  /** Calls may start. */
  get isOpen(): boolean {
    return !this.isDraining && !this.isGone;
  }
}

const none: readonly Lane[] = [];

/** Smallest and first window: enough to keep a few calls busy, little enough to forget about a provider that hangs. */
export const minWindow = 32;

export class QueueState {
  readonly shard: ShardState;
  readonly name: string;
  readonly provider: string;
  readonly tenant: string;
  readonly #idSuffix: string;
  /** Whose limits and credentials its calls use: the provider's, or the tenant's own. */
  account: string;
  readonly lanes = new LaneTable();
  /** Entries read and not final: rank to bytes. */
  readonly held = new Map<number, number>();
  /** Lanes that wait for a retry: they do not count against the window, so that a stuck record stops no other. */
  parked = 0;
  /** Groups that a call is under way for. */
  partsInFlight = 0;
  /** Lanes the queue may keep busy; doubles while they are used up quickly. */
  window = minWindow;
  /** Redis may hold entries that were not read. */
  hasUnread = false;
  /** The bell has rung since the last claim was sent: its answer may be older. */
  hasRung = false;
  isClaiming = false;
  /** It has asked to be read, and is not yet. */
  isAsking = false;
  /** Entries that are pending and not here come first: nothing is claimed before. */
  isTakingOver = true;
  /** Lanes that ran empty while entries were being read, and ranks that ended while they were taken over: made when needed, as queues are many. */
  #emptied: Lane[] | undefined;
  #ended: Set<number> | undefined;
  /** Its provider was deleted: nothing of it is called. It keeps its name until its calls in flight have ended. */
  isDropped = false;
  /** A call of it kept its shard from being handed over: nothing of it is called any more, so that it does so once. */
  isStopped = false;
  /** Mean size of the last entries, bytes: turns the bound on history's bytes into one on entries. */
  meanBytes = 0;

  constructor(shard: ShardState, name: string) {
    this.shard = shard;
    this.name = name;
    const { provider, tenant } = parseQueueName(name);
    this.provider = provider;
    this.tenant = tenant;
    this.#idSuffix = idSuffix(name);
    this.account = provider;
  }

  operationIdOf(entry: { readonly ms: number; readonly rank: number }): string {
    return formatIdIn(this.shard.shard, this.#idSuffix, entry);
  }

  /** Calls may start. */
  get isOpen(): boolean {
    return this.shard.isOpen && !this.isDropped && !this.isStopped;
  }

  /** Entries are on their way here: what comes with them of their records may be older than what is known here. */
  get #isReading(): boolean {
    return this.isClaiming || this.isTakingOver;
  }

  /** An empty lane goes; while entries are being read it stays, for what it knows of its record. */
  letGo(lane: Lane): void {
    if (!this.#isReading) return this.lanes.delete(lane);
    this.#emptied ??= [];
    this.#emptied.push(lane);
  }

  /** An entry is final. Returns its size, bytes; undefined where it was not here. */
  end(rank: number): number | undefined {
    const bytes = this.held.get(rank);
    if (this.held.delete(rank) && this.isTakingOver) {
      this.#ended ??= new Set();
      this.#ended.add(rank);
    }
    return bytes;
  }

  /** Whether the entry was here already: what is taken over may have been read before it ended. */
  hasSeen(rank: number): boolean {
    return this.held.has(rank) || this.#ended?.has(rank) === true;
  }

  /** Entries have come, and are in their lanes. */
  doneReading(): void {
    if (this.#isReading) return;
    this.#ended = undefined;
    for (const lane of this.#emptied ?? none) if (lane.state === 'idle' && lane.waiting.length === 0) this.lanes.delete(lane);
    this.#emptied = undefined;
  }

  /** Nothing of it is called any more, whatever happens. */
  get isGone(): boolean {
    return this.shard.isGone || this.isDropped;
  }
}
