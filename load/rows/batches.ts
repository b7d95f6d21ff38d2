/** DESIGN.md, section 6, row 3: batches of 100. The bare loop and BullMQ show the scale. */
import { type CallsResult, tryBareLoop, tryBullmq, tryWorker } from '../calls-trial.ts';
import { interleave } from '../rounds.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const operations = 400_000;
const bareOperations = 900_000;
const bullmqJobs = 80_000;
const batch = 100;

export const batches: Row = {
  names: ['batch'],
  async measure(context) {
    const sized = (count: number) => ({ operations: Math.round(count * context.scale), batch });
    const results: Record<string, CallsResult[]> = await interleave(context, {
      sluice: () => tryWorker({ ...sized(operations), profileDir: context.profileDir }),
      'undici loop': () => tryBareLoop(sized(bareOperations)),
      ...(context.hasBullmq ? { BullMQ: () => tryBullmq(sized(bullmqJobs)) } : {}),
    });
    const entries = Object.entries(results);
    const trials = Object.fromEntries(entries.map(([name, list]) => [name, list.map(({ perSecond }) => perSecond)]));
    const besides = entries.filter(([name]) => name !== 'sluice').map(([name]) => ({ name, value: median(trials[name] ?? []) }));
    const sluice = median(trials['sluice'] ?? []);
    return [{ name: 'batches of 100', unit: 'op/s', sluice, beside: besides, judged: 'figure', goal: { atLeast: 80_000 }, trials }];
  },
};
