/**
 * Last write wins. Everything that decides between two changes is here, so that it is decided the same way everywhere.
 * A read writes nothing and takes no part.
 */
import type { OperationKind } from './operation.ts';
import { isOlder, type RecordState, type Stamp } from './record-state.ts';

export type ConflictMode = 'record' | 'field';

export interface DatedChange {
  readonly kind: OperationKind;
  readonly stamp: Stamp;
  readonly dataJson: string | undefined;
}

/** What is left of a change, given what has been applied: all of it, some of its fields, or nothing. */
export type Standing = { readonly status: 'current'; readonly dataJson: string | undefined } | { readonly status: 'stale' };

export function judge(change: DatedChange, applied: RecordState | undefined, mode: ConflictMode): Standing {
  const current: Standing = { status: 'current', dataJson: change.dataJson };
  if (change.kind === 'read' || !applied || !isOlder(change.stamp, applied.stamp)) return current;
  if (mode === 'record' || change.kind === 'delete' || change.dataJson === undefined) return { status: 'stale' };
  return keepNewerFields(change.dataJson, change.stamp, applied);
}

/** Field mode: a field loses to a later value of its own, or to a later delete of the record. */
function keepNewerFields(dataJson: string, stamp: Stamp, applied: RecordState): Standing {
  if (applied.isDeleted || !applied.fields) return { status: 'stale' };
  const kept = Object.entries(JSON.parse(dataJson) as Record<string, unknown>).filter(([name]) => {
    const known = knownStamp(applied.fields, name);
    return !known || isOlder(known, stamp);
  });
  return kept.length === 0 ? { status: 'stale' } : { status: 'current', dataJson: JSON.stringify(Object.fromEntries(kept)) };
}

/**
 * Stands in `fields` for every field not named: the stamp of a delete, or of the last write before fields had stamps, kept when the record
 * is written again.
 */
const unnamed = '\u0000unnamed';

const knownStamp = (fields: ReadonlyMap<string, Stamp> | undefined, name: string): Stamp | undefined =>
  fields?.get(name) ?? fields?.get(unnamed);

/** The record's state once the change is applied. */
export function applyChange(
  change: DatedChange,
  applied: RecordState | undefined,
  mode: ConflictMode,
  providerRecordId: string | undefined,
): RecordState {
  const stamp = applied && isOlder(change.stamp, applied.stamp) ? applied.stamp : change.stamp;
  const isDeleted = change.kind === 'delete';
  return {
    stamp,
    isDeleted,
    // A record that was deleted there and made again is another one.
    providerRecordId: providerRecordId ?? (applied?.isDeleted && !isDeleted ? undefined : applied?.providerRecordId),
    fields: mode === 'field' && !isDeleted ? stampFields(change, applied) : undefined,
  };
}

function stampFields(change: DatedChange, applied: RecordState | undefined): ReadonlyMap<string, Stamp> {
  const fields = new Map(applied?.fields);
  if (applied && !applied.fields) fields.set(unnamed, applied.stamp);
  for (const name of Object.keys(JSON.parse(change.dataJson ?? '{}'))) {
    const known = knownStamp(fields, name);
    // Of an overtaken change only the fields that `judge` kept were sent.
    if (!known || isOlder(known, change.stamp)) fields.set(name, change.stamp);
  }
  return fields;
}
