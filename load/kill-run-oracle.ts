/**
 * The changes of the kill run, and what must become of them. The oracle is told the order in which they were accepted, and nothing of
 * workers: the last write by timestamp wins, equal ones by that order; a change dated before one that was applied is stale.
 */
import type { Held } from './programs/recording-provider.ts';

export interface Change {
  readonly operation: 'update' | 'upsert' | 'delete';
  readonly recordId: string;
  readonly timestampMs: number;
  readonly data: Readonly<Record<string, number>> | undefined;
}

export interface MixOptions {
  readonly operations: number;
  readonly records: number;
  readonly startMs: number;
  /** 0 to 1. */
  readonly random: () => number;
}

/** A change in so many is dated back by up to `maxDisorder` changes: on its record, a few newer ones are ahead of it. */
const disorderShare = 0.1;
const deleteShare = 0.1;
const updateShare = 0.45;
const fieldNames = ['name', 'email', 'phone', 'city'];

/** Dated one millisecond apart, but for those out of order. */
export function mixChanges({ operations, records, startMs, random }: MixOptions): Change[] {
  const maxDisorder = records * 4;
  return Array.from({ length: operations }, (_, number) => {
    const recordId = `r${Math.floor(random() * records)}`;
    const back = random() < disorderShare ? Math.floor(random() * maxDisorder) : 0;
    const timestampMs = startMs + number - back;
    const choice = random();
    if (choice < deleteShare) return { operation: 'delete', recordId, timestampMs, data: undefined };
    const field = fieldNames[Math.floor(random() * fieldNames.length)] as string;
    const operation = choice < deleteShare + updateShare ? 'update' : 'upsert';
    return { operation, recordId, timestampMs, data: { [field]: number } };
  });
}

export interface Expected {
  /** By the changes' order. */
  readonly isStale: readonly boolean[];
  readonly records: ReadonlyMap<string, Held>;
}

/** `changes` in their order of acceptance. */
export function foretell(changes: readonly Change[]): Expected {
  const records = new Map<string, Held>();
  const isStale = changes.map(({ operation, recordId, timestampMs, data }) => {
    const held = records.get(recordId);
    if (held && timestampMs < held.timestampMs) return true;
    records.set(recordId, { timestampMs, fields: operation === 'delete' ? undefined : { ...held?.fields, ...data } });
    return false;
  });
  return { isStale, records };
}

export function isSame(a: Held | undefined, b: Held | undefined): boolean {
  if (!a || !b || a.timestampMs !== b.timestampMs) return false;
  return canonical(a.fields) === canonical(b.fields);
}

const canonical = (fields: Held['fields']) => JSON.stringify(fields && Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Small and seeded: a run that fails can be repeated with its changes. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
