/** Operations for tests of the whole service, and what must hold of them once the dust has settled. */
import { expect } from 'vitest';
import { parseOperationId } from '../../src/shared/domain/operation.ts';
import { type Delivery, lastWrites, overlappingRecords, reorderedRecords } from './deliveries.ts';

export interface OperationBody {
  readonly operation: 'create' | 'update' | 'upsert' | 'delete' | 'read';
  readonly provider: string;
  readonly record_id: string;
  /** Epoch milliseconds. */
  readonly timestamp: number;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly tenant?: string;
  readonly idempotency_key?: string;
}

export interface Accepted {
  readonly operation: OperationBody;
  readonly operationId: string;
}

export interface Mix {
  readonly provider: string;
  readonly count: number;
  readonly records: number;
  /** Position of the first operation: data carries positions, and timestamps follow them. */
  readonly from?: number;
  /** One in so many is a delete; 0 for none. */
  readonly deleteEvery?: number;
  /** Timestamps stray from the order of submission by up to so many positions. */
  readonly disorder?: number;
}

const spacingMs = 10;
const firstTimestampMs = Date.now() - 3_600_000;

/** A reproducible mix of upserts and deletes over some records; each datum says which operation wrote it. */
export function mixOf({ provider, count, records, from = 0, deleteEvery = 0, disorder = 0 }: Mix): OperationBody[] {
  return Array.from({ length: count }, (_, i) => {
    const position = from + i;
    const stray = disorder === 0 ? 0 : Math.round((noise(position * 2) - 0.5) * 2 * disorder);
    const place = {
      provider,
      record_id: `r${Math.floor(noise(position * 2 + 1) * records)}`,
      timestamp: firstTimestampMs + (position + stray) * spacingMs,
    };
    if (deleteEvery > 0 && noise(position * 3 + 7) < 1 / deleteEvery) return { operation: 'delete', ...place };
    return { operation: 'upsert', ...place, data: { written_by: position } };
  });
}

/** A number from 0 to 1 that follows from the seed alone (the finalizer of MurmurHash3). */
export function noise(seed: number): number {
  let hash = (seed + 1) * 0x9e3779b9;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Calls beyond the first of each operation. */
export function repeatedCalls(deliveries: readonly Delivery[]): number {
  return deliveries.length - new Set(deliveries.map(({ operationId }) => operationId)).size;
}

export interface Outcome {
  readonly accepted: readonly Accepted[];
  readonly statuses: ReadonlyMap<string, { readonly status: string }>;
  readonly deliveries: readonly Delivery[];
  /** So many calls may have been repeated: what was in flight when something broke. */
  readonly maxRepeated: number;
}

const endings = new Set(['succeeded', 'coalesced', 'stale']);

/** For a provider that accepts everything: nothing lost, nothing reordered, nothing at once, the newest change everywhere. */
export function expectKept({ accepted, statuses, deliveries, maxRepeated }: Outcome): void {
  const open = accepted.filter(({ operationId }) => !endings.has(statuses.get(operationId)?.status ?? 'missing'));
  expect(open.map(({ operationId }) => [operationId, statuses.get(operationId)])).toEqual([]);
  expect(overlappingRecords(deliveries)).toEqual([]);
  expect(reorderedRecords(deliveries)).toEqual([]);
  expect(repeatedCalls(deliveries)).toBeLessThanOrEqual(maxRepeated);
  const held = lastWrites(deliveries);
  const wrong = [...newestChanges(accepted)].filter(([record, newest]) => !isWrittenBy(held, record, newest.operation));
  expect(wrong.map(([record, newest]) => ({ record, held: held.get(record), newest }))).toEqual([]);
}

/** Of each record the change that must win: the latest timestamp, and of equal ones the last that was accepted. */
export function newestChanges(accepted: readonly Accepted[]): Map<string, Accepted> {
  const newest = new Map<string, Accepted>();
  for (const each of accepted) {
    const record = `contact/${each.operation.record_id}`;
    const before = newest.get(record);
    if (!before || isNewer(each, before)) newest.set(record, each);
  }
  return newest;
}

function isNewer(a: Accepted, b: Accepted): boolean {
  const difference = a.operation.timestamp - b.operation.timestamp;
  return difference > 0 || (difference === 0 && rankOf(a) > rankOf(b));
}

function rankOf({ operationId }: Accepted): number {
  return parseOperationId(operationId)?.rank ?? Number.NaN;
}

function isWrittenBy(held: ReadonlyMap<string, unknown>, record: string, { operation, data }: OperationBody): boolean {
  if (!held.has(record)) return false;
  const value = held.get(record) as Record<string, unknown> | undefined;
  return operation === 'delete' ? value === undefined : value?.['written_by'] === data?.['written_by'];
}

/** One upsert for each of so many records: nothing to fold, nothing to order. */
export function upsertsOf({
  provider,
  count,
  prefix = 'r',
  tenant,
}: {
  provider: string;
  count: number;
  prefix?: string;
  tenant?: string;
}) {
  return Array.from({ length: count }, (_, i): OperationBody => {
    const operation = { operation: 'upsert', provider, record_id: `${prefix}${i}`, timestamp: firstTimestampMs, data: { i } } as const;
    return tenant === undefined ? operation : { ...operation, tenant };
  });
}
