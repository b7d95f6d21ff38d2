/**
 * Acceptance: operations go into their queues, and nothing else is written.
 *
 * Requests that arrive in one turn of the event loop, or while two calls are already under way, share the next call: the busier
 * the API, the larger its batches. An operation with an idempotency key asks first where the key lives, in the key's own shard,
 * whether it was used for something else; the mark that makes the repetition harmless is written with the entry itself, in the
 * record's shard. A crash between the two leaves a fingerprint without an entry: the repetition then simply succeeds.
 */
import type { RedisClient } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { defineScript, unexpectedReply } from '../redis/script.ts';
import { type Change, formatOperationId, parseEntryId, queueName } from '../domain/operation.ts';
import type { BacklogGuard } from './backlog-guard.ts';
import enqueueSource from './enqueue.lua';
import { formatHeader } from './entry.ts';
import type { RecordHasher } from './record-key.ts';
import { groupForScript } from './slots.ts';

const enqueueScript = defineScript('enqueue', enqueueSource);
const maxCallsUnderWay = 2;
/** Keeps one script call short (well under 5 ms), and its arguments within what Lua can take. */
const maxOperationsPerCall = 1_000;

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
  | { readonly status: 'backlog_full' };

interface Waiting {
  readonly change: Change;
  readonly idempotencyKey: string | undefined;
  readonly settle: (submitted: Submitted) => void;
  readonly fail: (error: unknown) => void;
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
}

/** Answers in order. Throws what Redis throws: then nothing is known to be accepted. */
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
    void enqueueAll(deps, batch).finally(() => {
      underWay--;
      flush();
    });
  };

  const enter = (change: Change, idempotencyKey: string | undefined) =>
    new Promise<Submitted>((settle, fail) => {
      waiting.push({ change, idempotencyKey, settle, fail });
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(flush);
    });

  return (submissions) =>
    Promise.all(
      submissions.map(async ({ change, idempotency }) => {
        if (!idempotency) return enter(change, undefined);
        const known = await rememberFingerprint(deps, change, idempotency);
        if (known.fingerprint !== idempotency.fingerprint) return { status: 'idempotency_mismatch' } as const;
        return enter({ ...change, recordId: known.recordId }, idempotency.key);
      }),
    );
}

/** First use: remembers what the key stands for. Later uses: tells it, with the record id that was made for it. */
async function rememberFingerprint({ redis, keys, shards, hasher, idempotencyTtlMs }: SubmitDeps, change: Change, idempotency: NonNullable<Submission['idempotency']>) {
  const key = keys.fingerprint(hasher.shardOfText(idempotency.key, shards), idempotency.key);
  const mine = JSON.stringify([idempotency.fingerprint, idempotency.isRecordIdGenerated ? change.recordId : '']);
  const known = await redis.call('SET', key, mine, 'PX', idempotencyTtlMs, 'NX', 'GET');
  const [fingerprint, recordId] = JSON.parse((known as string | null) ?? mine) as [string, string];
  return { fingerprint, recordId: recordId === '' ? change.recordId : recordId };
}

async function enqueueAll(deps: SubmitDeps, batch: readonly Waiting[]): Promise<void> {
  const sections = await admit(deps, batch);
  const groups = groupForScript(
    deps.redis,
    sections,
    (section) => section.shard,
    (section) => section.items.length,
    maxOperationsPerCall,
  );
  await Promise.all(groups.map((group) => enqueueGroup(deps, group)));
}

/** Sorts operations by queue, and turns away those that a bound refuses. */
async function admit({ shards, hasher, guard }: SubmitDeps, batch: readonly Waiting[]): Promise<Section[]> {
  const sections = new Map<string, Section>();
  for (const item of batch) {
    const { change } = item;
    if (!guard.tryEnter(change.provider) && !(await guard.enterAfterRefresh(change.provider))) {
      item.settle({ status: 'backlog_full' });
      continue;
    }
    const shard = hasher.shardOf(change, shards);
    const queue = queueName(change.provider, change.tenant);
    const name = `${shard} ${queue}`;
    const section = sections.get(name);
    if (section) section.items.push(item);
    else sections.set(name, { shard, queue, items: [item] });
  }
  return [...sections.values()].flatMap(splitSection);
}

function splitSection(section: Section): Section[] {
  if (section.items.length <= maxOperationsPerCall) return [section];
  const parts: Section[] = [];
  for (let i = 0; i < section.items.length; i += maxOperationsPerCall) {
    parts.push({ ...section, items: section.items.slice(i, i + maxOperationsPerCall) });
  }
  return parts;
}

async function enqueueGroup(deps: SubmitDeps, sections: readonly Section[]): Promise<void> {
  try {
    const { scriptKeys, args } = formatCall(deps, sections);
    const reply = (await enqueueScript.run(deps.redis, scriptKeys, args)) as [string, ...(string | number)[]];
    if (reply[0] !== 'queued') throw unexpectedReply('enqueue', reply);
    tell(deps, sections, reply);
  } catch (error) {
    for (const { queue, items } of sections) {
      deps.guard.leave(queue, items.length);
      for (const item of items) item.fail(error);
    }
  }
}

function formatCall({ keys, hasher, idempotencyTtlMs }: SubmitDeps, sections: readonly Section[]) {
  const scriptKeys: string[] = [];
  const args: (string | number)[] = [sections.length, idempotencyTtlMs];
  for (const { shard, queue } of sections) scriptKeys.push(keys.ready(shard), keys.queues(shard), keys.queue(shard, queue), keys.counters(shard, queue));
  for (const { shard, queue, items } of sections) {
    args.push(queue, keys.bell(shard), items.length);
    for (const { change, idempotencyKey } of items) {
      const mark = idempotencyKey === undefined ? 0 : scriptKeys.push(keys.idempotency(shard, idempotencyKey));
      args.push(formatHeader(change), change.dataJson ?? '', hasher.digestOf(change), mark);
    }
  }
  return { scriptKeys, args };
}

function tell({ guard }: SubmitDeps, sections: readonly Section[], reply: readonly (string | number)[]): void {
  let at = 1;
  for (const { shard, queue, items } of sections) {
    guard.learn(shard, queue, { open: reply[at] as number, deadLetters: reply[at + 1] as number }, items.length);
    at += 2;
    for (const { change, settle } of items) {
      const place = { shard, queue, ...parseEntryId(reply[at++] as string) };
      settle({ status: 'queued', operationId: formatOperationId(place), recordId: change.recordId });
    }
  }
}
