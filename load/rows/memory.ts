/**
 * DESIGN.md, section 6, row 9: a worker's resident memory at full speed, against the bare loop's, and how it grows. Hours do not fit into
 * a bench: growth from the middle third of a longer trial to its last third stands for them.
 */
import { tryBareLoop, tryWorker } from '../calls-trial.ts';
import { growthOf } from '../process-cost.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const operations = 300_000;
/** The trials are long, and one is much like the next. */
const maxRounds = 1;
const maxGrowth = 0.05;

export const memory: Row = {
  names: ['memory'],
  async measure(context) {
    const size = Math.round(operations * context.scale);
    const results = await interleave(
      { ...context, rounds: Math.min(context.rounds, maxRounds) },
      {
        sluice: () => tryWorker({ operations: size, batch: 1 }),
        'undici loop': () => tryBareLoop({ operations: size, batch: 1 }),
      },
    );
    const trials = Object.fromEntries(
      Object.entries(results).map(([name, taken]) => [name, taken.map(({ residentMb }) => median(residentMb))]),
    );
    const growths = (results['sluice'] ?? []).map(({ residentMb }) => growthOf(residentMb) * 100);
    const beside = [{ name: 'undici loop', value: median(trials['undici loop'] ?? []) }];
    const sluice = median(trials['sluice'] ?? []);
    return [
      { name: "a worker's memory", unit: 'MiB', sluice, beside, judged: 'ratio', goal: { atMost: 1.3 }, trials },
      {
        name: 'its growth at full speed',
        unit: '%',
        sluice: median(growths),
        judged: 'figure',
        goal: { atMost: maxGrowth * 100 },
        trials: { sluice: growths },
        note: 'from the middle third to the last third of the trial',
      },
    ];
  },
};
