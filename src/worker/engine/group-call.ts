/** What is to be done at the provider for the group at a lane's head. */
import { judge } from '../../shared/domain/conflict.ts';
import { kindOf, mergeData } from '../../shared/domain/fold.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { Call } from '../providers/provider.ts';
import type { Held, Lane } from './lane.ts';

/** `members` are the lane's first, in order; the last carries the others. */
export function makeCall(lane: Lane, members: readonly Held[], { conflict }: ProviderConfig): Call {
  const head = members[0] as Held;
  const carrier = members.at(-1) as Held;
  const { queue, applied } = lane;
  const operationId = queue.operationIdOf(carrier);
  const kind = kindOf(members, members.length);
  return {
    operationId,
    idempotencyKey: operationId,
    kind,
    tenant: queue.tenant,
    entity: head.entity,
    recordId: head.recordId,
    timestampMs: carrier.timestampMs,
    dataJson:
      kind === 'delete'
        ? undefined
        : members.length > 1
          ? mergeData(members.map((held) => held.dataJson))
          : standingData(head, lane, conflict),
    // What was deleted there has another id when it is made again.
    providerRecordId: applied?.isDeleted && kind !== 'delete' ? undefined : applied?.providerRecordId,
    isInDoubt: members.some((held) => held.isInDoubt),
  };
}

/** What is left of a change; a stale one is dropped before it gets here. */
function standingData(held: Held, lane: Lane, mode: ProviderConfig['conflict']): string | undefined {
  if (mode === 'record') return held.dataJson;
  const standing = judge(held, lane.applied, mode);
  return standing.status === 'current' ? standing.dataJson : held.dataJson;
}
