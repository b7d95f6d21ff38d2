import fc from 'fast-check';
import { expect, it } from 'vitest';
import { anOperation } from '../../../test/support/lanes.ts';
import { HeldEntries } from './held-entries.ts';
import type { Held } from './lane.ts';

it('holds what a Map by rank would, whatever comes and goes', () => {
  const step = fc.record({ kind: fc.constantFrom('add', 'remove', 'takeAll'), rank: fc.integer({ min: 0, max: 20 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const entries = new HeldEntries();
      const all = Array.from({ length: 21 }, (_, rank) => anOperation(rank));
      const model = new Map<number, Held>();
      for (const { kind, rank } of steps) {
        const held = all[rank] as Held;
        if (kind === 'add' && !model.has(rank)) {
          entries.add(held);
          model.set(rank, held);
        }
        if (kind === 'remove') expect(entries.remove(held)).toBe(model.delete(rank));
        if (kind === 'takeAll' && rank === 0) {
          expect(new Set(entries.takeAll())).toEqual(new Set(model.values()));
          model.clear();
        }
        expect(entries.hasRank(rank)).toBe(model.has(rank));
        expect(entries.size).toBe(model.size);
      }
      const hasLeft = all.filter(({ rank }) => !model.has(rank));
      expect(hasLeft.filter(({ previousHeld, nextHeld }) => previousHeld || nextHeld)).toEqual([]);
    }),
  );
});
