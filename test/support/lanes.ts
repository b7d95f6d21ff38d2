/** Shards, queues, lanes and operations in a worker's memory, of which a test says only what it is about. */
import type { OperationKind } from '../../src/shared/domain/operation.ts';
import type { RecordState } from '../../src/shared/domain/record-state.ts';
import { type Held, Lane } from '../../src/worker/engine/lane.ts';
import { QueueState, ShardState } from '../../src/worker/engine/shard-state.ts';

export const aShard = ({ shard = 0, epoch = 1, leaseEndsAt = Number.POSITIVE_INFINITY } = {}) =>
  new ShardState(shard, { epoch, endsAt: leaseEndsAt, hasOwnerDied: false, survivedEpoch: 0 });

export function aQueue(name = 'crm', shard = aShard()): QueueState {
  const queue = new QueueState(shard, name);
  queue.isTakingOver = false;
  shard.queues.set(name, queue);
  return queue;
}

export function anOperation(rank: number, part: Partial<Held> & { kind?: OperationKind } = {}): Held {
  const { timestampMs = 1_000 + rank, kind = 'update' } = part;
  const hasData = kind !== 'delete' && kind !== 'read';
  return {
    ms: 1_000 + rank,
    rank,
    kind,
    entity: 'contact',
    recordId: 'a',
    timestampMs,
    stamp: { ms: timestampMs, rank },
    dataJson: hasData ? JSON.stringify({ [`field${rank}`]: rank }) : undefined,
    header: JSON.stringify(['u', 'a', timestampMs]),
    bytes: 100,
    attempts: 0,
    dueAtMs: 0,
    isSuspect: false,
    isMarked: false,
    isInDoubt: false,
    hasCrashed: false,
    hasTrial: false,
    faults: 0,
    lastError: undefined,
    ...part,
  };
}

export function aLane(
  operations: readonly Held[],
  { queue = aQueue(), digest = 'digest', applied }: { queue?: QueueState; digest?: string; applied?: RecordState } = {},
): Lane {
  const lane = new Lane(queue, digest, applied);
  lane.waiting = [...operations];
  queue.lanes.add(lane);
  for (const { rank, bytes } of operations) queue.held.set(rank, bytes);
  return lane;
}

export const appliedAt = (ms: number, rank = 0, part: Partial<RecordState> = {}): RecordState => ({
  stamp: { ms, rank },
  isDeleted: false,
  providerRecordId: undefined,
  fields: undefined,
  ...part,
});

/** So many lanes of a queue, of one update each. */
export const lanesOf = (count: number, queue = aQueue()): Lane[] =>
  Array.from({ length: count }, (_, i) => aLane([anOperation(i + 1)], { queue, digest: String(i + 1) }));
