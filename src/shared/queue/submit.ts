/**
 * Acceptance: operations go into their queues, and nothing else is written.
 *
 * Requests that arrive in one turn of the event loop, or while two calls are already under way, share the next call: the busier
 * the API, the larger its batches. An operation with an idempotency key asks first where the key lives, in the key's own shard,
 * whether it was used for something else; the mark that makes the repetition harmless is written with the entry itself, in the
 * record's shard. A crash between the two leaves a fingerprint without an entry: the repetition then simply succeeds.
 *
 * Operations of one request enter in its order, which is what decides between equal timestamps.
 */
import { type Change, formatOperationId, parseEntryId, queueName } from '../domain/operation.ts';
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import type { BacklogGuard } from './backlog-guard.ts';
import enqueueSource from './enqueue.lua';
import { formatHeader } from './entry.ts';
import type { RecordHasher } from './record-key.ts';
import { groupForScript, textSeparator } from './slots.ts';

const enqueueScript = defineScript('enqueue', enqueueSource);
const maxCallsUnderWay = 2;
/** Keeps one script call short (well under 5 ms). An operation weighs 1, and 1 more for each KiB of data. */
const maxWeightPerCall = 1_000;
/** A fingerprint outlives every mark made after it: else the key could stand for another operation while the mark still answers. */
const fingerprintGraceMs = 60_000;

export interface Submission {
  readonly change: Change;
  readonly idempotency?: {
    /** Scoped by its sender already. */
    readonly key: string;
    readonly fingerprint: string;
    readonly isRecordIdGenerated: boolean;
  };
}

export type Submitted =
  | { readonly status: 'queued'; readonly operationId: string; readonly recordId: string }
  | { readonly status: 'idempotency_mismatch' }
  | { readonly status: 'backlog_full' }
  /** Redis failed for this one, and not for all. */
  | { readonly status: 'unavailable' };

interface Waiting {
  readonly change: Change;
  readonly shard: number;
  readonly idempotencyKey: string | undefined;
  readonly answers: Answers;
  /** Among the answers. */
  readonly index: number;
}

/** Of one request: a promise for each of its operations would cost more than all the rest of their waiting. */
interface Answers {
  readonly all: Promise<readonly Submitted[]>;
  set(index: number, submitted: Submitted): void;
  fail(index: number, error: unknown): void;
}

/** Rejects where something failed and nothing was accepted; where only a part was, `onPartFailed` hears of the last error instead. */
function createAnswers(length: number, onPartFailed: (error: unknown) => void): Answers {
  const submitted = new Array<Submitted>(length);
  let missing = length;
  let isAccepted = false;
  let failure: { readonly error: unknown } | undefined;
  let resolve: (all: readonly Submitted[]) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const all = new Promise<readonly Submitted[]>((whenAll, whenFailed) => {
    resolve = whenAll;
    reject = whenFailed;
  });
  if (length === 0) resolve(submitted);
  const set = (index: number, answer: Submitted) => {
    submitted[index] = answer;
    if (answer.status === 'queued') isAccepted = true;
    if (--missing > 0) return;
    if (failure && !isAccepted) return reject(failure.error);
    if (failure) onPartFailed(failure.error);
    resolve(submitted);
  };
  return {
    all,
    set,
    fail(index, error) {
      failure = { error };
      set(index, { status: 'unavailable' });
    },
  };
}

/** One queue's part of a call. */
interface Section {
  readonly shard: number;
  readonly queue: string;
  readonly items: Waiting[];
}

export interface SubmitDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly shards: number;
  readonly hasher: RecordHasher;
  readonly guard: BacklogGuard;
  readonly idempotencyTtlMs: number;
  /** Redis's clock, milliseconds, as far as it is known. */
  redisNow(): number;
  /** What Redis comes to later than this after it was sent is refused: by then the caller may have been told that nothing was accepted. */
  readonly acceptWithinMs: number;
  /** Why operations of a request were not accepted of which others were. */
  onPartFailed(error: unknown): void;
}

/** Redis came to it too late: nothing was written. */
export class AcceptedTooLate extends Error {
  override readonly name = 'AcceptedTooLate';
  constructor() {
    super('Redis came to it too late: nothing was written');
  }
}

/** Answers in order. Throws what Redis throws where nothing is known to be accepted. */
export type Submit = (submissions: readonly Submission[]) => Promise<readonly Submitted[]>;

export function createSubmit(deps: SubmitDeps): Submit {
  let waiting: Waiting[] = [];
  let underWay = 0;
  let isScheduled = false;

  const flush = () => {
    isScheduled = false;
    if (waiting.length === 0 || underWay >= maxCallsUnderWay) return;
    const batch = waiting;
    waiting = [];
    underWay++;
    void enqueueAll(deps, admit(deps, batch)).finally(() => {
      underWay--;
      flush();
    });
  };

  const enter = (change: Change, idempotencyKey: string | undefined, answers: Answers, index: number) => {
    waiting.push({ change, shard: deps.hasher.shardOf(change, deps.shards), idempotencyKey, answers, index });
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };

  return async (submissions) => {
    const known = submissions.some(({ idempotency }) => idempotency)
      ? await Promise.all(submissions.map(async ({ change, idempotency }) => idempotency && rememberFingerprint(deps, change, idempotency)))
      : undefined;
    const answers = createAnswers(submissions.length, deps.onPartFailed);
    for (const [index, { change, idempotency }] of submissions.entries()) {
      const first = known?.[index];
      if (!idempotency || !first) enter(change, undefined, answers, index);
      else if (first.fingerprint !== idempotency.fingerprint) answers.set(index, { status: 'idempotency_mismatch' });
      else enter({ ...change, recordId: first.recordId }, idempotency.key, answers, index);
    }
    return answers.all;
  };
}

interface Fingerprint {
  readonly fingerprint: string;
  readonly recordId: string;
}

/**
 * First use: remembers what the key stands for. Later uses: tells it, with the record id that was made for it. The same operation again may be
 * the one that is accepted, long after the first attempt was refused: its mark then begins a life of its own, and so does the fingerprint.
 */
async function rememberFingerprint(
  { redis, keys, shards, hasher, idempotencyTtlMs }: SubmitDeps,
  change: Change,
  idempotency: NonNullable<Submission['idempotency']>,
): Promise<Fingerprint> {
  const key = keys.fingerprint(hasher.shardOfText(idempotency.key, shards), idempotency.key);
  const mine = JSON.stringify([idempotency.fingerprint, idempotency.isRecordIdGenerated ? change.recordId : '']);
  const lifeMs = idempotencyTtlMs + fingerprintGraceMs;
  const known = (await redis.call('SET', key, mine, 'PX', lifeMs, 'NX', 'GET')) as string | null;
  const [fingerprint, recordId] = JSON.parse(known ?? mine) as [string, string];
  if (known !== null && fingerprint === idempotency.fingerprint) await redis.pexpire(key, lifeMs);
  return { fingerprint, recordId: recordId === '' ? change.recordId : recordId };
}

/** Takes a place for each operation; those for which there is none, by what is known now, are looked at again by themselves. */
function admit(deps: SubmitDeps, batch: readonly Waiting[]): Waiting[] {
  const refused = new Map<string, Waiting[]>();
  const admitted = batch.filter((item) => {
    const { provider } = item.change;
    const before = refused.get(provider);
    if (!before && deps.guard.tryEnter(provider)) return true;
    if (before) before.push(item);
    else refused.set(provider, [item]);
    return false;
  });
  for (const [provider, items] of refused) void lookAgain(deps, provider, items);
  return admitted;
}

/** The other providers do not wait for the counts of one that is full. Never throws. */
async function lookAgain(deps: SubmitDeps, provider: string, items: readonly Waiting[]): Promise<void> {
  const admitted: Waiting[] = [];
  const refused: Waiting[] = [];
  try {
    for (const item of items) ((await deps.guard.enterAfterRefresh(provider)) ? admitted : refused).push(item);
  } catch (error) {
    for (const { answers, index } of items.slice(admitted.length + refused.length)) answers.fail(index, error);
  }
  await Promise.all([enqueueAll(deps, admitted), ...refused.map((item) => answerRefused(deps, item))]);
}

/** A repetition gets its first answer, however full the queue is. */
async function answerRefused({ redis, keys }: SubmitDeps, { change, shard, idempotencyKey, answers, index }: Waiting): Promise<void> {
  try {
    const entryId = idempotencyKey === undefined ? null : await redis.get(keys.idempotency(shard, idempotencyKey));
    const queue = queueName(change.provider, change.tenant);
    answers.set(index, entryId === null ? { status: 'backlog_full' } : queued(shard, queue, entryId, change));
  } catch (error) {
    answers.fail(index, error);
  }
}

/** Settles or fails every operation; never throws. */
async function enqueueAll(deps: SubmitDeps, admitted: readonly Waiting[]): Promise<void> {
  const groups = groupForScript(
    deps.redis,
    divide(admitted),
    ({ shard }) => shard,
    ({ items }) => weigh(items),
    maxWeightPerCall,
  );
  await Promise.all(groups.map((group) => enqueueGroup(deps, group)));
}

const weightOf = ({ change }: Waiting) => 1 + ((change.dataJson?.length ?? 0) >> 10);
const weigh = (items: readonly Waiting[]) => items.reduce((sum, item) => sum + weightOf(item), 0);

/** By queue, in order; a queue with much goes in several sections. */
function divide(admitted: readonly Waiting[]): Section[] {
  const sections: Section[] = [];
  const open = new Map<string, { section: Section; weight: number }>();
  for (const item of admitted) {
    const { change, shard } = item;
    const queue = queueName(change.provider, change.tenant);
    const name = `${shard} ${queue}`;
    let latest = open.get(name);
    if (!latest || latest.weight + weightOf(item) > maxWeightPerCall) {
      latest = { section: { shard, queue, items: [] }, weight: 0 };
      open.set(name, latest);
      sections.push(latest.section);
    }
    latest.section.items.push(item);
    latest.weight += weightOf(item);
  }
  return sections;
}

async function enqueueGroup(deps: SubmitDeps, sections: readonly Section[]): Promise<void> {
  try {
    tell(deps, sections, await enqueueInTime(deps, formatCall(deps, sections)));
  } catch (error) {
    for (const { queue, items } of sections) {
      deps.guard.leave(queue, items.length);
      for (const { answers, index } of items) answers.fail(index, error);
    }
  }
}

interface EnqueueCall {
  readonly scriptKeys: string[];
  argsWith(deadlineMs: number): (string | number)[];
}

type EnqueueReply = readonly [string, ...(string | number)[]];

/** Too late although little time has passed, it was Redis's clock that was not known well enough: then it is sent again, by the right one. */
async function enqueueInTime(
  { redis, redisNow, acceptWithinMs }: SubmitDeps,
  { scriptKeys, argsWith }: EnqueueCall,
): Promise<EnqueueReply> {
  const run = async (deadlineMs: number) => {
    const reply = (await enqueueScript.run(redis, scriptKeys, argsWith(deadlineMs))) as EnqueueReply;
    if (reply[0] !== 'queued' && reply[0] !== 'late') throw unexpectedReply('enqueue', reply);
    return reply;
  };
  const sentAt = performance.now();
  let reply = await run(redisNow() + acceptWithinMs);
  const leftMs = acceptWithinMs - (performance.now() - sentAt);
  if (reply[0] === 'late' && leftMs > 0) reply = await run((reply[1] as number) + leftMs);
  if (reply[0] === 'late') throw new AcceptedTooLate();
  return reply;
}

function formatCall({ keys, hasher, idempotencyTtlMs }: SubmitDeps, sections: readonly Section[]): EnqueueCall {
  const scriptKeys: string[] = [];
  const operations: string[] = [];
  const queues: (string | number)[] = [];
  for (const { shard, queue } of sections)
    scriptKeys.push(keys.ready(shard), keys.queues(shard), keys.queue(shard, queue), keys.counters(shard, queue));
  for (const { shard, queue, items } of sections) {
    queues.push(queue, keys.bell(shard), items.length);
    for (const { change, idempotencyKey } of items) {
      const mark = idempotencyKey === undefined ? 0 : scriptKeys.push(keys.idempotency(shard, idempotencyKey));
      operations.push(formatHeader(change), change.dataJson ?? '', hasher.digestOf(change), String(mark));
    }
  }
  // Each text is followed by the separator, the last one too.
  operations.push('');
  const text = operations.join(textSeparator);
  return { scriptKeys, argsWith: (deadlineMs) => [sections.length, idempotencyTtlMs, Math.floor(deadlineMs), text, ...queues] };
}

function tell({ guard }: SubmitDeps, sections: readonly Section[], reply: readonly (string | number)[]): void {
  let at = 1;
  for (const { shard, queue, items } of sections) {
    guard.learn(shard, queue, { open: reply[at] as number, deadLetters: reply[at + 1] as number }, items.length);
    at += 2;
    for (const { change, answers, index } of items) answers.set(index, queued(shard, queue, reply[at++] as string, change));
  }
}

function queued(shard: number, queue: string, entryId: string, { recordId }: Change): Submitted {
  return { status: 'queued', operationId: formatOperationId({ shard, queue, ...parseEntryId(entryId) }), recordId };
}
