/** What an idempotency key stands for: a name that no other caller shares, and a fingerprint of the operation it was used for. */
import { hash } from 'node:crypto';
import type { OperationInput } from './operation-input.ts';

/** 132 bits: enough that two operations never share a fingerprint, short enough for a key. */
const digestLength = 22;

function digest(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, digestLength);
}

/** A key belongs to the API key that sends it, and to a tenant. Lengths keep `a` + `bc` apart from `ab` + `c`. */
export function scopeIdempotencyKey(callerId: string, tenant: string, key: string): string {
  return digest(`${callerId.length}:${callerId}${tenant.length}:${tenant}${key}`);
}

/** Equal for a repetition: same fields, in whatever order, with the record id or the timestamp left out both times or given both times. */
export function fingerprintOperation({ change, hasTimestamp, isRecordIdGenerated }: OperationInput): string {
  const { kind, provider, tenant, entity, recordId, timestampMs, source, dataJson } = change;
  const data = dataJson === undefined ? null : JSON.parse(dataJson);
  const parts = [kind, provider, tenant, entity, isRecordIdGenerated ? null : recordId, hasTimestamp ? timestampMs : null, source, data];
  return digest(JSON.stringify(inOrder(parts)));
}

/**
 * The same value with the members of all objects sorted by name: an object as the list of them. A list that could be such a list of members is
 * put into an object, of which there are no others here. All that is not such a list keeps the fingerprint under which earlier versions may
 * have stored it. Depth is bounded by what `readOperation` lets in.
 */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value.map(inOrder);
    return list.every(isMember) ? { list } : list;
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = value as Record<string, unknown>;
  return Object.keys(members)
    .sort()
    .map((name) => [name, inOrder(members[name])]);
}

function isMember(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string';
}
