/** What a receiver's calls meant for each record, whether they came alone or in a batch; and what must hold of them. */
import type { ReceivedCall } from './receiver.ts';

export interface Delivery {
  /** `<entity>/<record id>`. */
  readonly record: string;
  readonly operationId: string;
  readonly kind: string;
  /** Epoch milliseconds of the change. */
  readonly timestampMs: number;
  readonly data: unknown;
  readonly arrivedAtMs: number;
  readonly endedAtMs: number;
}

const kindOfMethod: Readonly<Record<string, string>> = { POST: 'create', PATCH: 'update', PUT: 'upsert', DELETE: 'delete', GET: 'read' };

interface BatchItem {
  operation_id: string;
  operation: string;
  entity: string;
  record_id: string;
  data?: unknown;
  timestamp: string;
}

/** Every operation in the calls, in order of arrival. `basePath` is the path of the provider's `base_url`. */
export function deliveriesOf(calls: readonly ReceivedCall[], basePath = ''): Delivery[] {
  return calls.flatMap((call) => {
    const times = { arrivedAtMs: call.arrivedAtMs, endedAtMs: call.endedAtMs ?? Number.POSITIVE_INFINITY };
    const batch = (call.json as { operations?: BatchItem[] } | undefined)?.operations;
    if (Array.isArray(batch)) return batch.map((item) => fromBatch(item, times));
    return [fromCall(call, basePath, times)];
  });
}

type Times = Pick<Delivery, 'arrivedAtMs' | 'endedAtMs'>;

function fromBatch(item: BatchItem, times: Times): Delivery {
  return {
    record: `${item.entity}/${item.record_id}`,
    operationId: item.operation_id,
    kind: item.operation,
    timestampMs: Date.parse(item.timestamp),
    data: item.data,
    ...times,
  };
}

function fromCall(call: ReceivedCall, basePath: string, times: Times): Delivery {
  const [entity = '', inPath] = call.path
    .slice(basePath.length + 1)
    .split('/')
    .map(decodeURIComponent);
  const recordId = inPath ?? String((call.json as { id?: unknown } | undefined)?.id);
  return {
    record: `${entity}/${recordId}`,
    operationId: call.headers['idempotency-key'] ?? '',
    kind: kindOfMethod[call.method] ?? call.method,
    timestampMs: Date.parse(call.headers['x-record-timestamp'] ?? ''),
    data: call.json,
    ...times,
  };
}

/** Records that were ever in two calls at once, each named once. Empty when the promise is kept. */
export function overlappingRecords(deliveries: readonly Delivery[]): string[] {
  return recordsWhere(deliveries, (earlier, later) => later.arrivedAtMs < earlier.endedAtMs);
}

/** Records that got an older change after a newer one. Reads change nothing and are left out. */
export function reorderedRecords(deliveries: readonly Delivery[]): string[] {
  const writes = deliveries.filter((delivery) => delivery.kind !== 'read');
  return recordsWhere(writes, (earlier, later) => later.timestampMs < earlier.timestampMs);
}

function recordsWhere(deliveries: readonly Delivery[], isBroken: (earlier: Delivery, later: Delivery) => boolean): string[] {
  const last = new Map<string, Delivery>();
  const broken = new Set<string>();
  for (const delivery of deliveries) {
    const before = last.get(delivery.record);
    if (before && isBroken(before, delivery)) broken.add(delivery.record);
    last.set(delivery.record, delivery);
  }
  return [...broken];
}

/** The data last written to each record; undefined after a delete. For providers that accepted everything. */
export function lastWrites(deliveries: readonly Delivery[]): Map<string, unknown> {
  const writes = deliveries.filter((delivery) => delivery.kind !== 'read');
  return new Map(writes.map((delivery) => [delivery.record, delivery.kind === 'delete' ? undefined : delivery.data]));
}
