/**
 * What happens to a lane between its calls: what is stale is dropped, what is next enters the dispatcher, what ended is written, what failed
 * waits. One place decides; conclude.ts holds the rules.
 */
import type { ConflictMode } from '../../shared/domain/conflict.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { Trial } from '../../shared/queue/trial.ts';
import type { ProviderErrorCode } from '../providers/error-codes.ts';
import type { CallOutcome } from '../providers/provider.ts';
import type { Accounts } from './accounts.ts';
import type { CallUnderWay, Part } from './call-under-way.ts';
import type { Claimer } from './claimer.ts';
import { type Circumstances, type Conclusion, concludeAccepted, concludeFailed, finish, giveUp } from './conclude.ts';
import type { Delays, EngineDeps } from './engine-deps.ts';
import type { Held, Lane } from './lane.ts';
import type { Settler } from './settler.ts';
import type { QueueState } from './shard-state.ts';

/** A bug that stops an operation so many times makes it a dead letter: without an attempt charged, but not for ever. */
const maxFaults = 5;
const faultDelayMs = 1_000;
const retryMs = 100;
/** The code of a call that was cut because a lease ended. */
const cutByUs = 'aborted' satisfies ProviderErrorCode;
/** A throttled provider that says nothing of how long is left alone for a second. */
const defaultPauseMs = 1_000;
/** While the provider's configuration is not known. */
const patientRetry = { maxAttempts: 100, baseMs: 1_000, maxMs: 60_000, maxAgeMs: Number.MAX_SAFE_INTEGER };

/** A call that did not start goes again at once so often; then it waits, longer each time up to `maxUnsentDelayMs`. */
const unsentAtOnce = 2;
const unsentDelayMs = 10;
const maxUnsentDelayMs = 1_000;

const poisoned: ProviderError = {
  kind: 'invalid',
  code: 'internal_fault',
  message: 'a fault of our own stops this operation; see the log',
};

export interface LaneRunnerDeps extends Delays, Pick<EngineDeps, 'now' | 'random' | 'reader' | 'redisNow' | 'telemetry'> {
  readonly accounts: Accounts;
  readonly claimer: Claimer;
  readonly settler: Settler;
  onLost(queue: QueueState): void;
}

export class LaneRunner {
  readonly #deps: LaneRunnerDeps;

  constructor(deps: LaneRunnerDeps) {
    this.#deps = deps;
  }

  /** Starts what can be started. */
  pump(account: string): void {
    this.#deps.accounts.dispatcherOf(account).pump();
  }

  /** What comes next for a lane that nothing is under way for. */
  goOn(lane: Lane): void {
    const { queue } = lane;
    if (!queue.isOpen) return;
    const dispatcher = this.#deps.accounts.dispatcherOf(queue.account);
    const { config } = dispatcher;
    try {
      // Without a configuration nobody knows the mode: it is judged before the call.
      if (config) this.#dropStale(lane, config.conflict);
    } catch (error) {
      return this.fault(lane, error);
    }
    const head = lane.waiting[0];
    if (!head) {
      lane.state = 'idle';
      return queue.letGo(lane);
    }
    const waitMs = this.#takeWait(head);
    if (waitMs > 0) return this.backOff(lane, waitMs);
    if (config && head.attempts >= config.retry.maxAttempts) return this.#endHead(lane, exhausted(head));
    dispatcher.enter(lane, head.attempts > 0);
  }

  #dropStale(lane: Lane, mode: ConflictMode): void {
    const stale = lane.dropStale(mode);
    if (stale.length > 0) this.#deps.settler.add(lane.queue, { finals: stale.map((held) => finish(held, 'stale', this.#deps.redisNow())) });
  }

  /** How long a retry that a former owner planned still has to wait, milliseconds. */
  #takeWait(head: Held): number {
    if (head.dueAtMs === 0) return 0;
    const waitMs = head.dueAtMs - this.#deps.redisNow();
    head.dueAtMs = 0;
    return waitMs;
  }

  backOff(lane: Lane, delayMs: number): void {
    lane.state = 'backoff';
    lane.queue.parked++;
    lane.cancelWait = this.#deps.after(delayMs, () => {
      this.#wake(lane);
      this.pump(lane.queue.account);
    });
    this.#deps.claimer.ask(lane.queue);
  }

  #wake(lane: Lane): void {
    lane.cancelWait = undefined;
    lane.queue.parked--;
    lane.state = 'idle';
    this.goOn(lane);
  }

  /** Ends the waiting of the queue's lanes. */
  wakeAll(queue: QueueState): void {
    for (const lane of queue.lanes.values()) {
      if (!lane.cancelWait) continue;
      lane.cancelWait();
      this.#wake(lane);
    }
  }

  /** The head becomes a dead letter, without a call. */
  #endHead(lane: Lane, error: ProviderError): void {
    const head = lane.waiting.shift() as Held;
    lane.state = 'settling';
    this.#deps.settler.add(lane.queue, {
      finals: [giveUp(head, lane.digest, error, this.#deps.redisNow())],
      whenWritten: () => this.#continue(lane),
    });
  }

  #continue(lane: Lane): void {
    lane.state = 'idle';
    this.goOn(lane);
    this.#deps.accounts.dispatcherOf(lane.queue.account).goOn();
  }

  end(call: CallUnderWay, outcomes: readonly CallOutcome[]): void {
    this.#account(call, outcomes);
    const refused = outcomes[0];
    if (call.parts.length > 1 && refused?.status === 'failed' && refused.error.isWholeBatch) {
      const lanes = call.parts.map(({ lane }) => lane).filter((lane) => !lane.queue.shard.isGone);
      this.#enterHalves(lanes);
      return;
    }
    for (let i = 0; i < call.parts.length; i++) {
      const { lane, length } = call.parts[i] as Part;
      this.#endPart(lane, length, outcomes[i] as CallOutcome);
    }
  }

  /** Their tenants may have come to accounts of their own during the call. */
  #enterHalves(lanes: readonly Lane[]): void {
    for (const [account, ofAccount] of groupBy(lanes, ({ queue }) => queue.account))
      this.#deps.accounts.dispatcherOf(account).enterHalves(ofAccount);
  }

  /** Tells the gate and the metrics; once a call, however many operations it carried. */
  #account(call: CallUnderWay, outcomes: readonly CallOutcome[]): void {
    const { telemetry, now } = this.#deps;
    const { stock, trouble } = this.#deps.accounts.of(call.account);
    const { provider } = (call.parts[0] as Part).lane.queue;
    const first = outcomes.find(isThrottled) ?? outcomes.find(wasAnswered) ?? (outcomes[0] as CallOutcome);
    const label = first.status === 'failed' ? first.error.kind : first.status;
    if (first.status === 'unsent') {
      // Of several requests the first may have been made; what it was answered is not known.
      stock.passOver(call.permit);
      telemetry.called(provider, label, 0);
      return;
    }
    telemetry.called(provider, label, call.startedAt === 0 ? 0 : (now() - call.startedAt) / 1_000);
    const error = first.status === 'failed' ? first.error : undefined;
    const hasFailed = error?.kind === 'transient' || error?.kind === 'ambiguous';
    const isTelling = !error || !tellsNothing(error, call);
    if (isTelling) stock.report(call.permit, hasFailed);
    else stock.passOver(call.permit);
    if (isTelling && hasFailed) trouble.failed(error);
    else if (isTelling || error.kind === 'rate_limited') trouble.answered();
    if (error?.kind === 'rate_limited' || (error?.code === 'credentials_refused' && !call.isOutdated)) {
      const reason = error.kind === 'rate_limited' ? 'rate_limited' : 'auth';
      const pauseMs = error.retryAfterMs ?? defaultPauseMs;
      stock.pause(pauseMs, reason === 'auth' ? error.message : reason);
      telemetry.paused(call.account, { reason, cause: error.message, untilMs: this.#deps.redisNow() + pauseMs });
    }
  }

  #endPart(lane: Lane, length: number, outcome: CallOutcome): void {
    if (lane.queue.shard.isGone) return;
    try {
      if (outcome.status === 'unsent') return this.#again(lane);
      lane.unsent = 0;
      if (outcome.status === 'failed' && outcome.error.code === cutByUs) return this.#doubt(lane, length, () => this.#continue(lane));
      const group = { digest: lane.digest, members: lane.headGroup(length), applied: lane.applied };
      const circumstances = this.#circumstances(lane);
      const conclusion =
        outcome.status === 'accepted'
          ? concludeAccepted(group, outcome, circumstances)
          : concludeFailed(group, outcome.error, circumstances);
      if (outcome.status === 'failed' && conclusion.retries.length > 0)
        this.#deps.telemetry.retried(lane.queue.provider, outcome.error.kind);
      this.#conclude(lane, length, conclusion);
    } catch (error) {
      this.fault(lane, error, length);
    }
  }

  /** Its call never started, which charges nobody; but if that happens again and again, it may not keep a processor busy. */
  #again(lane: Lane): void {
    lane.state = 'idle';
    if (!lane.queue.isOpen) return;
    lane.unsent++;
    if (lane.unsent <= unsentAtOnce) this.#deps.accounts.dispatcherOf(lane.queue.account).enter(lane, true);
    else this.backOff(lane, Math.min(maxUnsentDelayMs, unsentDelayMs * 2 ** Math.min(lane.unsent - unsentAtOnce, 10)));
  }

  /** What we cut, for another lane of its batch, or met a bug after: nobody is charged, but it may have been carried out, which a next owner has to know, too. */
  #doubt(lane: Lane, length: number, whenWritten: () => void): void {
    const members = lane.headGroup(length);
    const sealedTo = sealOf(members);
    const retries = members.map((held) => {
      held.isSuspect = true;
      held.isInDoubt = true;
      held.isMarked = false;
      held.hasTrial = true;
      return { entry: held, trial: trialOf(held, { startedIn: 0, sealedTo }) };
    });
    lane.state = 'settling';
    this.#deps.settler.add(lane.queue, { retries, whenWritten });
  }

  refuse(lane: Lane, length: number, error: ProviderError): void {
    const group = { digest: lane.digest, members: lane.headGroup(length), applied: lane.applied };
    this.#conclude(lane, length, concludeFailed(group, error, { ...this.#circumstances(lane), wasCalled: false }));
  }

  #conclude(lane: Lane, length: number, { finals, retries, staying, applied, unfoldTo, foldTo, sealedTo, delayMs }: Conclusion): void {
    lane.waiting = [...staying, ...lane.waiting.slice(length)];
    lane.applied = applied;
    lane.unfoldTo = Math.max(lane.unfoldTo, unfoldTo);
    if (foldTo > 0) lane.foldTo = foldTo;
    lane.sealedTo = sealedTo;
    if (finals.length + retries.length === 0) {
      lane.state = 'idle';
      this.goOn(lane);
      return;
    }
    lane.state = 'settling';
    this.#deps.settler.add(lane.queue, {
      finals,
      retries,
      whenWritten: () => this.#continueAfter(lane, retries.length > 0 ? delayMs : undefined),
    });
  }

  /** `delayMs` undefined: there is nothing to wait for. */
  #continueAfter(lane: Lane, delayMs: number | undefined): void {
    if (delayMs === undefined) return this.#continue(lane);
    this.backOff(lane, delayMs);
    // Another may have waited for this end to be written.
    this.pump(lane.queue.account);
  }

  /** A bug of ours: nobody is charged, but an operation that meets it again and again is put aside. `called`: so many of the lane were called. */
  fault(lane: Lane, error: unknown, called = 0): void {
    if (lane.queue.isGone) return;
    const head = lane.waiting[0];
    this.#deps.telemetry.fault('bug', error, { queue: lane.queue.name, shard: lane.queue.shard.shard, rank: head?.rank });
    if (!head) return;
    head.faults++;
    if (called > 0) head.isInDoubt = true;
    if (head.faults >= maxFaults) this.#endHead(lane, poisoned);
    else if (called > 0) this.#doubt(lane, called, () => this.backOff(lane, faultDelayMs));
    else this.backOff(lane, faultDelayMs);
  }

  /** Writes down that the group is about to be called, then lets it go. */
  async mark(lane: Lane, length: number): Promise<void> {
    const { queue } = lane;
    const members = lane.waiting.slice(0, length);
    const sealedTo = sealOf(members);
    const trials = new Map(members.map((held) => [`${held.ms}-${held.rank}`, trialOf(held, { startedIn: queue.shard.epoch, sealedTo })]));
    try {
      const isOwner = await this.#deps.reader.mark(queue.shard, queue.name, trials);
      if (queue.isGone) return;
      if (!isOwner) return this.#deps.onLost(queue);
      for (const held of members) {
        held.isMarked = true;
        held.hasTrial = true;
      }
      lane.sealedTo = Math.max(lane.sealedTo, sealedTo);
      this.#deps.accounts.dispatcherOf(queue.account).enter(lane, true);
    } catch (error) {
      this.#deps.telemetry.fault('redis', error, { queue: queue.name });
      if (!queue.isGone) this.backOff(lane, retryMs);
    }
    this.#deps.accounts.dispatcherOf(queue.account).pump();
  }

  #circumstances(lane: Lane): Circumstances {
    const config = this.#deps.accounts.dispatcherOf(lane.queue.account).config;
    const mode: ConflictMode = config?.conflict ?? (lane.applied?.fields ? 'field' : 'record');
    return { mode, retry: config?.retry ?? patientRetry, nowMs: this.#deps.redisNow(), wasCalled: true, random: this.#deps.random };
  }
}

/** Rank of the last of a group that is repeated exactly as it was attempted, 0 for others: one that begins with a create. */
function sealOf(members: readonly Held[]): number {
  return members.length > 1 && (members[0] as Held).kind === 'create' ? (members.at(-1) as Held).rank : 0;
}

/** What is written of an operation that is about to be called, or that nobody knows the end of. */
function trialOf({ attempts, lastError, isInDoubt }: Held, { startedIn, sealedTo }: Pick<Trial, 'startedIn' | 'sealedTo'>): Trial {
  return { attempts, dueAtMs: 0, error: lastError, startedIn, sealedTo, isInDoubt };
}

/** What a dead letter says of an operation whose attempts were used up before this owner called it. */
function exhausted({ lastError }: Held): ProviderError {
  if (!lastError) return { kind: 'ambiguous', code: 'worker_lost', message: 'a worker died during each of the attempts' };
  const { code, message, retryable, providerStatus } = lastError;
  return { kind: retryable ? 'transient' : 'invalid', code, message, ...(providerStatus === undefined ? {} : { providerStatus }) };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

/**
 * Of the provider's health: it is there but wants fewer calls, the call was cut by us, it was not asked for want of credentials, or it was asked
 * at an address or with credentials that have been replaced.
 */
const tellsNothing = ({ kind, code }: ProviderError, { startedAt, isOutdated }: CallUnderWay): boolean =>
  isOutdated || kind === 'rate_limited' || code === cutByUs || (kind === 'auth' && startedAt === 0);

const wasAnswered = (outcome: CallOutcome): boolean => outcome.status !== 'unsent';
const isThrottled = (outcome: CallOutcome): boolean => outcome.status === 'failed' && outcome.error.kind === 'rate_limited';
