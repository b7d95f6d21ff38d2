/** What the end of a call means for the operations of a group: pure, so that every rule can be tried without a provider. */
import { applyChange, type ConflictMode } from '../../shared/domain/conflict.ts';
import type { FinalStatus } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { RecordState } from '../../shared/domain/record-state.ts';
import { decide, isRetryable, type RetryLimits } from '../../shared/domain/settlement.ts';
import { withDoubt } from '../../shared/queue/entry.ts';
import type { ErrorView, Outcome } from '../../shared/queue/result.ts';
import type { DeadLetterContent, FinalSettlement, RetrySettlement } from '../../shared/queue/settle.ts';
import type { CallOutcome } from '../providers/provider.ts';
import type { Held } from './lane.ts';

export interface Group {
  readonly digest: string;
  /** In order; the last carries the others. */
  readonly members: readonly Held[];
  readonly applied: RecordState | undefined;
}

export interface Circumstances {
  readonly mode: ConflictMode;
  readonly retry: RetryLimits;
  /** Redis's clock, epoch milliseconds. */
  readonly nowMs: number;
  /** False where the adapter refused to make the call: no attempt is charged. */
  readonly wasCalled: boolean;
  random(): number;
}

export interface Conclusion {
  readonly finals: readonly FinalSettlement[];
  readonly retries: readonly RetrySettlement[];
  /** Members that go on, in order. */
  readonly staying: readonly Held[];
  readonly applied: RecordState | undefined;
  /** Ranks, 0 for none: see Lane. */
  readonly unfoldTo: number;
  readonly foldTo: number;
  readonly sealedTo: number;
  readonly delayMs: number;
}

const none: readonly never[] = [];

type Accepted = Extract<CallOutcome, { status: 'accepted' }>;

export function concludeAccepted(group: Group, outcome: Accepted, { mode, nowMs }: Circumstances): Conclusion {
  const carrier = group.members.at(-1) as Held;
  const isRead = carrier.kind === 'read';
  let { applied } = group;
  if (!isRead) for (const held of group.members) applied = applyChange(held, applied, mode, outcome.providerRecordId);
  const succeeded = finish(carrier, 'succeeded', nowMs, {
    attempts: carrier.attempts + 1,
    providerRecordId: outcome.providerRecordId ?? applied?.providerRecordId,
    result: outcome.result,
    record: isRead || !applied ? undefined : { digest: group.digest, state: applied },
  });
  const finals = group.members.length === 1 ? [succeeded] : [...coalesced(group.members, carrier, nowMs), succeeded];
  return { finals, retries: none, staying: none, applied, unfoldTo: 0, foldTo: 0, sealedTo: 0, delayMs: 0 };
}

/** The ends of those that the last one carried. */
function coalesced(members: readonly Held[], carrier: Held, nowMs: number): FinalSettlement[] {
  const carriedBy = `${carrier.ms}-${carrier.rank}`;
  return members.slice(0, -1).map((held) => finish(held, 'coalesced', nowMs, { carriedBy, attempts: held.attempts + 1 }));
}

export function concludeFailed(group: Group, error: ProviderError, circumstances: Circumstances): Conclusion {
  const { retry, nowMs, wasCalled, random } = circumstances;
  const last = group.members.at(-1) as Held;
  const finals: FinalSettlement[] = [];
  const retries: RetrySettlement[] = [];
  const staying: Held[] = [];
  const isFolded = group.members.length > 1;
  const sealedTo = isFolded && (group.members[0] as Held).kind === 'create' ? last.rank : 0;
  let delayMs = 0;
  for (const held of group.members) {
    const decision = decide({ error, attempts: held.attempts + 1, ageMs: nowMs - held.ms, isFolded }, retry, random);
    if (decision.next === 'unfold') return unfold(group);
    const isCharged = wasCalled && (decision.next === 'dead_letter' || decision.isCharged);
    held.lastError = view(error);
    if (isCharged) held.attempts++;
    if (decision.next === 'dead_letter') {
      finals.push(giveUp(held, group.digest, error, nowMs));
      continue;
    }
    delayMs = Math.max(delayMs, decision.delayMs);
    staying.push(held);
    held.isMarked = false;
    held.hasCrashed = false;
    held.hasTrial = true;
    // A refusal before the call says nothing of earlier attempts.
    held.isInDoubt = wasCalled ? error.kind === 'ambiguous' || error.isInDoubt === true : held.isInDoubt;
    const { attempts, lastError, isInDoubt } = held;
    retries.push({ entry: held, trial: { attempts, dueAtMs: 0, error: lastError, startedIn: 0, sealedTo, isInDoubt } });
  }
  const due = retries.map(({ entry, trial }) => ({ entry, trial: { ...trial, dueAtMs: Math.round(nowMs + delayMs) } }));
  return {
    finals,
    retries: due,
    staying,
    applied: group.applied,
    unfoldTo: 0,
    foldTo: 0,
    sealedTo: staying.length === group.members.length ? sealedTo : 0,
    delayMs,
  };
}

/**
 * A refused group goes one by one, so that a bad change costs only itself. But where the beginning of it may have been carried out before, as a
 * group that an answer was lost of, its first alone would be an older change after a newer one: then it is tried without its last,
 * until what is left is accepted.
 */
function unfold({ members, applied }: Group): Conclusion {
  const isInDoubt = members.some((held) => held.attempts > 0 || held.isSuspect || held.isInDoubt);
  const [last, beforeLast] = [members.at(-1) as Held, members.at(-2) as Held];
  return {
    finals: [],
    retries: [],
    staying: members,
    applied,
    unfoldTo: isInDoubt ? 0 : last.rank,
    foldTo: isInDoubt ? beforeLast.rank : 0,
    sealedTo: 0,
    delayMs: 0,
  };
}

/** Ends an operation as a dead letter, which keeps what is in doubt: retried, a create is to find out first what it may have made. */
export function giveUp(held: Held, digest: string, error: ProviderError, nowMs: number): FinalSettlement {
  const isInDoubt = error.isInDoubt ?? (held.isInDoubt || error.kind === 'ambiguous');
  const deadLetter: DeadLetterContent = {
    header: withDoubt(held.header, isInDoubt),
    data: held.dataJson ?? '',
    digest,
    attempts: held.attempts,
    errorJson: JSON.stringify(error),
  };
  return finish(held, 'dead_lettered', nowMs, { error: view(error), deadLetter });
}

type Ending = Pick<FinalSettlement, 'record' | 'deadLetter'> &
  Pick<Outcome, 'carriedBy' | 'providerRecordId' | 'result' | 'error'> & { readonly attempts?: number };

const plainEnding: Ending = {};

/** Written out member by member: this is done for every operation, and spreading costs more than all else here. */
export function finish(held: Held, status: FinalStatus, nowMs: number, ending = plainEnding): FinalSettlement {
  return {
    entry: held,
    hadTrial: held.hasTrial,
    record: ending.record,
    deadLetter: ending.deadLetter,
    outcome: {
      status,
      kind: held.kind,
      entity: held.entity,
      recordId: held.recordId,
      acceptedAtMs: held.ms,
      completedAtMs: Math.max(held.ms, Math.round(nowMs)),
      attempts: ending.attempts ?? held.attempts,
      providerRecordId: ending.providerRecordId,
      carriedBy: ending.carriedBy,
      result: ending.result,
      error: ending.error,
    },
  };
}

/** What a status page shows of a provider's refusal: without the answer, which only the dead letter keeps. */
function view(error: ProviderError): ErrorView {
  const message = error.message.length > 500 ? `${error.message.slice(0, 500)}…` : error.message;
  return { code: error.code, message, retryable: isRetryable(error), providerStatus: error.providerStatus };
}
