/** Writing the ends of attempts, many operations at a time: see settle.lua for what one call does. */
import { formatEntryId, parseQueueName } from '../domain/operation.ts';
import { packRecordState, type RecordState } from '../domain/record-state.ts';
import type { RedisClient } from '../redis/connection.ts';
import { type Keys, resultBucketSize } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { Ownership } from './claim.ts';
import { type Outcome, packOutcome, resultField } from './result.ts';
import settleSource from './settle.lua';
import { groupForScript } from './slots.ts';
import { packTrial, type Trial } from './trial.ts';

const settleScript = defineScript('settle', settleSource);
/** Keeps one call under about 5 ms, and each list under what Lua can unpack (8,000). */
const maxOperationsPerCall = 800;

export interface SettledEntry {
  readonly ms: number;
  readonly rank: number;
}

export interface DeadLetterContent {
  readonly header: string;
  readonly data: string;
  readonly digest: string;
  readonly attempts: number;
  /** A ProviderError as JSON. */
  readonly errorJson: string;
}

export interface FinalSettlement {
  readonly entry: SettledEntry;
  readonly outcome: Outcome;
  readonly hadTrial: boolean;
  /** Present when the change was applied. */
  readonly record?: { readonly digest: string; readonly state: RecordState } | undefined;
  readonly deadLetter?: DeadLetterContent | undefined;
}

export interface RetrySettlement {
  readonly entry: SettledEntry;
  readonly trial: Trial;
}

/** What is to be written about one queue. */
export interface Settlement extends Ownership {
  readonly queue: string;
  /** History to keep, entries. */
  readonly keep: number;
  readonly finals: readonly FinalSettlement[];
  readonly retries: readonly RetrySettlement[];
  /** Final already (their group had been lost): acknowledged, and nothing else written. */
  readonly settledBefore: readonly SettledEntry[];
}

/** Safe to repeat after a lost answer. 'lost': another owns the shard, and nothing was written. */
export type Settle = (settlements: readonly Settlement[]) => Promise<readonly ('ok' | 'lost')[]>;

export function createSettle({
  redis,
  keys,
  workerId,
  statusTtlMs,
}: {
  redis: RedisClient;
  keys: Keys;
  workerId: string;
  statusTtlMs: number;
}): Settle {
  const settleGroup = async (group: readonly Settlement[]) => {
    const scriptKeys: string[] = [];
    const args = [workerId, String(group.length), String(statusTtlMs)];
    for (const settlement of group) appendSettlement(keys, settlement, scriptKeys, args);
    const reply = (await settleScript.run(redis, scriptKeys, [formatArguments(args)])) as string[];
    if (reply[0] !== 'settled') throw unexpectedReply('settle', reply);
    return reply.slice(1) as ('ok' | 'lost')[];
  };

  return async (settlements) => {
    const parts = settlements.flatMap((settlement, index) => split(settlement).map((part) => ({ part, index })));
    const results = settlements.map(() => 'ok' as 'ok' | 'lost');
    const groups = groupForScript(
      redis,
      parts,
      ({ part }) => part.shard,
      ({ part }) => sizeOf(part),
      maxOperationsPerCall,
    );
    await Promise.all(
      groups.map(async (group) => {
        const answers = await settleGroup(group.map(({ part }) => part));
        group.forEach(({ index }, i) => {
          if (answers[i] === 'lost') results[index] = 'lost';
        });
      }),
    );
    return results;
  };
}

const sizeOf = ({ finals, retries, settledBefore }: Settlement) => finals.length + retries.length + settledBefore.length;

function split(settlement: Settlement): Settlement[] {
  if (sizeOf(settlement) <= maxOperationsPerCall) return [settlement];
  const { finals, retries, settledBefore } = settlement;
  const nothing = { ...settlement, finals: [], retries: [], settledBefore: [] };
  return [
    ...chunk(finals).map((part) => ({ ...nothing, finals: part })),
    ...chunk(retries).map((part) => ({ ...nothing, retries: part })),
    ...chunk(settledBefore).map((part) => ({ ...nothing, settledBefore: part })),
  ];
}

function chunk<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / maxOperationsPerCall) }, (_, i) =>
    items.slice(i * maxOperationsPerCall, (i + 1) * maxOperationsPerCall),
  );
}

/** Half a character, which a provider may send, becomes U+FFFD: Lua's JSON would refuse all the rest with it. */
function formatArguments(args: readonly string[]): string {
  const text = JSON.stringify(args);
  return text.includes('\\ud') ? JSON.stringify(args.map((each) => each.replace(/\p{Surrogate}/gu, '\ufffd'))) : text;
}

function appendSettlement(keys: Keys, settlement: Settlement, scriptKeys: string[], args: string[]): void {
  const { shard, queue, epoch, keep, finals, retries, settledBefore } = settlement;
  const { provider } = parseQueueName(queue);
  scriptKeys.push(
    keys.lease(shard),
    keys.queue(shard, queue),
    keys.counters(shard, queue),
    keys.records(shard, queue),
    keys.tries(shard, queue),
    keys.deadLetters(shard, provider),
    keys.deadLetterIndex(shard, provider),
    keys.deadLetterProviders(shard),
    keys.waiting(shard),
  );
  args.push(queue, String(epoch), provider, keys.done(shard), String(keep));

  const acks = settledBefore.map(formatEntryId);
  const records: string[] = [];
  const forgotten: string[] = [];
  const dead: string[] = [];
  const buckets = new Map<number, { readonly index: number; readonly pairs: string[] }>();
  for (const { entry, outcome, hadTrial, record, deadLetter } of finals) {
    const entryId = formatEntryId(entry);
    acks.push(entryId);
    if (record) records.push(record.digest, packRecordState(record.state));
    if (hadTrial) forgotten.push(entryId);
    const number = Math.floor(entry.rank / resultBucketSize);
    const bucket = buckets.get(number) ?? { index: buckets.size + 1, pairs: [] };
    buckets.set(number, bucket);
    const field = resultField(entry.rank);
    const result = packOutcome(outcome);
    if (!deadLetter) bucket.pairs.push(field, result);
    else {
      const { header, data, digest, attempts, errorJson } = deadLetter;
      const completedAt = String(Math.round(outcome.completedAtMs));
      dead.push(entryId, header, data, digest, String(attempts), errorJson, completedAt, String(bucket.index), field, result);
    }
  }
  const trials = retries.flatMap(({ entry, trial }) => [formatEntryId(entry), packTrial(trial)]);
  for (const list of [acks, records, trials, forgotten, dead]) args.push(String(list.length), ...list);
  args.push(String(buckets.size));
  for (const [number, { pairs }] of buckets) {
    scriptKeys.push(keys.results(shard, queue, number * resultBucketSize));
    args.push(String(pairs.length), ...pairs);
  }
}
