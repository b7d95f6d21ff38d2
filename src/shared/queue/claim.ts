/** Reading entries for their owner: new ones (claim), those a former owner left (takeOver), and the marks and sweeps around them. */
import { parseEntryId } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import claimSource from './claim.lua';
import markSource from './mark.lua';
import { resultField } from './result.ts';
import { groupByLease, groupForScript, slotOf, textSeparator } from './slots.ts';
import sweepSource from './sweep.lua';
import takeOverSource from './take-over.lua';
import { packTrial, parseTrial, type Trial, type WrittenTrial } from './trial.ts';

const claimScript = defineScript('claim', claimSource);
const takeOverScript = defineScript('take-over', takeOverSource);
const markScript = defineScript('mark', markSource);
const sweepScript = defineScript('sweep', sweepSource);

/** Who acts: scripts refuse everybody but the lease's holder. */
export interface Ownership {
  readonly shard: number;
  readonly epoch: number;
}

export interface ClaimedEntry {
  readonly ms: number;
  readonly rank: number;
  /** The texts of the entry's three fields (entry.ts). */
  readonly header: string;
  readonly data: string;
  readonly digest: string;
  /** Packed record state, '' for a record not known (record-state.ts). */
  readonly state: string;
}

export interface TakenEntry extends ClaimedEntry {
  /** Epoch of the last owner that took the entry from one that had died, 1 for none: what a trial written before that says may be outdated. */
  readonly inheritedIn: number;
  readonly trial: WrittenTrial | undefined;
}

export interface ClaimRequest extends Ownership {
  readonly queue: string;
  /** At most 1,000. */
  readonly count: number;
}

export type Claimed =
  | { readonly status: 'lost' }
  | {
      readonly status: 'read';
      /** Nothing is left unread; the bell will ring for what comes. */
      readonly isDrained: boolean;
      /** Entries up to this rank may be final already: the group had been lost. 0 normally. */
      readonly checkUpTo: number;
      readonly entries: readonly ClaimedEntry[];
    };

export interface QueueReader {
  /** Shards that may share a script call have the same: what is asked of others goes to another Redis, perhaps, and does not wait for it. */
  slotOf(shard: number): number;
  /** Answers in order. */
  claim(requests: readonly ClaimRequest[]): Promise<readonly Claimed[]>;
  /** One page of what a former owner left; goes on from `after` until `last` is undefined. */
  takeOver(owner: Ownership, queue: string, options: { after: string | undefined; hasOwnerDied: boolean }): Promise<TakenPage>;
  /** Writes trials before their calls. False when the lease is lost. */
  mark(owner: Ownership, queue: string, trials: ReadonlyMap<string, Trial>): Promise<boolean>;
  /** False when the queue is gone (or the lease). */
  sweep(owner: Ownership, queue: string, historyMs: number): Promise<boolean>;
  /** Every queue the shard has in Redis. */
  queuesOf(shard: number): Promise<readonly string[]>;
  /** Of these ranks, those that have a result. */
  findFinal(shard: number, queue: string, ranks: readonly number[]): Promise<ReadonlySet<number>>;
}

export type TakenPage =
  | { readonly status: 'lost' }
  | {
      readonly status: 'taken';
      readonly last: string | undefined;
      /** As in `Claimed`. */
      readonly checkUpTo: number;
      readonly entries: readonly TakenEntry[];
    };

const maxEntriesPerCall = 2_000;
const takeOverPage = 200;

export function createQueueReader({ redis, keys, workerId }: { redis: RedisClient; keys: Keys; workerId: string }): QueueReader {
  /** Of one script call; answers by request. */
  const claimGroup = async (requests: readonly ClaimRequest[], answers: Map<ClaimRequest, Claimed>): Promise<void> => {
    const shards = groupByLease(requests);
    const scriptKeys: string[] = [];
    const args: (string | number)[] = [workerId, shards.length];
    for (const queues of shards) {
      const { shard, epoch } = queues[0] as ClaimRequest;
      scriptKeys.push(keys.lease(shard), keys.ready(shard));
      args.push(epoch, queues.length);
      for (const { queue, count } of queues) {
        scriptKeys.push(keys.queue(shard, queue), keys.counters(shard, queue), keys.records(shard, queue));
        args.push(queue, count);
      }
    }
    const reply = (await claimScript.run(redis, scriptKeys, args)) as [string, ...ClaimReply[]];
    if (reply[0] !== 'claimed') throw unexpectedReply('claim', reply);
    shards.flat().forEach((request, i) => {
      answers.set(request, parseClaimed(reply[i + 1] as ClaimReply));
    });
  };

  return {
    slotOf: (shard) => slotOf(redis, shard),

    async claim(requests) {
      const answers = new Map<ClaimRequest, Claimed>();
      const groups = groupForScript(
        redis,
        requests,
        (request) => request.shard,
        (request) => request.count,
        maxEntriesPerCall,
      );
      await Promise.all(groups.map((group) => claimGroup(group, answers)));
      return requests.map((request) => answers.get(request) as Claimed);
    },

    async takeOver({ shard, epoch }, queue, { after, hasOwnerDied }) {
      const scriptKeys = [
        keys.lease(shard),
        keys.queue(shard, queue),
        keys.records(shard, queue),
        keys.tries(shard, queue),
        keys.counters(shard, queue),
      ];
      const args = [workerId, epoch, after === undefined ? '-' : `(${after}`, takeOverPage, hasOwnerDied ? 1 : 0];
      const reply = (await takeOverScript.run(redis, scriptKeys, args)) as [string, string, string, ...(string | number)[]];
      if (reply[0] === 'lost') return { status: 'lost' };
      if (reply[0] !== 'taken') throw unexpectedReply('take-over', reply);
      return { status: 'taken', last: reply[1] === '' ? undefined : reply[1], checkUpTo: rankOf(reply[2]), entries: parseTaken(reply) };
    },

    async mark({ shard, epoch }, queue, trials) {
      let texts = '';
      for (const [entryId, trial] of trials) texts += `${entryId}${textSeparator}${packTrial(trial, epoch)}${textSeparator}`;
      const reply = (await markScript.run(redis, [keys.lease(shard), keys.tries(shard, queue)], [workerId, epoch, texts])) as [string];
      if (reply[0] !== 'marked' && reply[0] !== 'lost') throw unexpectedReply('mark', reply);
      return reply[0] === 'marked';
    },

    async sweep({ shard, epoch }, queue, historyMs) {
      const scriptKeys = [
        keys.lease(shard),
        keys.queues(shard),
        keys.ready(shard),
        keys.queue(shard, queue),
        keys.counters(shard, queue),
        keys.tries(shard, queue),
      ];
      const reply = (await sweepScript.run(redis, scriptKeys, [workerId, epoch, queue, historyMs])) as [string];
      if (!['lost', 'removed', 'kept'].includes(reply[0])) throw unexpectedReply('sweep', reply);
      return reply[0] === 'kept';
    },

    queuesOf: (shard) => redis.zrange(keys.queues(shard), '0', '-1'),

    async findFinal(shard, queue, ranks) {
      const found = await Promise.all(ranks.map((rank) => redis.hexists(keys.results(shard, queue, rank), resultField(rank))));
      return new Set(ranks.filter((_, i) => found[i] === 1));
    },
  };
}

type ClaimReply = [status: string, isDrained: number, checkUpTo: string, entries: string];

function parseClaimed(reply: ClaimReply): Claimed {
  if (reply[0] === 'lost') return { status: 'lost' };
  if (reply[0] !== 'read') throw unexpectedReply('claim', reply);
  const fields = reply[3].split(textSeparator);
  const entries: ClaimedEntry[] = [];
  // Something that was not written here holds a separator: what cannot be told apart is read again one by one, as after a lost answer.
  if (fields.length % 5 !== 1) throw unexpectedReply('claim', reply);
  for (let i = 0; i + 5 <= fields.length; i += 5) {
    const { ms, rank } = parseEntryId(fields[i] as string);
    if (!Number.isFinite(rank)) throw unexpectedReply('claim', reply);
    entries.push({
      ms,
      rank,
      header: fields[i + 1] as string,
      data: fields[i + 2] as string,
      digest: fields[i + 3] as string,
      state: fields[i + 4] as string,
    });
  }
  return { status: 'read', isDrained: reply[1] === 1, checkUpTo: rankOf(reply[2]), entries };
}

const rankOf = (entryId: string): number => (entryId === '' ? 0 : parseEntryId(entryId).rank);

function parseTaken(reply: readonly (string | number)[]): TakenEntry[] {
  const entries: TakenEntry[] = [];
  for (let i = 3; i < reply.length; i += 7) {
    const { ms, rank } = parseEntryId(reply[i] as string);
    const trial = reply[i + 6] as string;
    entries.push({
      ms,
      rank,
      header: reply[i + 1] as string,
      data: reply[i + 2] as string,
      digest: reply[i + 3] as string,
      state: reply[i + 4] as string,
      inheritedIn: reply[i + 5] as number,
      trial: trial === '' ? undefined : parseTrial(trial),
    });
  }
  return entries;
}
