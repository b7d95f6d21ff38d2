/** DESIGN.md, section 6, row 5: POST /sync with arrays of 500, against BullMQ's addBulk behind the same kind of route. */
import { tryApi, tryBullmqRoute } from '../accept-trial.ts';
import { interleave } from '../rounds.ts';
import type { Finding, Row } from '../row.ts';
import { median } from '../statistics.ts';

const batch = 500;

export const acceptArrays: Row = {
  names: ['arrays'],
  async measure(context) {
    const trial = { batch, warmUpMs: 1_500 * context.scale, countedMs: 3_000 * context.scale };
    const trials: Record<string, number[]> = await interleave(context, {
      sluice: () => tryApi(trial),
      ...(context.hasBullmq ? { 'BullMQ addBulk': () => tryBullmqRoute(trial) } : {}),
    });
    const beside = Object.entries(trials)
      .filter(([name]) => name !== 'sluice')
      .map(([name, values]) => ({ name, value: median(values) }));
    const shared = { name: 'POST /sync, arrays of 500', unit: 'op/s', sluice: median(trials['sluice'] ?? []), beside, trials };
    const findings: Finding[] = [{ ...shared, judged: 'figure', goal: { atLeast: 100_000 } }];
    if (context.hasBullmq) findings.push({ ...shared, judged: 'ratio', goal: { atLeast: 2.6 } });
    return findings;
  },
};
