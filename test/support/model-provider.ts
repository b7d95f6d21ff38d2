/**
 * A provider as a model: keeps records, refuses what a real one would refuse, loses answers when told to, remembers idempotency keys; and an
 * oracle that applies the same operations one by one. What both hold in the end must be equal.
 */
import type { OperationKind } from '../../src/shared/domain/operation.ts';
import type { Call, CallOutcome } from '../../src/worker/providers/provider.ts';

export type Data = Readonly<Record<string, unknown>>;

/** What happens to a call: it may fail before or after it was carried out. */
export type Luck = 'fine' | 'transient' | 'answer_lost';

export interface ModelProvider {
  readonly records: ReadonlyMap<string, Data>;
  /** What went wrong, in words; empty when all is well. */
  readonly violations: readonly string[];
  readonly calls: number;
  answer(calls: readonly Call[], luck: () => Luck): Promise<readonly CallOutcome[]>;
}

/** A change holding this field with the value true is refused by everybody, always. */
export const poison = 'bad';

export function createModelProvider(): ModelProvider & { calls: number; violations: string[] } {
  const records = new Map<string, Data>();
  const underWay = new Set<string>();
  const newest = new Map<string, number>();
  const answered = new Map<string, CallOutcome>();
  const violations: string[] = [];
  const perform = (call: Call): CallOutcome => {
    const known = answered.get(call.idempotencyKey);
    if (known) return known;
    const refusal = carryOut(
      records,
      call.recordId,
      call.kind,
      call.dataJson === undefined ? undefined : (JSON.parse(call.dataJson) as Data),
    );
    if (!refusal && call.kind !== 'read') {
      if (call.timestampMs < (newest.get(call.recordId) ?? 0))
        violations.push(`${call.recordId}: ${call.timestampMs} after ${newest.get(call.recordId)}`);
      newest.set(call.recordId, call.timestampMs);
    }
    const outcome: CallOutcome = refusal
      ? { status: 'failed', error: { kind: refusal, code: refusal, message: refusal } }
      : { status: 'accepted' };
    if (!refusal) answered.set(call.idempotencyKey, outcome);
    return outcome;
  };
  const model = {
    records,
    violations,
    calls: 0,
    async answer(calls: readonly Call[], luck: () => Luck) {
      model.calls += calls.length;
      for (const { recordId } of calls) {
        if (underWay.has(recordId)) violations.push(`${recordId}: two calls at once`);
        underWay.add(recordId);
      }
      const chance = luck();
      const outcomes = calls.map((call) => (chance === 'transient' ? failure('transient') : perform(call)));
      await new Promise((resolve) => setImmediate(resolve));
      for (const { recordId } of calls) underWay.delete(recordId);
      return chance === 'answer_lost' ? outcomes.map(() => failure('ambiguous')) : outcomes;
    },
  };
  return model;
}

const failure = (kind: 'transient' | 'ambiguous'): CallOutcome => ({ status: 'failed', error: { kind, code: kind, message: kind } });

type Refusal = 'invalid' | 'conflict' | 'gone';

/** Does one operation to the records, or says why not. */
export function carryOut(records: Map<string, Data>, recordId: string, kind: OperationKind, data: Data | undefined): Refusal | undefined {
  const known = records.get(recordId);
  if (data?.[poison] === true) return 'invalid';
  if (kind === 'create' && known) return 'conflict';
  if ((kind === 'update' || kind === 'read') && !known) return 'gone';
  if (kind === 'delete') records.delete(recordId);
  else if (kind !== 'read') records.set(recordId, { ...known, ...data });
  return undefined;
}

export interface ModelOperation {
  readonly kind: OperationKind;
  readonly recordId: string;
  readonly timestampMs: number;
  readonly data: Data | undefined;
}

/** One by one, in the order of acceptance, last write wins by timestamp: which operations are stale, and what the records hold. */
export function applyOneByOne(operations: readonly ModelOperation[]): { records: Map<string, Data>; stale: Set<number> } {
  const records = new Map<string, Data>();
  const applied = new Map<string, number>();
  const stale = new Set<number>();
  operations.forEach(({ kind, recordId, timestampMs, data }, index) => {
    if (kind !== 'read' && timestampMs < (applied.get(recordId) ?? Number.NEGATIVE_INFINITY)) {
      stale.add(index);
      return;
    }
    const refusal = carryOut(records, recordId, kind, data);
    if (!refusal && kind !== 'read') applied.set(recordId, timestampMs);
  });
  return { records, stale };
}
