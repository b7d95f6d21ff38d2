/**
 * A worker's place in the fleet: says that it lives, holds the leases of the shards that are its share, hands over the others.
 *
 * Always: calls of a shard end before its lease does, by this process's own monotonic clock counted from before the renewal was
 * asked for. So a lease that expires, whatever the reason, has no call under way in a process that runs; one that is frozen asks the clock
 * before it writes the first byte of a call. Rounds follow one another: what one of them began has ended before the next begins, so that a
 * shard is never taken twice.
 */

import type { QueueReader } from '../../shared/queue/claim.ts';
import type { Leases } from '../../shared/queue/leases.ts';
import { assignShards, type Hash } from './assignment.ts';

/** How often a shard that is being handed over is looked at, while calls of it are in flight. */
const drainCheckMs = 10;
/** After something was taken. */
const soonMs = 10;

/** What a fleet needs of the engine. */
export interface TakenLease {
  readonly epoch: number;
  /** By the worker's monotonic clock, milliseconds. */
  readonly endsAt: number;
  /** The last owner ended without handing over: calls of it may repeat. */
  readonly hasOwnerDied: boolean;
  /** The epoch in which this worker held the shard and lost it: nobody died of what it called then. 0: none. */
  readonly survivedEpoch: number;
}

export interface ShardHolder {
  openShard(shard: number, lease: TakenLease, queues: readonly string[]): Promise<void>;
  /** False when it does not hold the shard. */
  renewed(shard: number, leaseEndsAt: number, readyQueues: readonly string[]): boolean;
  drainShard(shard: number): boolean;
  /** Goes on calling for a shard that could not be drained, but for what it waits for; for all of one that is kept. */
  resumeShard(shard: number, options: { isKept: boolean }): void;
  /** What it waits for has not ended. */
  isHeldUp(shard: number): boolean;
  dropShard(shard: number): void;
}

export interface FleetDeps {
  readonly leases: Leases;
  readonly reader: Pick<QueueReader, 'queuesOf'>;
  readonly holder: ShardHolder;
  readonly workerId: string;
  readonly shards: number;
  readonly leaseTtlMs: number;
  readonly info: object;
  readonly hash: Hash;
  /** Monotonic, milliseconds. */
  now(): number;
  /** Listens to the shard's bell from now on, or no more. */
  listen(shard: number): Promise<void>;
  unlisten(shard: number): Promise<void>;
  onChange(change: 'taken' | 'released' | 'lost', shard: number): void;
}

interface Held {
  readonly epoch: number;
  /** Of the Redis that it was taken from. */
  readonly runId: string;
  isDraining: boolean;
  /** Redis is another: it may have lost its last moments, and what is in memory here is then not what it holds. */
  isOutdated: boolean;
  /** When draining it is given up for now; the worker's monotonic clock, milliseconds. */
  drainEndsAt?: number | undefined;
}

export class Fleet {
  readonly #deps: FleetDeps;
  readonly #held = new Map<number, Held>();
  /** Shards whose last owner, perhaps this worker, ended without handing them over: calls of it may repeat. */
  readonly #orphaned = new Set<number>();
  /** The epochs in which this worker lost shards. */
  readonly #survived = new Map<number, number>();
  #isLeaving = false;
  #hasLeft = false;
  /** When the last heartbeat that was answered had been asked for. */
  #aliveSince: number | undefined;
  #lastRound: Promise<unknown> = Promise.resolve();

  constructor(deps: FleetDeps) {
    this.#deps = deps;
  }

  get shardsOwned(): number {
    return this.#held.size;
  }

  /**
   * Undefined while this worker is a member of the fleet that Redis has heard of lately: it has started, and its newest heartbeat has not ended
   * by its own clock.
   */
  get whyNoMember(): string | undefined {
    if (this.#isLeaving) return 'the process is shutting down';
    if (this.#aliveSince === undefined) return 'the worker has not joined the fleet yet';
    const { now, leaseTtlMs } = this.#deps;
    return now() - this.#aliveSince < leaseTtlMs ? undefined : 'Redis does not answer';
  }

  owns(shard: number): Held | undefined {
    return this.#held.get(shard);
  }

  /**
   * One round: heartbeat, renewals, what should move. Returns when the next one is due, milliseconds from now. Throws when Redis
   * cannot be reached.
   */
  tick(): Promise<number> {
    return this.#inTurn(async () => {
      const { leases, workerId, leaseTtlMs, info, now } = this.#deps;
      if (this.#isLeaving) {
        await this.#renewAll();
        return leaseTtlMs / 3;
      }
      const askedAt = now();
      // Side by side: on a cluster the fleet's key and the leases lie on different nodes, of which one may be lost.
      const heartbeat = leases.heartbeat(workerId, leaseTtlMs, info);
      await allDone<unknown>([heartbeat, this.#renewAll()]);
      const { workers, firstEndsInMs } = await heartbeat;
      this.#aliveSince = askedAt;
      const waitMs = await this.#balance(workers);
      return Math.max(10, Math.min(leaseTtlMs / 3, firstEndsInMs + 5, waitMs));
    });
  }

  /** Lets go of shards whose lease ran out locally: the engine has dropped them already. */
  forget(shards: readonly number[]): void {
    for (const shard of shards) this.#lose(shard);
  }

  /**
   * Hands every shard over, each as soon as nothing of it is in flight. True when all are gone. It is no member of the fleet from the first
   * call on, so that others take what it lets go of while it still waits for the rest.
   */
  leave(): Promise<boolean> {
    this.#isLeaving = true;
    return this.#inTurn(async () => {
      for (const shard of this.#held.keys()) this.#deps.holder.drainShard(shard);
      await this.#leaveOnce();
      await allDone([...this.#held.keys()].map((shard) => this.#handOver(shard)));
      return this.#held.size === 0;
    });
  }

  /**
   * Lets go of what is left at once: its calls are cut. Leases of shards with calls in flight are left to expire, as a dead worker's are: the
   * provider may still be at it, and the next owner must know that they may repeat.
   */
  abandon(): Promise<void> {
    this.#isLeaving = true;
    return this.#inTurn(async () => {
      await this.#leaveOnce();
      const rest = [...this.#held.keys()];
      await allDone(
        rest.map(async (shard) => {
          if (this.#deps.holder.drainShard(shard)) return void (await this.#handOver(shard));
          this.#deps.holder.dropShard(shard);
          this.#lose(shard);
        }),
      );
    });
  }

  async #leaveOnce(): Promise<void> {
    if (this.#hasLeft) return;
    await this.#deps.leases.leave(this.#deps.workerId);
    this.#hasLeft = true;
  }

  #inTurn<T>(round: () => Promise<T>): Promise<T> {
    const result = this.#lastRound.then(round);
    this.#lastRound = result.catch(() => {});
    return result;
  }

  async #renewAll(): Promise<void> {
    const { leases, workerId, leaseTtlMs, now, holder } = this.#deps;
    await allDone(
      [...this.#held].map(async ([shard, held]) => {
        const askedAt = now();
        const renewed = await leases.renew(shard, workerId, held.epoch, leaseTtlMs);
        if (this.#held.get(shard) !== held) return;
        if (renewed.status === 'renewed' && holder.renewed(shard, askedAt + leaseTtlMs, renewed.readyQueues)) {
          held.isOutdated ||= renewed.runId !== held.runId;
          return;
        }
        holder.dropShard(shard);
        this.#lose(shard);
      }),
    );
  }

  /** Takes what is free and ours, hands over what is another's. Returns when a held lease we want ends, milliseconds. */
  async #balance(workers: readonly string[]): Promise<number> {
    const { shards, workerId, hash, holder } = this.#deps;
    const assignment = assignShards(shards, [...workers].sort(), hash);
    const waits = await allDone(
      Array.from({ length: shards }, async (_, shard) => {
        const isMine = assignment.get(shard) === workerId;
        const held = this.#held.get(shard);
        if (held && isMine && held.isDraining && !held.isOutdated && holder.isHeldUp(shard)) return this.#keep(shard, held);
        if (held && (!isMine || held.isDraining || held.isOutdated)) return this.#handOver(shard);
        return isMine && !held ? this.#take(shard) : Number.POSITIVE_INFINITY;
      }),
    );
    return Math.min(...waits);
  }

  async #take(shard: number): Promise<number> {
    const { leases, reader, holder, workerId, leaseTtlMs, now, onChange, listen } = this.#deps;
    const askedAt = now();
    const acquired = await leases.acquire(shard, workerId, leaseTtlMs).catch((error) => {
      // It may be ours now, and asked again Redis says no more whose it was before.
      this.#orphaned.add(shard);
      throw error;
    });
    if (acquired.status === 'held') {
      this.#orphaned.delete(shard);
      return acquired.leftMs + 1;
    }
    const { epoch } = acquired;
    if (acquired.hasOwnerDied) this.#orphaned.add(shard);
    // Listening first: a bell that rings before is found in the queues' list.
    await listen(shard);
    const queues = await reader.queuesOf(shard);
    // Only now: where one of these fails, the shard is taken again in the next round.
    this.#held.set(shard, { epoch, runId: acquired.runId, isDraining: false, isOutdated: false });
    const hasOwnerDied = this.#orphaned.delete(shard);
    const survivedEpoch = this.#survived.get(shard) ?? 0;
    onChange('taken', shard);
    await holder.openShard(shard, { epoch, endsAt: askedAt + leaseTtlMs, hasOwnerDied, survivedEpoch }, queues);
    // A bell that rang since the list was read is heard by the next renewal.
    return soonMs;
  }

  /**
   * Soon again while something is in flight. But one slow call must not keep all others of its shard waiting: after a while they go on, and the
   * shard moves when that call has ended. Of its queue nothing more is called until then, so that each holds the shard up once at most.
   * Rejected: cutting the call, which repeats it for nothing but a better balance. An outdated shard cannot wait for it: it is lost, and taken
   * again as from a dead worker; what ended in time is written, so that a Redis that lost nothing has only slow calls repeated.
   */
  async #handOver(shard: number): Promise<number> {
    const { holder, leaseTtlMs, now } = this.#deps;
    const held = this.#held.get(shard);
    if (!held || (!this.#isLeaving && !held.isOutdated && holder.isHeldUp(shard))) return Number.POSITIVE_INFINITY;
    held.isDraining = true;
    held.drainEndsAt ??= now() + leaseTtlMs / 3;
    const isDrained = holder.drainShard(shard);
    const hasTime = this.#isLeaving || now() < held.drainEndsAt;
    if (!isDrained && hasTime) return drainCheckMs;
    if (held.isOutdated) {
      holder.dropShard(shard);
      this.#lose(shard);
      return soonMs;
    }
    if (!isDrained) {
      holder.resumeShard(shard, { isKept: false });
      held.drainEndsAt = undefined;
      return Number.POSITIVE_INFINITY;
    }
    holder.dropShard(shard);
    await this.#release(shard);
    return Number.POSITIVE_INFINITY;
  }

  /** The shard was to move and is wanted here again, before it could. */
  #keep(shard: number, held: Held): number {
    held.isDraining = false;
    held.drainEndsAt = undefined;
    this.#deps.holder.resumeShard(shard, { isKept: true });
    return Number.POSITIVE_INFINITY;
  }

  async #release(shard: number): Promise<void> {
    const { leases, workerId, onChange, unlisten } = this.#deps;
    const held = this.#held.get(shard);
    this.#held.delete(shard);
    if (held) await leases.release(shard, workerId, held.epoch);
    onChange('released', shard);
    await unlisten(shard);
  }

  #lose(shard: number): void {
    const held = this.#held.get(shard);
    if (!held) return;
    this.#held.delete(shard);
    this.#orphaned.add(shard);
    this.#survived.set(shard, held.epoch);
    this.#deps.onChange('lost', shard);
    this.#deps.unlisten(shard).catch(() => {});
  }
}

/** As `Promise.all`, but nothing of it is still under way when it throws. */
async function allDone<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
