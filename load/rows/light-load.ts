/** DESIGN.md, section 6, row 7: accept to delivery under light load. */
import { tryDelivery } from '../delivery-trial.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const perSecond = 20;

export const lightLoad: Row = {
  names: ['light'],
  async measure(context) {
    const timing = { warmUpMs: 2_000, countedMs: 10_000 * context.scale };
    const { sluice: results } = await interleave(context, { sluice: () => tryDelivery({ perSecond, ...timing }) });
    const p50 = results?.map((result) => result.p50) ?? [];
    const p99 = results?.map((result) => result.p99) ?? [];
    const note = `${perSecond} operations a second, request sent to call received`;
    const shared = { judged: 'figure', note, trials: { p50, p99 } } as const;
    return [
      { ...shared, name: 'light load, p50', unit: 'ms', sluice: median(p50), goal: { atMost: 3 } },
      { ...shared, name: 'light load, p99', unit: 'ms', sluice: median(p99), goal: { atMost: 12 } },
    ];
  },
};
