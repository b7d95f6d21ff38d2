/**
 * Entries become lanes: those a former owner left, in order and with what is known of their attempts, then new ones. Whatever comes twice,
 * because an answer was lost, is taken once.
 */
import { parseQueueName } from '../../shared/domain/operation.ts';
import { parseRecordState } from '../../shared/domain/record-state.ts';
import type { ClaimedEntry, QueueReader, TakenEntry } from '../../shared/queue/claim.ts';
import { parseOperation } from '../../shared/queue/entry.ts';
import type { Trial } from '../../shared/queue/trial.ts';
import type { Claimer } from './claimer.ts';
import type { Delays, Telemetry } from './engine-deps.ts';
import { type Held, Lane } from './lane.ts';
import type { LaneRunner } from './lane-runner.ts';
import type { Ledger } from './ledger.ts';
import type { Settler } from './settler.ts';
import { QueueState, type ShardState } from './shard-state.ts';

/** After Redis failed in the middle of something, milliseconds. */
const retryMs = 100;

export interface IntakeDeps extends Delays {
  readonly reader: QueueReader;
  readonly claimer: Claimer;
  readonly settler: Settler;
  readonly runner: LaneRunner;
  readonly ledger: Ledger;
  readonly telemetry: Telemetry;
  redisNow(): number;
  onLost(queue: QueueState): void;
}

type Taken = { readonly trial: Trial | undefined; readonly deliveries: number; readonly hasOwnerDied: boolean };

export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** A provider that was deleted may come back with entries that were pending then. */
  async openUnknownQueues(state: ShardState, provider: string): Promise<void> {
    try {
      for (const name of await this.#deps.reader.queuesOf(state.shard)) {
        if (parseQueueName(name).provider !== provider || state.queues.has(name) || !state.isOpen) continue;
        const queue = new QueueState(state, name);
        state.queues.set(name, queue);
        void this.openQueue(queue, false);
      }
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { provider });
      this.#deps.after(retryMs, () => void this.openUnknownQueues(state, provider));
    }
  }

  async openQueue(queue: QueueState, hasOwnerDied: boolean): Promise<void> {
    queue.isTakingOver = true;
    try {
      let after: string | undefined;
      do {
        const page = await this.#deps.reader.takeOver(queue.shard, queue.name, { after, hasOwnerDied });
        if (queue.shard.isGone) return;
        if (page.status === 'lost') return this.#deps.onLost(queue);
        for (const entry of page.entries) this.#hold(queue, entry, { trial: entry.trial, deliveries: entry.deliveries, hasOwnerDied });
        after = page.last;
      } while (after !== undefined);
      queue.isTakingOver = false;
      queue.hasUnread = true;
      this.#deps.claimer.ask(queue);
      this.#deps.runner.pump(queue.provider);
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { shard: queue.shard.shard, queue: queue.name });
      this.#deps.after(retryMs, () => void this.openQueue(queue, hasOwnerDied));
    }
  }

  async takeClaimed(queue: QueueState, claimed: { entries: readonly ClaimedEntry[]; checkUpTo: number }): Promise<void> {
    this.#deps.telemetry.claimed(claimed.entries.length);
    const entries = claimed.checkUpTo > 0 ? await this.#skipFinal(queue, claimed.entries, claimed.checkUpTo) : claimed.entries;
    if (queue.shard.isGone) return;
    for (const entry of entries) this.#hold(queue, entry, undefined);
    this.#deps.runner.pump(queue.provider);
  }

  /** After a lost group, entries come again that were final: they are only acknowledged. */
  async #skipFinal(queue: QueueState, entries: readonly ClaimedEntry[], upTo: number): Promise<readonly ClaimedEntry[]> {
    const doubtful = entries.filter(({ rank }) => rank <= upTo).map(({ rank }) => rank);
    if (doubtful.length === 0) return entries;
    try {
      const final = await this.#deps.reader.findFinal(queue.shard.shard, queue.name, doubtful);
      const known = entries.filter(({ rank }) => final.has(rank));
      if (known.length > 0) this.#deps.settler.add(queue, { settledBefore: known });
      return entries.filter(({ rank }) => !final.has(rank));
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { queue: queue.name });
      this.#deps.after(retryMs, () => void this.openQueue(queue, false));
      return [];
    }
  }

  #hold(queue: QueueState, entry: ClaimedEntry | TakenEntry, taken: Taken | undefined): void {
    if (queue.held.has(entry.rank)) return;
    const held = this.#parse(queue, entry);
    if (!held) return;
    queue.held.set(entry.rank, held.bytes);
    queue.meanBytes += (held.bytes - queue.meanBytes) / 16;
    this.#deps.ledger.add(held.bytes);
    let lane = queue.lanes.get(entry.digest);
    if (!lane) {
      lane = new Lane(queue, entry.digest, entry.state === '' ? undefined : parseRecordState(entry.state));
      queue.lanes.set(entry.digest, lane);
    }
    if (taken) remember(held, lane, taken);
    insertInOrder(lane.waiting, held);
    if (taken?.trial && taken.trial.dueAtMs > this.#deps.redisNow() && lane.state === 'idle' && lane.waiting[0] === held) {
      this.#deps.runner.backOff(lane, taken.trial.dueAtMs - this.#deps.redisNow());
    } else if (lane.state === 'idle') this.#deps.runner.goOn(lane);
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
      this.#deps.settler.add(queue, { settledBefore: [entry] });
      return undefined;
    }
  }
}

function remember(held: Held, lane: Lane, { trial, deliveries, hasOwnerDied }: Taken): void {
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

