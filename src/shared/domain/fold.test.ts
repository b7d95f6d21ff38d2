import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Foldable, foldLength, kindOf, mergeData } from './fold.ts';
import type { OperationKind } from './operation.ts';

fc.configureGlobal({ seed: 7 });

type Data = Record<string, unknown>;
type RecordAtProvider = Data | undefined;

/** A provider with the plainest rules: what one call leaves of a record, or that it refuses. `null` clears a field. */
function carryOut(record: RecordAtProvider, kind: OperationKind, dataJson: string | undefined): RecordAtProvider | 'refused' {
  if (kind === 'read') return record;
  if (kind === 'delete') return undefined;
  if (kind === 'create' && record) return 'refused';
  if (kind === 'update' && !record) return 'refused';
  const merged = new Map(Object.entries({ ...record }));
  for (const [name, value] of Object.entries(JSON.parse(dataJson ?? '{}') as Data)) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  return Object.fromEntries(merged);
}

function oneByOne(record: RecordAtProvider, lane: readonly Foldable[]): RecordAtProvider {
  return lane.reduce<RecordAtProvider>((state, { kind, dataJson }) => {
    const left = carryOut(state, kind, dataJson);
    return left === 'refused' ? state : left;
  }, record);
}

/** As the engine does it: a refused fold goes one by one. */
function folded(record: RecordAtProvider, lane: readonly Foldable[]): RecordAtProvider {
  let state = record;
  for (let rest = lane; rest.length > 0; ) {
    const length = foldLength(rest, true);
    const group = rest.slice(0, length);
    const kind = kindOf(group, length);
    const left = carryOut(state, kind, kind === 'delete' ? undefined : mergeData(group.map(({ dataJson }) => dataJson)));
    state = left === 'refused' ? oneByOne(state, group) : left;
    rest = rest.slice(length);
  }
  return state;
}

const fieldName = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '1');
const data = fc
  .array(fc.tuple(fieldName, fc.oneof(fc.constant(null), fc.jsonValue({ maxDepth: 1 }))), { maxLength: 4 })
  .map((pairs) => JSON.stringify(Object.fromEntries(pairs)));
const operation = fc
  .record({ kind: fc.constantFrom<OperationKind>('create', 'update', 'upsert', 'delete', 'read'), ms: fc.nat(3), data })
  .map(({ kind, ms, data }) => ({ kind, ms, dataJson: kind === 'delete' || kind === 'read' ? undefined : data }));
const lane = fc
  .array(operation, { minLength: 1, maxLength: 8 })
  .map((operations) => operations.map(({ kind, ms, dataJson }, i): Foldable => ({ kind, dataJson, stamp: { ms, rank: i + 1 } })));
const recordAtProvider = fc.option(
  data.map((json) => carryOut({}, 'upsert', json) as Data),
  { nil: undefined },
);

test('folding leaves the record as the operations one by one would have left it', () => {
  fc.assert(
    fc.property(recordAtProvider, lane, (record, lane) => {
      expect(JSON.stringify(sorted(folded(record, lane)))).toBe(JSON.stringify(sorted(oneByOne(record, lane))));
    }),
    { numRuns: 1_000 },
  );
});

const sorted = (record: RecordAtProvider) => record && Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

test('a group is a prefix whose dates never go back, with no read in it but alone', () => {
  fc.assert(
    fc.property(lane, (lane) => {
      const length = foldLength(lane, true);
      const group = lane.slice(0, length);
      expect(length).toBeGreaterThanOrEqual(1);
      expect(length).toBeLessThanOrEqual(lane.length);
      expect(group.every(({ stamp }, i) => i === 0 || stamp.ms >= (group[i - 1] as Foldable).stamp.ms)).toBe(true);
      expect(length === 1 || group.every(({ kind }) => kind !== 'read')).toBe(true);
    }),
  );
});

const laneOf = (...kinds: OperationKind[]): Foldable[] => kinds.map((kind, i) => ({ kind, dataJson: '{}', stamp: { ms: 1, rank: i + 1 } }));

test.each<[OperationKind[], number, OperationKind]>([
  [['create', 'update', 'upsert', 'update'], 4, 'create'],
  [['create', 'update', 'delete', 'create'], 3, 'delete'],
  [['update', 'update', 'upsert'], 2, 'update'],
  [['upsert', 'update', 'create'], 2, 'upsert'],
  [['delete', 'delete', 'create'], 2, 'delete'],
  [['delete', 'update'], 1, 'delete'],
  [['read', 'read'], 1, 'read'],
  [['update', 'read', 'update'], 1, 'update'],
])('%j folds %i as one %s', (kinds, length, kind) => {
  const lane = laneOf(...kinds);
  expect(foldLength(lane, true)).toBe(length);
  expect(kindOf(lane, length)).toBe(kind);
  expect(foldLength(lane, false)).toBe(1);
});

test('a group’s data stay below a million characters together; one operation alone goes whatever its size', () => {
  const [small, large] = [`{"a":"${'x'.repeat(400_000)}"}`, `{"a":"${'x'.repeat(1_100_000)}"}`];
  const lane = (...data: string[]): Foldable[] => data.map((dataJson, i) => ({ kind: 'update', dataJson, stamp: { ms: 1, rank: i + 1 } }));
  expect(foldLength(lane(small, small, small), true)).toBe(2);
  expect(foldLength(lane(large, small), true)).toBe(1);
});

test('data of one operation is passed on verbatim', () => {
  expect(mergeData(['{"n": 12345678901234567890}'])).toBe('{"n": 12345678901234567890}');
  expect(mergeData([undefined])).toBeUndefined();
});
