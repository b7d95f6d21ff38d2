/** DESIGN.md, section 6, row 12: the cost of an operation with much queued, and with many providers. */
import { tryCost } from '../cost-trial.ts';
import { interleave } from '../rounds.ts';
import type { Finding, Row } from '../row.ts';
import { median } from '../statistics.ts';

/** Filling a queue with a million operations takes longer than all the rest. */
const maxRounds = 2;
/** Of the trials that compare one provider with many: 20 for each of 1,000. */
const spread = 20_000;

export const flatCost: Row = {
  names: ['flat'],
  async measure(context) {
    const pace = { ...context, rounds: Math.min(context.rounds, maxRounds) };
    const size = { warmUp: 20_000 * context.scale, counted: 40_000 * context.scale };
    const most = Math.round(1_000_000 * context.scale);
    const compare = async (name: string, many: string, variants: Record<string, () => Promise<number>>): Promise<Finding> => {
      const trials = await interleave(pace, variants);
      const beside = Object.entries(trials).filter(([variant]) => variant !== many);
      return {
        name,
        unit: 'µs',
        sluice: median(trials[many] ?? []),
        beside: beside.map(([variant, values]) => ({ name: variant, value: median(values) })),
        judged: 'ratio',
        goal: { atMost: 1.25 },
        trials,
        note: 'CPU time of the worker and Redis, from enqueue to the end, for each operation',
      };
    };
    const million = `${most.toLocaleString('en-US')} queued`;
    return [
      await compare(`cost with ${million}`, million, {
        '1,000 queued': () => tryCost({ ...size, queued: 1_000, providers: 1 }),
        [million]: () => tryCost({ ...size, queued: most, providers: 1 }),
      }),
      await compare('cost with 1,000 providers', '1,000 providers', {
        '1 provider': () => tryCost({ ...size, queued: spread, providers: 1 }),
        '1,000 providers': () => tryCost({ ...size, queued: spread, providers: 1_000 }),
      }),
    ];
  },
};
