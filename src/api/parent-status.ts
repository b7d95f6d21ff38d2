/**
 * The status of an operation that routes sent to several providers, from those of its children. While a child is open, the whole has the
 * status of the open one that is least far: `queued`, then `retrying`, then `processing`. When all are final: `dead_lettered` where one
 * is, else `cancelled` where one is, else `succeeded` (`coalesced` and `stale` are fine: the record is as the newest change wants it).
 *
 * Results are kept for a time after each child's own end. A child that is forgotten while others are not is `expired`: it was final, and
 * the whole is judged by the rest.
 */
import { finalStatuses, type OperationStatus } from '../shared/domain/operation.ts';

export type ChildStatus = OperationStatus | 'expired';

const byProgress = ['queued', 'retrying', 'processing'] as const;

/** Of at least one status that is not `expired`. */
export function sumUp(statuses: readonly ChildStatus[]): OperationStatus {
  const leastFar = byProgress.find((status) => statuses.includes(status));
  if (leastFar !== undefined) return leastFar;
  if (statuses.includes('dead_lettered')) return 'dead_lettered';
  return statuses.includes('cancelled') ? 'cancelled' : 'succeeded';
}

const final: ReadonlySet<ChildStatus> = new Set([...finalStatuses, 'expired']);
export const isFinalStatus = (status: ChildStatus): boolean => final.has(status);

/** What the children have in common, and their times, as RFC 3339 texts: those sort as the times do. */
export interface ChildView {
  readonly status: OperationStatus;
  readonly operation: string;
  readonly tenant: string;
  readonly entity: string;
  readonly record_id: string;
  readonly attempts: number;
  readonly accepted_at?: string | undefined;
  readonly completed_at?: string | undefined;
  readonly next_attempt_at?: string | undefined;
}

export interface ExpiredChild {
  readonly operation_id: string;
  readonly provider: string;
  readonly status: 'expired';
}

/** The children in the order of the parent's id; at least one that is not expired. */
export function describeParent<C extends ChildView>(operationId: string, provider: string, children: readonly (C | ExpiredChild)[]) {
  const known = children.filter((child): child is C => child.status !== 'expired');
  const [{ operation, tenant, entity, record_id }] = known as [C, ...C[]];
  const status = sumUp(children.map((child) => child.status));
  return {
    operation_id: operationId,
    status,
    operation,
    provider,
    tenant,
    entity,
    record_id,
    attempts: known.reduce((sum, { attempts }) => sum + attempts, 0),
    accepted_at: earliest(known.map(({ accepted_at }) => accepted_at)),
    completed_at: isFinalStatus(status) ? latest(known.map(({ completed_at }) => completed_at)) : undefined,
    next_attempt_at: status === 'retrying' ? earliest(known.map(({ next_attempt_at }) => next_attempt_at)) : undefined,
    operations: children,
  };
}

const sorted = (times: readonly (string | undefined)[]) => times.filter((time) => time !== undefined).sort();
const earliest = (times: readonly (string | undefined)[]) => sorted(times)[0];
const latest = (times: readonly (string | undefined)[]) => sorted(times).at(-1);
