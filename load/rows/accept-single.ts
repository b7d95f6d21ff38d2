/** DESIGN.md, section 6, row 4: POST /sync with one operation each, against a bare Hono route that parses the same JSON. */
import { tryApi, tryHonoRoute } from '../accept-trial.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

export const acceptSingle: Row = {
  names: ['accept'],
  async measure(context) {
    const trial = { batch: 1, warmUpMs: 2_000 * context.scale, countedMs: 4_000 * context.scale };
    const trials: Record<string, number[]> = await interleave(context, {
      sluice: () => tryApi(trial),
      'Hono route': () => tryHonoRoute(trial),
    });
    const beside = [{ name: 'Hono route', value: median(trials['Hono route'] ?? []) }];
    const sluice = median(trials['sluice'] ?? []);
    return [{ name: 'POST /sync, one each', unit: 'op/s', sluice, beside, judged: 'ratio', goal: { atLeast: 0.8 }, trials }];
  },
};
