/**
 * What always holds, tried over random histories: workers come, read, end, retry, give up, repeat what they wrote, die and are followed;
 * the group is lost; operators put back and drop; queues are swept. After each history every accepted operation is in exactly one place,
 * and the counters say the same as the stream.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createQueueBench, deadOf, entriesOf, entryIdOf, finalOf, type QueueBench, settlementOf } from '../../../test/support/queue.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { parseEntryId, parseOperationId } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import { group } from '../redis/keys.ts';
import type { ClaimedEntry, Ownership } from './claim.ts';
import type { Settlement } from './settle.ts';

fc.configureGlobal({ seed: 7 });

let redis: RedisClient;
let benches = 0;
useRedis((client) => {
  redis = client;
});

type Step =
  | { readonly do: 'enqueue'; readonly count: number }
  | { readonly do: 'claim'; readonly count: number }
  | { readonly do: 'dieClaiming'; readonly count: number }
  | {
      readonly do: 'settle';
      readonly from: number;
      readonly count: number;
      readonly end: 'succeeded' | 'dead' | 'retry';
      readonly keep: number;
    }
  | { readonly do: 'repeat' }
  | { readonly do: 'crash' }
  | { readonly do: 'handOver' }
  | { readonly do: 'loseGroup' }
  | { readonly do: 'sweep' }
  | { readonly do: 'requeue'; readonly count: number }
  | { readonly do: 'drop'; readonly count: number };

/** A worker as far as the queue sees it: what it holds in memory, and who follows it. */
class PlayedWorker {
  readonly #q: QueueBench;
  #generation = 0;
  #owner: Ownership = { shard: 0, epoch: 0 };
  readonly #held = new Map<number, ClaimedEntry>();
  #lastWritten: Settlement | undefined;

  constructor(q: QueueBench) {
    this.#q = q;
  }

  get #id(): string {
    return `w${this.#generation}`;
  }

  /** A new worker takes the shard; `hasDied` says how the last one went. */
  async follow(hasDied: boolean): Promise<void> {
    if (hasDied) await redis.hset(this.#q.keys.lease(0), 'until', 1);
    else if (this.#owner.epoch > 0) await this.#q.leases.release(0, this.#id, this.#owner.epoch);
    this.#generation += 1;
    this.#held.clear();
    this.#lastWritten = undefined;
    this.#owner = await this.#q.own(this.#id);
    for (let after: string | undefined; ; ) {
      const page = await this.#q.reader(this.#id).takeOver(this.#owner, 'crm', { after, hasOwnerDied: hasDied });
      if (page.status === 'lost') throw new Error('lost');
      await this.#hold(page.entries, page.checkUpTo);
      after = page.last;
      if (after === undefined) return;
    }
  }

  async claim(count: number): Promise<number> {
    const [claimed] = await this.#q.reader(this.#id).claim([{ ...this.#owner, queue: 'crm', count }]);
    const entries = entriesOf(claimed);
    await this.#hold(entries, claimed?.status === 'read' ? claimed.checkUpTo : 0);
    return entries.length;
  }

  /** Reads, and dies before it has looked at anything. */
  async dieClaiming(count: number): Promise<void> {
    await this.#q.reader(this.#id).claim([{ ...this.#owner, queue: 'crm', count }]);
    await this.follow(true);
  }

  async settle({ from, count, end, keep }: Extract<Step, { do: 'settle' }>): Promise<void> {
    const entries = [...this.#held.values()].slice(from, from + count);
    const trial = { attempts: 1, dueAtMs: 5, error: undefined, startedIn: 0, sealedTo: 0 };
    const isRetry = end === 'retry';
    await this.#write(
      settlementOf(this.#owner, {
        keep,
        finals: isRetry ? [] : entries.map((entry) => ({ ...(end === 'dead' ? deadOf(entry) : finalOf(entry)), hadTrial: true })),
        retries: isRetry ? entries.map((entry) => ({ entry, trial })) : [],
      }),
    );
    if (!isRetry) for (const { rank } of entries) this.#held.delete(rank);
  }

  /** As after an answer that was lost. */
  async repeat(): Promise<void> {
    if (this.#lastWritten) await this.#write(this.#lastWritten);
  }

  sweep(): Promise<boolean> {
    return this.#q.reader(this.#id).sweep(this.#owner, 'crm', -1_000);
  }

  async #write(settlement: Settlement): Promise<void> {
    this.#lastWritten = settlement;
    expect(await this.#q.settler(this.#id)([settlement])).toEqual(['ok']);
  }

  async #hold(entries: readonly ClaimedEntry[], checkUpTo: number): Promise<void> {
    const doubtful = entries.map(({ rank }) => rank).filter((rank) => rank <= checkUpTo);
    const final = doubtful.length === 0 ? new Set<number>() : await this.#q.reader(this.#id).findFinal(0, 'crm', doubtful);
    const settledBefore = entries.filter(({ rank }) => final.has(rank));
    if (settledBefore.length > 0) await this.#q.settler(this.#id)([settlementOf(this.#owner, { settledBefore })]);
    for (const entry of entries) if (!final.has(entry.rank)) this.#held.set(entry.rank, entry);
  }
}

/** Plays a history; the entry ids of all that was accepted. */
async function play(q: QueueBench, steps: readonly Step[]): Promise<Set<string>> {
  const accepted = new Set<string>();
  const worker = new PlayedWorker(q);
  await worker.follow(false);
  const letters = async (count: number) => {
    const page = await q.deadLetters.list({}, { limit: count });
    return page.status === 'listed' ? page.items.map(({ operation }) => operation.place) : [];
  };
  for (const step of steps) {
    if (step.do === 'enqueue') for (const place of await q.placeMany(step.count)) accepted.add(entryIdOf(place));
    else if (step.do === 'claim') await worker.claim(step.count);
    else if (step.do === 'dieClaiming') await worker.dieClaiming(step.count);
    else if (step.do === 'settle') await worker.settle(step);
    else if (step.do === 'repeat') await worker.repeat();
    else if (step.do === 'sweep') await worker.sweep();
    else if (step.do === 'crash') await worker.follow(true);
    else if (step.do === 'handOver') await worker.follow(false);
    else if (step.do === 'loseGroup') await redis.xgroup('DESTROY', q.keys.queue(0, 'crm'), group).catch(() => {});
    else if (step.do === 'drop') for (const place of await letters(step.count)) await q.deadLetters.remove(place);
    else {
      for (const place of await letters(step.count)) {
        const retried = await q.deadLetters.retry(place);
        if (retried.status === 'retried') accepted.add(entryIdOf(parseOperationId(retried.operationId) ?? { ms: 0, rank: 0 }));
      }
    }
  }
  // A lost group is made again by the next read; what was final comes once more.
  while ((await worker.claim(1_000)) > 0);
  return accepted;
}

/** The places of a queue's operations, as Redis has them. */
async function readPlaces(q: QueueBench, accepted: ReadonlySet<string>) {
  const queue = q.keys.queue(0, 'crm');
  const streamed = (await redis.xrange(queue, '-', '+')).map(([id]) => id);
  const rows = streamed.length === 0 ? [] : ((await redis.xpending(queue, group, '-', '+', 10_000)) as [string][]);
  const pending = new Set(rows.map(([id]) => id));
  const ranks = [...accepted].map((id) => parseEntryId(id).rank);
  const finalRanks = await q.reader('x').findFinal(0, 'crm', ranks);
  const final = new Set([...accepted].filter((id) => finalRanks.has(parseEntryId(id).rank)));
  return { streamed: new Set(streamed), pending, final };
}

async function checkPlaces(q: QueueBench, accepted: ReadonlySet<string>): Promise<void> {
  const { streamed, pending, final } = await readPlaces(q, accepted);
  for (const id of accepted) {
    const places = [pending.has(id) && 'pending', final.has(id) && 'final'].filter(Boolean);
    expect([id, places.length]).toEqual([id, 1]);
    expect([id, !pending.has(id) || streamed.has(id)]).toEqual([id, true]);
  }
  const counts = await q.inspect();
  const letters = await redis.hlen(q.keys.deadLetterIndex(0, 'crm'));
  expect(counts).toMatchObject({ added: accepted.size, final: final.size, pending: pending.size, dead: letters });
  expect(await redis.xlen(q.keys.deadLetters(0, 'crm'))).toBe(letters);
  expect(await q.backlog.read('crm')).toMatchObject({ backlog: pending.size, deadLetters: letters });
}

const count = (max: number) => fc.integer({ min: 1, max });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('enqueue' as const), count: count(150) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), count: count(150) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dieClaiming' as const), count: count(150) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      from: fc.constantFrom(0, 0, 0, 3, 40),
      count: count(150),
      end: fc.constantFrom('succeeded' as const, 'succeeded' as const, 'dead' as const, 'retry' as const),
      keep: fc.constantFrom(0, 0, 100),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom<Step>({ do: 'repeat' }, { do: 'crash' }, { do: 'handOver' }, { do: 'loseGroup' }, { do: 'sweep' }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('requeue' as const), count: count(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), count: count(60) }) },
);

test('every accepted operation is in exactly one place, and counters agree, after any history', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 30, size: 'max' }), async (steps) => {
      const q = await createQueueBench(redis, `i${benches++}:`);
      await checkPlaces(q, await play(q, steps));
    }),
    { numRuns: 40 },
  );
});
