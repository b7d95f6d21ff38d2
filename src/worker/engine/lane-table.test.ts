import fc from 'fast-check';
import { expect, it } from 'vitest';
import { aQueue } from '../../../test/support/lanes.ts';
import { Lane } from './lane.ts';
import { LaneTable } from './lane-table.ts';

const queue = aQueue();

it('holds what a Map would, whatever comes and goes', () => {
  const step = fc.record({ kind: fc.constantFrom('add', 'delete', 'clear'), digest: fc.integer({ min: 0, max: 60 }).map(String) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new LaneTable();
      const model = new Map<string, Lane>();
      for (const { kind, digest } of steps) {
        const lane = model.get(digest) ?? new Lane(queue, digest, undefined);
        if (kind === 'add' && !model.has(digest)) {
          table.add(lane);
          model.set(digest, lane);
        }
        if (kind === 'delete') {
          table.delete(lane);
          model.delete(digest);
        }
        if (kind === 'clear' && digest === '0') {
          table.clear();
          model.clear();
        }
        expect(table.get(digest)).toBe(model.get(digest));
        expect(table.size).toBe(model.size);
      }
      expect(new Set(table.values())).toEqual(new Set(model.values()));
    }),
  );
});

it('lets go of what has left: it refers to no other lane', () => {
  const table = new LaneTable();
  const lanes = Array.from({ length: 20 }, (_, i) => new Lane(queue, `same${i}`, undefined));
  for (const lane of lanes) table.add(lane);
  for (const lane of lanes.slice(0, 10)) table.delete(lane);
  table.clear();
  expect(lanes.filter(({ nextInBucket }) => nextInBucket)).toEqual([]);
});
