/**
 * DESIGN.md, section 6, rows 10 and 11: what operations cost in Redis, from its `used_memory`. All are marginal costs: what does not grow
 * with the number of operations is in neither figure.
 */
import { providerConfig, startFeeder, startProvider } from '../calls-trial.ts';
import type { Program } from '../program.ts';
import type { BullmqCommands } from '../programs/bullmq.ts';
import type { FeederCommands } from '../programs/feeder.ts';
import type { Beside, Row } from '../row.ts';
import { onStage, type RedisProcess } from '../stage.ts';

const operations = 100_000;
/** BullMQ's cost does not change with their number. */
const bullmqJobs = 20_000;
const bullmqConcurrency = 100;

/** Bytes an operation adds while `act` adds so many. */
async function costOf(redis: RedisProcess, count: number, act: () => Promise<void>): Promise<number> {
  const before = await redis.usedBytes();
  await act();
  return ((await redis.usedBytes()) - before) / count;
}

function costQueued(count: number): Promise<number> {
  return onStage(async (stage) => {
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    const feed = (from: number) => feeder.ask('feed', { providers: ['p'], operations: count, from });
    await feed(0);
    return costOf(redis, count, () => feed(count));
  });
}

/**
 * Three times as many operations: on new records until histories are full, again on the same records (what they add is the finished
 * operation), and on new records (a finished operation and a known record).
 */
function costFinished(count: number): Promise<{ finished: number; known: number }> {
  return onStage(async (stage) => {
    const { port } = await startProvider(stage);
    const redis = await stage.redis();
    const feeder = await startFeeder(stage, redis);
    await feeder.ask('register', [providerConfig('p', port, 1)]);
    await stage.worker(redis);
    const work = (from: number) => workOff(feeder, count, from);
    await work(0);
    const finished = await costOf(redis, count, () => work(0));
    const both = await costOf(redis, count, () => work(count));
    return { finished, known: both - finished };
  });
}

async function workOff(feeder: Program<FeederCommands>, operations: number, from: number): Promise<void> {
  await feeder.ask('feed', { providers: ['p'], operations, from });
  await feeder.ask('finished', 'p');
}

function costBullmq(count: number): Promise<{ queued: number; finished: number }> {
  return onStage(async (stage) => {
    const redis = await stage.redis();
    const feeder = stage.program<BullmqCommands>('bullmq');
    const feed = (from: number) => feeder.ask('feed', { redisPort: redis.port, operations: count, from });
    const empty = await redis.usedBytes();
    await feed(0);
    const queued = await costOf(redis, count, () => feed(count));
    const worker = stage.program<BullmqCommands>('bullmq');
    await worker.ask('work', { redisPort: redis.port, concurrency: bullmqConcurrency });
    await worker.ask('reach', 2 * count);
    return { queued, finished: ((await redis.usedBytes()) - empty) / (2 * count) };
  });
}

export const redisBytes: Row = {
  names: ['bytes'],
  async measure(context) {
    const count = Math.round(operations * context.scale);
    context.say('queued');
    const queued = await costQueued(count);
    context.say('finished');
    const { finished, known } = await costFinished(count);
    context.say('BullMQ');
    const bullmq = context.hasBullmq ? await costBullmq(Math.round(bullmqJobs * context.scale)) : undefined;
    const besideBullmq = (value: number | undefined): readonly Beside[] => (value === undefined ? [] : [{ name: 'BullMQ', value }]);
    const finding = (name: string, sluice: number, atMost: number, beside: readonly Beside[] = []) =>
      ({ name, unit: 'bytes', sluice, beside, judged: 'figure', goal: { atMost }, trials: { sluice: [sluice] } }) as const;
    return [
      finding('Redis for a queued operation', queued, 350, besideBullmq(bullmq?.queued)),
      finding('Redis for a finished operation', finished, 110, besideBullmq(bullmq?.finished)),
      finding('Redis for a known record', known, 110),
    ];
  },
};
