import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyChange, type ConflictMode, type DatedChange, judge } from './conflict.ts';
import type { OperationKind } from './operation.ts';
import { isOlder, packRecordState, parseRecordState, type RecordState } from './record-state.ts';

fc.configureGlobal({ seed: 7 });

const change = (kind: OperationKind, ms: number, data?: object, rank = ms): DatedChange => ({
  kind,
  stamp: { ms, rank },
  dataJson: data && JSON.stringify(data),
});

/** Applies in the order given what is not stale; what was sent, and the state that is left. */
function play(mode: ConflictMode, changes: readonly DatedChange[]): { sent: DatedChange[]; state: RecordState | undefined } {
  let state: RecordState | undefined;
  const sent: DatedChange[] = [];
  for (const each of changes) {
    const standing = judge(each, state, mode);
    if (standing.status === 'stale') continue;
    sent.push({ ...each, dataJson: standing.dataJson });
    // Through Redis and back, as it would be in another worker.
    state = parseRecordState(packRecordState(applyChange(each, state, mode, undefined)));
  }
  return { sent, state };
}

/** What a provider holds that merges fields. */
function heldAfter(sent: readonly DatedChange[]): object {
  return Object.assign({}, ...sent.map(({ dataJson }) => JSON.parse(dataJson ?? '{}') as object));
}

const changes = fc
  .array(
    fc.record({
      kind: fc.constantFrom<OperationKind>('upsert', 'upsert', 'upsert', 'delete'),
      ms: fc.nat(6),
      data: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(9), { maxKeys: 3 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((list) => list.map(({ kind, ms, data }, i) => change(kind, ms, kind === 'delete' ? undefined : data, i + 1)));

const byStamp = (a: DatedChange, b: DatedChange) => (isOlder(a.stamp, b.stamp) ? -1 : 1);

test('by record, the newest change is the last that is sent, in whatever order they come', () => {
  fc.assert(
    fc.property(changes, (changes) => {
      const { sent, state } = play('record', changes);
      const newest = [...changes].sort(byStamp).at(-1) as DatedChange;
      expect(sent.at(-1)).toEqual(newest);
      expect(state?.stamp).toEqual(newest.stamp);
      expect(state?.isDeleted).toBe(newest.kind === 'delete');
    }),
  );
});

test('by field, what writes leave of a record does not depend on the order in which they come', () => {
  fc.assert(
    fc.property(changes, (changes) => {
      const writes = changes.filter(({ kind }) => kind !== 'delete');
      expect(heldAfter(play('field', writes).sent)).toEqual(heldAfter([...writes].sort(byStamp)));
    }),
    { numRuns: 1_000 },
  );
});

test('in both modes nothing older than a delete is sent after it', () => {
  fc.assert(
    fc.property(fc.constantFrom<ConflictMode>('record', 'field'), changes, (mode, changes) => {
      const { sent } = play(mode, changes);
      sent.forEach((each, i) => {
        const deletes = sent.slice(0, i).filter(({ kind }) => kind === 'delete');
        expect(deletes.every((earlier) => isOlder(earlier.stamp, each.stamp))).toBe(true);
      });
    }),
    { numRuns: 1_000 },
  );
});

test('by field, an overtaken change keeps the fields that nothing newer wrote, and its older ones stay behind', () => {
  const { state, sent } = play('field', [change('upsert', 10, { a: 1 }), change('upsert', 5, { a: 0, b: 0 })]);
  expect(sent[1]?.dataJson).toBe('{"b":0}');
  expect(judge(change('upsert', 7, { a: 7 }), state, 'field')).toEqual({ status: 'stale' });
  expect(judge(change('upsert', 7, { b: 7 }), state, 'field')).toEqual({ status: 'current', dataJson: '{"b":7}' });
});

test('a provider turned to field mode does not take older changes for fields it never saw', () => {
  const wholeRecord = applyChange(change('upsert', 10, { a: 1, b: 1 }), undefined, 'record', undefined);
  const state = applyChange(change('upsert', 20, { a: 2 }), wholeRecord, 'field', undefined);
  expect(judge(change('upsert', 5, { b: 0 }), state, 'field')).toEqual({ status: 'stale' });
  expect(judge(change('upsert', 15, { b: 3 }), state, 'field')).toEqual({ status: 'current', dataJson: '{"b":3}' });
});

test('a delete keeps older writes away in both modes, and a newer write revives the record', () => {
  for (const mode of ['record', 'field'] as const) {
    const { state } = play(mode, [change('upsert', 1, { a: 1 }), change('delete', 10)]);
    expect(state).toMatchObject({ isDeleted: true, stamp: { ms: 10 } });
    expect(judge(change('upsert', 9, { z: 1 }), state, mode)).toEqual({ status: 'stale' });
    const revived = applyChange(change('upsert', 11, { a: 2 }), state, mode, undefined);
    expect(revived.isDeleted).toBe(false);
    expect(judge(change('upsert', 9, { z: 1 }), revived, mode)).toEqual({ status: 'stale' });
  }
});

test('equal timestamps: the later entry wins', () => {
  const { state } = play('record', [change('upsert', 5, { a: 1 }, 2)]);
  expect(judge(change('upsert', 5, { a: 0 }, 1), state, 'record').status).toBe('stale');
  expect(judge(change('upsert', 5, { a: 2 }, 3), state, 'record').status).toBe('current');
});

test('the same change again is current: its first call may not have arrived', () => {
  const again = change('upsert', 5, { a: 1 });
  expect(judge(again, play('record', [again]).state, 'record').status).toBe('current');
});

test('a read is never stale', () => {
  expect(judge(change('read', 1), play('record', [change('delete', 9)]).state, 'record').status).toBe('current');
});

test('the provider’s own id is kept until another one is told', () => {
  const first = applyChange(change('create', 1, {}), undefined, 'record', 'p1');
  expect(applyChange(change('update', 2, {}), first, 'record', undefined).providerRecordId).toBe('p1');
  expect(applyChange(change('upsert', 3, {}), first, 'record', 'p2').providerRecordId).toBe('p2');
});

test('a record that was deleted and is made again does not keep its former id at the provider', () => {
  const made = applyChange(change('create', 1, { a: 1 }), undefined, 'record', 'p1');
  const changed = applyChange(change('update', 2, { a: 2 }), made, 'record', undefined);
  const removed = applyChange(change('delete', 3), changed, 'record', undefined);
  expect([changed.providerRecordId, removed.providerRecordId]).toEqual(['p1', 'p1']);
  expect(applyChange(change('upsert', 4, { a: 3 }), removed, 'record', undefined).providerRecordId).toBeUndefined();
  expect(applyChange(change('create', 4, { a: 3 }), removed, 'record', 'p2').providerRecordId).toBe('p2');
});
