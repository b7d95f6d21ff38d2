/** What a worker holds of the shards it owns: plain state, changed by the engine's parts. */
import { formatIdIn, idSuffix, parseQueueName } from '../../shared/domain/operation.ts';
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
  /** Groups that a call is under way for. */
  partsInFlight = 0;

  constructor(shard: number, epoch: number, leaseEndsAt: number) {
    this.shard = shard;
    this.epoch = epoch;
    this.leaseEndsAt = leaseEndsAt;
  }

  /** Calls may start. */
  get isOpen(): boolean {
    return !this.isDraining && !this.isGone;
  }
}

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
  /** Entries that are pending and not here come first: nothing is claimed before. */
  isTakingOver = true;
  /** Its provider was deleted: nothing of it is called. It keeps its name until its calls in flight have ended. */
  isDropped = false;
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
    return this.shard.isOpen && !this.isDropped;
  }

  /** Nothing of it is called any more, whatever happens. */
  get isGone(): boolean {
    return this.shard.isGone || this.isDropped;
  }
}
