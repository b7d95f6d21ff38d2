/**
 * Entries become lanes: those a former owner left, in order and with what is known of their attempts, then new ones. Whatever comes twice,
 * because an answer was lost, is taken once.
 */
import { parseQueueName } from '../../shared/domain/operation.ts';
import { parseRecordState, type RecordState } from '../../shared/domain/record-state.ts';
import type { ClaimedEntry, QueueReader, TakenEntry } from '../../shared/queue/claim.ts';
import { parseEntry } from '../../shared/queue/entry.ts';
import type { Accounts } from './accounts.ts';
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
  readonly accounts: Accounts;
  readonly claimer: Claimer;
  readonly settler: Settler;
  readonly runner: LaneRunner;
  readonly ledger: Ledger;
  readonly telemetry: Telemetry;
  redisNow(): number;
  onLost(queue: QueueState): void;
}

type Taken = Pick<TakenEntry, 'trial' | 'inheritedIn'>;

export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** A provider that was deleted may come back with entries that were pending then. Its former calls have to end first. */
  async openUnknownQueues(state: ShardState, provider: string): Promise<void> {
    let isBusy = false;
    try {
      for (const name of await this.#deps.reader.queuesOf(state.shard)) {
        if (parseQueueName(name).provider !== provider) continue;
        if (!state.isOpen || this.#deps.accounts.isUnknown(provider)) return;
        const known = state.queues.get(name);
        if (known && !known.isDropped) continue;
        if (known && this.#isBusy(known)) isBusy = true;
        else void this.openQueue(this.addQueue(state, name), state.unopened.delete(name) && state.hasOwnerDied);
      }
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { provider });
      isBusy = true;
    }
    if (isBusy && state.isOpen) this.#deps.after(retryMs, () => void this.openUnknownQueues(state, provider));
  }

  /** Takes over what the shard's former owner left in a queue. */
  async open(state: ShardState, name: string): Promise<void> {
    state.unopened.delete(name);
    await this.openQueue(this.addQueue(state, name), state.hasOwnerDied);
  }

  addQueue(state: ShardState, name: string): QueueState {
    const queue = new QueueState(state, name);
    queue.account = this.#deps.accounts.nameFor(queue);
    state.queues.set(name, queue);
    return queue;
  }

  /** Calls of it are in flight, or their ends are not written. */
  #isBusy(queue: QueueState): boolean {
    return queue.partsInFlight > 0 || this.#deps.settler.isBusyWithQueue(queue);
  }

  /** Reads what is pending and not here, then goes on with all of it: before, nobody knows which operations make one call. */
  async openQueue(queue: QueueState, hasOwnerDied: boolean): Promise<void> {
    queue.isTakingOver = true;
    try {
      let after: string | undefined;
      do {
        const page = await this.#deps.reader.takeOver(queue.shard, queue.name, { after, hasOwnerDied });
        if (queue.isGone) return;
        if (page.status === 'lost') return this.#deps.onLost(queue);
        const entries = await this.#skipFinal(queue, page.entries, page.checkUpTo);
        if (queue.isGone) return;
        for (const entry of entries) this.#hold(queue, entry, page.checkUpTo, entry);
        after = page.last;
      } while (after !== undefined);
      this.#goOn(queue.lanes.values().sort(byAge));
      queue.isTakingOver = false;
      queue.doneReading();
      queue.hasUnread = true;
      this.#deps.claimer.ask(queue);
      this.#deps.runner.pump(queue.account);
    } catch (error) {
      this.#reopenLater(queue, hasOwnerDied, error);
    }
  }

  /** Goes on with a queue that nothing of was called for a while. */
  resume(queue: QueueState): void {
    const { accounts, runner } = this.#deps;
    accounts.dispatcherOf(queue.account).withdraw(queue);
    const lanes = queue.lanes.values();
    // Those whose turn came meanwhile are ready, and wait nowhere.
    for (const lane of lanes) if (lane.state === 'ready') lane.state = 'idle';
    // What is just being taken over goes on when all of it is here.
    if (queue.isTakingOver) return;
    this.#goOn(lanes.sort(byAge));
    runner.pump(queue.account);
  }

  async takeClaimed(queue: QueueState, claimed: { entries: readonly ClaimedEntry[]; checkUpTo: number }): Promise<void> {
    try {
      this.#deps.telemetry.claimed(claimed.entries.length);
      const isDoubtful = claimed.entries.some(({ rank }) => rank <= claimed.checkUpTo);
      // Nothing further is read before these are here.
      if (isDoubtful) queue.isTakingOver = true;
      const entries = isDoubtful ? await this.#skipFinal(queue, claimed.entries, claimed.checkUpTo) : claimed.entries;
      if (queue.isGone) return;
      this.#goOn(entries.map((entry) => this.#hold(queue, entry, claimed.checkUpTo)));
      if (isDoubtful) queue.isTakingOver = false;
      queue.doneReading();
      if (isDoubtful) this.#deps.claimer.ask(queue);
      this.#deps.runner.pump(queue.account);
    } catch (error) {
      this.#reopenLater(queue, false, error);
    }
  }

  #reopenLater(queue: QueueState, hasOwnerDied: boolean, error: unknown): void {
    this.#deps.telemetry.fault('redis', error, { shard: queue.shard.shard, queue: queue.name });
    if (queue.isGone) return;
    queue.isTakingOver = true;
    this.#deps.after(retryMs, () => void this.openQueue(queue, hasOwnerDied));
  }

  /** After a lost group, entries come again that were final: they are only acknowledged. */
  async #skipFinal<T extends ClaimedEntry>(queue: QueueState, entries: readonly T[], upTo: number): Promise<readonly T[]> {
    const doubtful = entries.filter(({ rank }) => rank <= upTo).map(({ rank }) => rank);
    if (doubtful.length === 0) return entries;
    const final = await this.#deps.reader.findFinal(queue.shard.shard, queue.name, doubtful);
    const known = entries.filter(({ rank }) => final.has(rank));
    if (known.length > 0) this.#deps.settler.add(queue, { settledBefore: known });
    return entries.filter(({ rank }) => !final.has(rank));
  }

  #goOn(lanes: Iterable<Lane | undefined>): void {
    for (const lane of lanes) if (lane?.state === 'idle') this.#deps.runner.goOn(lane);
  }

  /** The entry's lane; undefined where it was here already or cannot be read. */
  #hold(queue: QueueState, entry: ClaimedEntry | TakenEntry, checkUpTo: number, taken?: Taken): Lane | undefined {
    if (queue.hasSeen(entry.rank)) return undefined;
    const held = this.#parse(queue, entry);
    if (!held) return undefined;
    queue.held.set(entry.rank, held.bytes);
    queue.meanBytes += (held.bytes - queue.meanBytes) / 16;
    this.#deps.ledger.add(held.bytes);
    let lane = queue.lanes.get(entry.digest);
    if (!lane) {
      lane = new Lane(queue, entry.digest, this.#parseState(queue, entry));
      queue.lanes.add(lane);
    }
    if (taken) remember(held, lane, taken);
    // With the group it was lost who had read it, and perhaps called.
    if (entry.rank <= checkUpTo) held.isInDoubt = true;
    // Most records have one operation at a time: a list of one takes a fifth of one that grew.
    if (lane.waiting.length === 0) lane.waiting = [held];
    else insertInOrder(lane.waiting, held);
    return lane;
  }

  /** A state that cannot be read is a bug of ours; the record's next write mends it. */
  #parseState(queue: QueueState, { state }: ClaimedEntry): RecordState | undefined {
    if (state === '') return undefined;
    try {
      return parseRecordState(state);
    } catch (error) {
      this.#deps.telemetry.fault('bug', error, { queue: queue.name, state });
      return undefined;
    }
  }

  #parse(queue: QueueState, entry: ClaimedEntry): Held | undefined {
    try {
      const { kind, entity, recordId, timestampMs, dataJson, isInDoubt } = parseEntry(entry.header, entry.data);
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
        dueAtMs: 0,
        isSuspect: false,
        isMarked: false,
        isInDoubt,
        hasCrashed: false,
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

function remember(held: Held, lane: Lane, { trial, inheritedIn }: Taken): void {
  held.isSuspect = inheritedIn > 1;
  if (trial) held.isInDoubt = trial.isInDoubt === true;
  // Whoever held it then has not lived to write what became of its call: owners in between, which did not call it, had nothing to write.
  const hasDied = inheritedIn > (trial?.writtenIn ?? 1);
  if (hasDied) held.isInDoubt = true;
  if (!trial) return;
  held.hasTrial = true;
  // Nobody died of a call that this worker itself made, and cut when it lost the shard.
  held.hasCrashed = trial.startedIn !== 0 && hasDied && trial.startedIn !== lane.queue.shard.survivedEpoch;
  held.attempts = trial.attempts + (held.hasCrashed ? 1 : 0);
  held.dueAtMs = trial.dueAtMs;
  held.lastError = held.hasCrashed ? undefined : trial.error;
  lane.sealedTo = Math.max(lane.sealedTo, trial.sealedTo);
}

/** What was accepted first goes first. */
const byAge = (a: Lane, b: Lane): number => (a.waiting[0]?.rank ?? 0) - (b.waiting[0]?.rank ?? 0);

/** Entries come in order, but for those that are read again after an answer was lost. */
function insertInOrder(waiting: Held[], held: Held): void {
  let at = waiting.length;
  while (at > 0 && (waiting[at - 1] as Held).rank > held.rank) at--;
  waiting.splice(at, 0, held);
}
