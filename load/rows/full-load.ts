/** DESIGN.md, section 6, row 6: the whole system and its load on two cores, open loop. */
import { type DeliveryResult, tryDelivery } from '../delivery-trial.ts';
import { interleave } from '../rounds.ts';
import type { Finding, Row } from '../row.ts';
import { median } from '../statistics.ts';

const goals = [
  { perSecond: 10_000, p99Ms: 250 },
  { perSecond: 3_500, p99Ms: 25 },
] as const;

export const fullLoad: Row = {
  names: ['full'],
  async measure(context) {
    const timing = { warmUpMs: 4_000, countedMs: 5_000 * context.scale };
    const variants = goals.map(({ perSecond }) => [`${perSecond}/s`, () => tryDelivery({ perSecond, ...timing })] as const);
    const results: Record<string, DeliveryResult[]> = await interleave(context, Object.fromEntries(variants));
    return goals.map(({ perSecond, p99Ms }): Finding => {
      const taken = results[`${perSecond}/s`] ?? [];
      const [p50, p99, lateness] = (['p50', 'p99', 'lateness'] as const).map((figure) => taken.map((result) => result[figure]));
      return {
        name: `all on this machine, ${perSecond.toLocaleString('en-US')}/s`,
        unit: 'ms p99',
        sluice: median(p99 ?? []),
        judged: 'figure',
        goal: { atMost: p99Ms },
        trials: { p99: p99 ?? [], p50: p50 ?? [], 'generator late, p99': lateness ?? [] },
        note: `request sent to call received, open loop; p50 ${format(p50)} ms; the generator's own lateness (p99 ${format(lateness)} ms) is not in it`,
      };
    });
  },
};

const format = (values: readonly number[] | undefined) => median(values ?? []).toPrecision(2);
