/** DESIGN.md, section 6, rows 1 and 2: one HTTP call for each operation; its speed and its CPU time. */
import { type CallsResult, tryBareLoop, tryBullmq, tryWorker } from '../calls-trial.ts';
import { interleave } from '../rounds.ts';
import type { Finding, Row } from '../row.ts';
import { median } from '../statistics.ts';

const operations = 160_000;
/** BullMQ is slower: fewer jobs make its trials as long as the others. */
const bullmqJobs = 48_000;

export const singleCalls: Row = {
  names: ['single', 'cpu'],
  async measure(context) {
    const size = Math.round(operations * context.scale);
    const results: Record<string, CallsResult[]> = await interleave(context, {
      sluice: () => tryWorker({ operations: size, batch: 1, profileDir: context.profileDir }),
      'undici loop': () => tryBareLoop({ operations: size, batch: 1 }),
      ...(context.hasBullmq ? { BullMQ: () => tryBullmq({ operations: Math.round(bullmqJobs * context.scale), batch: 1 }) } : {}),
    });
    const speeds = pick(results, ({ perSecond }) => perSecond);
    const costs = pick(results, ({ cpuMicros }) => cpuMicros);
    const compare = (trials: Trials, name: string): Pick<Finding, 'sluice' | 'beside' | 'judged' | 'trials'> => ({
      sluice: median(trials['sluice'] ?? []),
      beside: [{ name, value: median(trials[name] ?? []) }],
      judged: 'ratio',
      trials,
    });
    const bullmq = { name: 'single calls', unit: 'op/s', ...compare(speeds, 'BullMQ'), goal: { atLeast: 2.2 } };
    return [
      { name: 'single calls', unit: 'op/s', ...compare(speeds, 'undici loop'), goal: { atLeast: 0.7 } },
      ...(context.hasBullmq ? [bullmq] : []),
      { name: 'CPU per operation', unit: 'µs', ...compare(costs, 'undici loop'), goal: { atMost: 1.35 } },
    ];
  },
};

type Trials = Readonly<Record<string, readonly number[]>>;

function pick(results: Readonly<Record<string, readonly CallsResult[]>>, figure: (result: CallsResult) => number): Trials {
  return Object.fromEntries(Object.entries(results).map(([name, list]) => [name, list.map(figure)]));
}
