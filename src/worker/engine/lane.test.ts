import { describe, expect, test } from 'vitest';
import { aLane, anOperation, appliedAt } from '../../../test/support/lanes.ts';

const update = (rank: number, part = {}) => anOperation(rank, { kind: 'update', ...part });

describe('what is stale', () => {
  test('drops operations at the head that a newer change has overtaken, and keeps the others in order', () => {
    const lane = aLane(
      [update(1, { timestampMs: 5 }), update(2, { timestampMs: 6 }), update(3, { timestampMs: 20 }), update(4, { timestampMs: 7 })],
      {
        applied: appliedAt(10),
      },
    );
    expect(lane.dropStale('record').map(({ rank }) => rank)).toEqual([1, 2]);
    expect(lane.waiting.map(({ rank }) => rank)).toEqual([3, 4]);
    expect(lane.isHeadStale('record')).toBe(false);
  });

  test('of equal timestamps the later entry wins', () => {
    expect(aLane([update(2, { timestampMs: 10 })], { applied: appliedAt(10, 1) }).isHeadStale('record')).toBe(false);
    expect(aLane([update(2, { timestampMs: 10 })], { applied: appliedAt(10, 3) }).isHeadStale('record')).toBe(true);
  });

  test('a read is never stale, and shields nobody behind it', () => {
    const lane = aLane([anOperation(1, { kind: 'read', timestampMs: 1 }), update(2, { timestampMs: 2 })], { applied: appliedAt(10) });
    expect(lane.dropStale('record')).toEqual([]);
    expect(lane.isHeadStale('record')).toBe(false);
  });

  test('nothing is stale for a record that is not known, or in an empty lane', () => {
    expect(aLane([update(1)]).dropStale('record')).toEqual([]);
    expect(aLane([], { applied: appliedAt(10) }).isHeadStale('record')).toBe(false);
  });

  test('in field mode a change is current as long as one of its fields is', () => {
    const fields = new Map([['x', { ms: 10, rank: 1 }]]);
    const applied = appliedAt(10, 1, { fields });
    expect(aLane([update(2, { timestampMs: 5, dataJson: '{"x":1}' })], { applied }).isHeadStale('field')).toBe(true);
    expect(aLane([update(2, { timestampMs: 5, dataJson: '{"x":1,"y":2}' })], { applied }).isHeadStale('field')).toBe(false);
  });
});

describe('how many go as one call', () => {
  test('updates that wait together', () => {
    expect(aLane([update(1), update(2), update(3)]).groupLength(true, 'record')).toBe(3);
  });

  test('one where the provider is configured so', () => {
    expect(aLane([update(1), update(2)]).groupLength(false, 'record')).toBe(1);
  });

  test('one of those that were refused together, until all of them have had their turn', () => {
    const lane = aLane([update(1), update(2), update(3), update(4)]);
    lane.unfoldTo = 2;
    expect(lane.groupLength(true, 'record')).toBe(1);
    lane.waiting.splice(0, 2);
    expect(lane.groupLength(true, 'record')).toBe(2);
  });

  test('a create that may have been carried out goes as it went: alone, or with the very same company', () => {
    const tried = () => anOperation(1, { kind: 'create', attempts: 1 });
    expect(aLane([tried(), update(2)]).groupLength(true, 'record')).toBe(1);
    const sealed = aLane([tried(), update(2), update(3), update(4)]);
    sealed.sealedTo = 3;
    expect(sealed.groupLength(true, 'record')).toBe(3);
    expect(sealed.groupLength(false, 'record')).toBe(3);
  });

  test('a create that a dead worker held goes alone: it may have been called', () => {
    expect(aLane([anOperation(1, { kind: 'create', isSuspect: true }), update(2)]).groupLength(true, 'record')).toBe(1);
    expect(aLane([anOperation(1, { kind: 'create' }), update(2)]).groupLength(true, 'record')).toBe(2);
  });

  test('a sealed create that was then refused is taken apart all the same', () => {
    const lane = aLane([anOperation(1, { kind: 'create' }), update(2)]);
    lane.sealedTo = 2;
    lane.unfoldTo = 2;
    expect(lane.groupLength(true, 'record')).toBe(1);
  });

  test('a group that was refused with more of them, in doubt, is tried without the last; those behind it fold again', () => {
    const lane = aLane([update(1), update(2), update(3), update(4), update(5)]);
    lane.foldTo = 3;
    expect(lane.groupLength(true, 'record')).toBe(3);
    expect(lane.groupLength(false, 'record')).toBe(1);
    lane.waiting.splice(0, 3);
    expect(lane.groupLength(true, 'record')).toBe(2);
  });

  test('a read goes alone, and nothing passes it', () => {
    const lane = aLane([update(1), anOperation(2, { kind: 'read' }), update(3)]);
    expect(lane.groupLength(true, 'record')).toBe(1);
    lane.waiting.shift();
    expect(lane.groupLength(true, 'record')).toBe(1);
  });

  test('in field mode what is left of an overtaken change goes alone', () => {
    const applied = appliedAt(10, 9, { fields: new Map() });
    expect(aLane([update(1, { timestampMs: 5 }), update(2, { timestampMs: 6 })], { applied }).groupLength(true, 'field')).toBe(1);
    expect(aLane([update(1, { timestampMs: 10 }), update(2, { timestampMs: 11 })], { applied }).groupLength(true, 'field')).toBe(1);
    expect(aLane([update(1, { timestampMs: 11 }), update(2, { timestampMs: 12 })], { applied }).groupLength(true, 'field')).toBe(2);
  });
});
