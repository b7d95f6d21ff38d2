/** The words of the queue: what an operation is, what may become of it, and the id that names its place. */

export const operationKinds = ['create', 'update', 'upsert', 'delete', 'read'] as const;
export type OperationKind = (typeof operationKinds)[number];

/** Of a provider's name. */
export const providerNameShape = /^[a-z0-9_-]{1,64}$/;

export const defaultEntity = 'contact';
export const defaultTenant = 'default';
export const defaultSource = 'api';

/** One change to one record at one provider, as its submitter gave it. */
export interface Change {
  readonly kind: OperationKind;
  readonly provider: string;
  readonly tenant: string;
  readonly entity: string;
  readonly recordId: string;
  /** When the change was made at its source, epoch milliseconds: decides conflicts. */
  readonly timestampMs: number;
  readonly source: string;
  /** Field values as a JSON object's text, kept verbatim; undefined for delete and read. */
  readonly dataJson: string | undefined;
}

/** A change that Redis holds: its place orders it among the operations of its queue. */
export interface Operation extends Change {
  readonly place: Place;
}

/**
 * Where an entry lives. Entry ids are `<ms>-<rank>`: the rank counts a queue's entries from 1, so that the distance of two
 * entries, and the bucket of a result, follow from the id alone.
 */
export interface Place {
  readonly shard: number;
  readonly queue: string;
  /** Redis's clock at acceptance, epoch milliseconds. */
  readonly ms: number;
  readonly rank: number;
}

export const finalStatuses = ['succeeded', 'coalesced', 'stale', 'dead_lettered', 'cancelled'] as const;
export type FinalStatus = (typeof finalStatuses)[number];
/** Told of an operation that became final. */
export type CountFinal = (provider: string, kind: OperationKind, status: FinalStatus) => void;
export type OperationStatus = 'queued' | 'processing' | 'retrying' | FinalStatus;

/** A queue holds one tenant's operations for one provider in one shard. */
export function queueName(provider: string, tenant: string): string {
  return tenant === defaultTenant ? provider : `${provider}:${tenant}`;
}

export function parseQueueName(queue: string): { provider: string; tenant: string } {
  const colon = queue.indexOf(':');
  if (colon < 0) return { provider: queue, tenant: defaultTenant };
  return { provider: queue.slice(0, colon), tenant: queue.slice(colon + 1) };
}

export function formatEntryId(place: { ms: number; rank: number }): string {
  return `${place.ms}-${place.rank}`;
}

export function parseEntryId(entryId: string): { ms: number; rank: number } {
  const dash = entryId.indexOf('-');
  return { ms: Number(entryId.slice(0, dash)), rank: Number(entryId.slice(dash + 1)) };
}

const plainTenant = /^[A-Za-z0-9_-]{1,64}$/;

/** `<shard>.<ms, base 36>.<rank, base 36>.<provider>[.<tenant>]`; safe in a URL and in a header. */
export function formatOperationId(place: Place): string {
  return formatIdIn(place.shard, idSuffix(place.queue), place);
}

/** The same for many entries of one queue, whose part of the id `idSuffix` gives. */
export function formatIdIn(shard: number, suffix: string, { ms, rank }: Pick<Place, 'ms' | 'rank'>): string {
  return `${shard}.${ms.toString(36)}.${rank.toString(36)}.${suffix}`;
}

export function idSuffix(queue: string): string {
  const { provider, tenant } = parseQueueName(queue);
  if (tenant === defaultTenant) return provider;
  return plainTenant.test(tenant) ? `${provider}.${tenant}` : `${provider}.~${Buffer.from(tenant).toString('base64url')}`;
}

const operationIdShape =
  /^(0|[1-9][0-9]{0,3})\.([0-9a-z]{1,9})\.([0-9a-z]{1,11})\.([a-z0-9_-]{1,64})(?:\.([A-Za-z0-9_-]{1,64}|~[A-Za-z0-9_-]{1,400}))?$/;

/** Undefined when the text is no operation's id. */
export function parseOperationId(id: string): Place | undefined {
  const parts = operationIdShape.exec(id);
  if (!parts) return undefined;
  const tenantPart = parts[5];
  const tenant =
    tenantPart === undefined
      ? defaultTenant
      : tenantPart.startsWith('~')
        ? Buffer.from(tenantPart.slice(1), 'base64url').toString('utf8')
        : tenantPart;
  const ms = Number.parseInt(parts[2] as string, 36);
  const rank = Number.parseInt(parts[3] as string, 36);
  if (!Number.isSafeInteger(ms) || !Number.isSafeInteger(rank)) return undefined;
  return { shard: Number(parts[1]), queue: queueName(parts[4] as string, tenant), ms, rank };
}
