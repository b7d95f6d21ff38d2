/** Writing the ends of attempts, many operations at a time: see settle.lua for what one call does. */
import { formatEntryId, parseQueueName } from '../domain/operation.ts';
import { packRecordState, type RecordState } from '../domain/record-state.ts';
import type { RedisClient } from '../redis/connection.ts';
import { type Keys, resultBucketSize } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { Ownership } from './claim.ts';
import { type Outcome, packOutcome, resultField } from './result.ts';
import settleSource from './settle.lua';
import { groupByLease, groupForScript } from './slots.ts';
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
  /** One script call; answers in order. */
  const settleGroup = async (group: readonly Settlement[]) => {
    const shards = groupByLease(group);
    const call: ScriptCall = { keys: [], values: [workerId, statusTtlMs, shards.length] };
    for (const queues of shards) appendShard(call, keys, queues);
    const reply = (await settleScript.run(redis, call.keys, [formatValues(call.values)])) as string[];
    if (reply[0] !== 'settled') throw unexpectedReply('settle', reply);
    const answers = new Map(shards.flat().map((settlement, i) => [settlement, reply[i + 1] as 'ok' | 'lost']));
    return group.map((settlement) => answers.get(settlement) as 'ok' | 'lost');
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
    // A record's state comes with the last end of its group. Written first, it makes what a crash leaves of the group stale, not repeated.
    ...chunk(finals)
      .reverse()
      .map((part) => ({ ...nothing, finals: part })),
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
function formatValues(values: readonly (string | number)[]): string {
  const text = JSON.stringify(values);
  if (!text.includes('\\ud')) return text;
  return JSON.stringify(values.map((each) => (typeof each === 'string' ? each.replace(/\p{Surrogate}/gu, '\ufffd') : each)));
}

/** The script's keys and values, in its order. */
interface ScriptCall {
  readonly keys: string[];
  readonly values: (string | number)[];
}

/** What is to be written about queues of one shard. */
function appendShard(call: ScriptCall, keys: Keys, queues: readonly Settlement[]): void {
  const { shard, epoch } = queues[0] as Settlement;
  call.keys.push(keys.lease(shard), keys.waiting(shard));
  const sizes = call.values.push(String(epoch), keys.done(shard), queues.length);
  const from = { keys: call.keys.length, values: call.values.push(0, 0) };
  for (const settlement of queues) appendSettlement(call, keys, settlement);
  call.values[sizes] = call.keys.length - from.keys;
  call.values[sizes + 1] = call.values.length - from.values;
}

function appendSettlement(call: ScriptCall, keys: Keys, settlement: Settlement): void {
  const { shard, epoch, queue, keep, finals, retries, settledBefore } = settlement;
  const { provider } = parseQueueName(queue);
  call.keys.push(keys.queue(shard, queue), keys.counters(shard, queue));
  call.values.push(queue, provider, keep);

  const acks = settledBefore.map(formatEntryId);
  const states: string[] = [];
  const forgotten: string[] = [];
  const buckets = new Map<number, string[]>();
  const dead: FinalSettlement[] = [];
  for (const final of finals) {
    const { entry, outcome, hadTrial, record, deadLetter } = final;
    const entryId = formatEntryId(entry);
    acks.push(entryId);
    if (record) states.push(record.digest, packRecordState(record.state));
    if (hadTrial) forgotten.push(entryId);
    if (deadLetter) dead.push(final);
    else {
      const number = Math.floor(entry.rank / resultBucketSize);
      const bucket = buckets.get(number) ?? [];
      if (bucket.push(resultField(entry.rank), packOutcome(outcome)) === 2) buckets.set(number, bucket);
    }
  }
  const trials = retries.flatMap(({ entry, trial }) => [formatEntryId(entry), packTrial(trial, epoch)]);
  call.values.push(acks.length, ...acks);
  appendList(call, states, () => keys.records(shard, queue));
  appendList(call, trials, () => keys.tries(shard, queue));
  appendList(call, forgotten, () => keys.tries(shard, queue));
  call.values.push(buckets.size);
  for (const [number, results] of buckets) appendList(call, results, () => keys.results(shard, queue, number * resultBucketSize));
  appendList(call, dead.flatMap(formatDeadLetter), () => keys.deadLetters(shard, provider));
  if (dead.length === 0) return;
  call.keys.push(keys.deadLetterIndex(shard, provider), keys.deadLetterProviders(shard));
  call.keys.push(...dead.map(({ entry }) => keys.results(shard, queue, entry.rank)));
}

/** The key is where the list is to be written; most lists are empty. */
function appendList(call: ScriptCall, list: readonly string[], keyOf: () => string): void {
  call.values.push(list.length, ...list);
  if (list.length > 0) call.keys.push(keyOf());
}

function formatDeadLetter({ entry, outcome, deadLetter }: FinalSettlement): string[] {
  const { header, data, digest, attempts, errorJson } = deadLetter as DeadLetterContent;
  const completedAt = String(Math.round(outcome.completedAtMs));
  const result = [resultField(entry.rank), packOutcome(outcome)];
  return [formatEntryId(entry), header, data, digest, String(attempts), errorJson, completedAt, ...result];
}
