import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fifo } from './fifo.ts';

interface Item {
  readonly name: number;
}

test('does what an array does, whatever comes and goes', () => {
  const step = fc.record({
    kind: fc.constantFrom('push', 'push', 'push', 'unshift', 'shift', 'shift', 'keep'),
    times: fc.constantFrom(1, 1, 2, 5, 1_500),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const fifo = new Fifo<Item>();
      let model: Item[] = [];
      let name = 0;
      for (const { kind, times } of steps) {
        if (kind === 'keep') {
          model = model.filter((item) => item.name % 3 > 0);
          expect(fifo.keep((item) => item.name % 3 > 0)).toBe(model.length);
        }
        for (let i = 0; i < times && kind !== 'keep'; i++) {
          const item = { name: name++ };
          if (kind === 'shift') expect(fifo.shift()).toBe(model.shift());
          else {
            fifo[kind](item);
            model[kind](item);
          }
        }
        expect(fifo.size).toBe(model.length);
        expect(fifo.first).toBe(model[0]);
        expect(fifo.at(model.length - 1)).toBe(model.at(-1));
      }
      expect(Array.from({ length: fifo.size }, (_, i) => fifo.at(i))).toEqual(model);
    }),
    { numRuns: 50 },
  );
});
