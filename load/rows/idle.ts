/** DESIGN.md, section 6, row 8: what the whole service costs while there is nothing to do. */
import { setTimeout as delay } from 'node:timers/promises';
import { providerConfig, startFeeder } from '../calls-trial.ts';
import { cpuShare } from '../process-cost.ts';
import type { Row } from '../row.ts';
import { onStage } from '../stage.ts';

const countedMs = 20_000;
/** Start-up, and the first balancing of shards, are over by then. */
const settleMs = 3_000;
/** Never called. */
const unusedPort = 9;

export const idle: Row = {
  names: ['idle'],
  async measure(context) {
    context.say(`${(countedMs * context.scale) / 1_000} s of nothing`);
    const share = await onStage(async (stage) => {
      const redis = await stage.redis();
      const feeder = await startFeeder(stage, redis);
      await feeder.ask('register', [providerConfig('p', unusedPort, 1)]);
      await feeder.stop();
      const services = await Promise.all([stage.api(redis), stage.worker(redis), stage.worker(redis)]);
      await delay(settleMs);
      return cpuShare([redis.pid, ...services.map(({ pid }) => pid)], countedMs * context.scale);
    });
    const note = 'an API, two workers and Redis';
    return [
      { name: 'idle', unit: '% of a core', sluice: share * 100, judged: 'figure', goal: { atMost: 2 }, trials: { sluice: [share] }, note },
    ];
  },
};
