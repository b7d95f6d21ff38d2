/**
 * Reads entries for queues that have room. Queues ask; one script call serves all that asked since the last one. A queue that asks for
 * nothing costs nothing: it is woken by its bell, or by room.
 */
import type { Claimed, ClaimRequest, QueueReader } from '../../shared/queue/claim.ts';
import { minWindow, type QueueState } from './shard-state.ts';

/** A queue may always hold so many entries, so that no neighbour's flood shuts it out. */
const guaranteedEntries = 8;
/** Entries that wait behind others of their record take no part in the window; this bounds them. */
const maxHeldPerWindow = 8;
const maxCount = 500;
/** One read of a queue is about so large at most, by the mean size of its last entries. */
const maxClaimBytes = 4 * 1024 * 1024;
/** While so many lanes wait for their turn to be called, nothing further is read. */
const enoughLanes = 128;

export interface ClaimerDeps {
  readonly reader: Pick<QueueReader, 'claim' | 'slotOf'>;
  readonly maxWindow: number;
  readonly maxBytes: number;
  heldBytes(): number;
  /** Lanes that wait for nothing but their turn, counted up to `most`: while there are enough of them, reading more only fills memory. */
  lanesWaiting(most: number): number;
  /** Whether the account's calls could do with more lanes than are ready: only then a window grows. */
  isShortOfLanes(account: string): boolean;
  /** Whether what is ready may be the beginning of a backlog that goes in one call. */
  isGathering(account: string): boolean;
  onClaimed(queue: QueueState, claimed: Extract<Claimed, { status: 'read' }>): void;
  onLost(queue: QueueState): void;
  /** The answer was lost: entries may be pending that nobody here knows of. */
  onUncertain(queue: QueueState): void;
  onError(error: unknown): void;
}

/** Of queues that may share a script call: those that ask wait for the end of the round that is under way. */
interface Round {
  asking: QueueState[];
  reading: readonly QueueState[];
  isScheduled: boolean;
  isUnderWay: boolean;
}

export class Claimer {
  readonly #deps: ClaimerDeps;
  /** By slot: a node of a cluster that hangs holds up no other's. */
  readonly #rounds = new Map<number, Round>();
  /** Entries that a queue had, of those read last. */
  #meanRead = 1;

  constructor(deps: ClaimerDeps) {
    this.#deps = deps;
  }

  /** Something about the queue changed: it is read if there is something to read and room for it. */
  ask(queue: QueueState): void {
    if (!queue.hasUnread || queue.isClaiming || queue.isTakingOver || !queue.isOpen) return;
    if (this.#countFor(queue) === 0 && !this.#makeRoom(queue)) return;
    const round = this.#roundOf(queue);
    if (!queue.isAsking) round.asking.push(queue);
    queue.isAsking = true;
    this.#schedule(round);
  }

  /** Lanes that waited have been called: there may be room for others. */
  goOn(): void {
    for (const round of this.#rounds.values()) if (round.asking.length > 0) this.#schedule(round);
  }

  #schedule(round: Round): void {
    if (round.isScheduled || round.isUnderWay) return;
    round.isScheduled = true;
    setImmediate(() => {
      round.isScheduled = false;
      void this.#read(round);
    });
  }

  /** Whether entries of the account's queues are being read. */
  isReading(account: string): boolean {
    for (const { asking, reading } of this.#rounds.values()) {
      for (const queue of asking) if (queue.account === account) return true;
      if (reading.some((queue) => queue.isClaiming && queue.account === account)) return true;
    }
    return false;
  }

  /** Reads for all that asked. */
  async tick(): Promise<void> {
    await Promise.all([...this.#rounds.values()].map((round) => this.#read(round)));
  }

  #roundOf({ shard: { shard } }: QueueState): Round {
    const slot = this.#deps.reader.slotOf(shard);
    let round = this.#rounds.get(slot);
    if (!round) {
      round = { asking: [], reading: [], isScheduled: false, isUnderWay: false };
      this.#rounds.set(slot, round);
    }
    return round;
  }

  async #read(round: Round): Promise<void> {
    if (round.isUnderWay) return;
    const requests = this.#takeRequests(round);
    if (requests.length === 0) return;
    round.isUnderWay = true;
    round.reading = requests.map(([queue]) => queue);
    try {
      const answers = await this.#deps.reader.claim(requests.map(([, request]) => request));
      requests.forEach(([queue, request], i) => {
        queue.isClaiming = false;
        this.#take(queue, request.count, answers[i] as Claimed);
      });
    } catch (error) {
      this.#deps.onError(error);
      for (const [queue] of requests) {
        queue.isClaiming = false;
        // What comes later must not overtake what the lost answer may have held.
        queue.isTakingOver = true;
        this.#deps.onUncertain(queue);
      }
    } finally {
      round.isUnderWay = false;
    }
    if (round.asking.length > 0) void this.#read(round);
  }

  #takeRequests(round: Round): [QueueState, ClaimRequest][] {
    const requests: [QueueState, ClaimRequest][] = [];
    const most = (enoughLanes - this.#deps.lanesWaiting(enoughLanes)) / this.#meanRead;
    let next = 0;
    for (; next < round.asking.length && requests.length < most; next++) {
      const queue = round.asking[next] as QueueState;
      queue.isAsking = false;
      const count = queue.isOpen && !queue.isTakingOver ? this.#countFor(queue) : 0;
      if (count === 0) continue;
      queue.isClaiming = true;
      queue.hasRung = false;
      requests.push([queue, { shard: queue.shard.shard, epoch: queue.shard.epoch, queue: queue.name, count }]);
    }
    round.asking = round.asking.slice(next);
    return requests;
  }

  #take(queue: QueueState, count: number, claimed: Claimed): void {
    if (claimed.status === 'read') this.#meanRead += (Math.max(1, claimed.entries.length) - this.#meanRead) / 64;
    if (queue.isGone) return;
    if (claimed.status === 'lost') return this.#deps.onLost(queue);
    // A bell comes over another connection, and may have overtaken the answer.
    if (claimed.isDrained) queue.hasUnread = queue.hasRung;
    else if (count * 2 >= queue.window && this.#deps.isShortOfLanes(queue.account))
      queue.window = Math.min(queue.window * 2, Math.max(minWindow, this.#deps.maxWindow));
    this.#deps.onClaimed(queue, claimed);
    this.ask(queue);
  }

  /** A backlog has to be read to be known as one, though nothing of it is called yet. */
  #makeRoom(queue: QueueState): boolean {
    if (queue.window >= this.#deps.maxWindow || !this.#deps.isGathering(queue.account)) return false;
    queue.window = Math.min(queue.window * 2, this.#deps.maxWindow);
    return this.#countFor(queue) > 0;
  }

  /** Nothing before half the window is free, so that reads come in batches. */
  #countFor(queue: QueueState): number {
    const window = Math.min(queue.window, this.#deps.maxWindow);
    const busyLanes = queue.lanes.size - queue.parked;
    if (busyLanes > 0 && busyLanes * 2 > window) return 0;
    const byBytes = Math.max(1, Math.floor(maxClaimBytes / Math.max(1, queue.meanBytes)));
    const room = Math.min(window - busyLanes, maxHeldPerWindow * window - queue.held.size, maxCount, byBytes);
    if (this.#deps.heldBytes() < this.#deps.maxBytes) return Math.max(0, room);
    return Math.max(0, Math.min(room, guaranteedEntries - queue.held.size));
  }
}
