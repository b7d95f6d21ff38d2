/**
 * BullMQ on the same kind of Redis, with the same data and the same calls: as a feeder (`feed`) and as a worker (`work`), each in a process
 * of its own. Finished jobs are kept, which is BullMQ's default, as Sluice keeps statuses.
 */
import type { Pool } from 'undici';
import { serveCommands } from './commands.ts';
import { loadBullmq } from './load-bullmq.ts';
import { batchItem, callBatch, callSingle, createPool } from './provider-calls.ts';
import { bullQueueName, type SampleJob, sampleJob } from './sample.ts';

const bulkSize = 500;
/** Sluice's default for `batch.max_wait_ms`. */
const gatherMs = 20;

export interface BullWork {
  readonly redisPort: number;
  readonly concurrency: number;
  /** Undefined: jobs do nothing. */
  readonly call?: { readonly port: number; readonly connections: number; readonly batch: number };
}

interface Gathered {
  readonly operation: object;
  resolve(): void;
  reject(error: unknown): void;
}

/** Joins jobs into calls of `size`; each job ends with its call. The open-source BullMQ has no batches of its own. */
function createBatchCall(pool: Pool, size: number): (operation: object) => Promise<void> {
  let gathered: Gathered[] = [];
  let timer: NodeJS.Timeout | undefined;
  const send = () => {
    clearTimeout(timer);
    timer = undefined;
    const batch = gathered;
    gathered = [];
    callBatch(
      pool,
      batch.map(({ operation }) => operation),
    ).then(
      () => {
        for (const { resolve } of batch) resolve();
      },
      (error) => {
        for (const { reject } of batch) reject(error);
      },
    );
  };
  return (operation) =>
    new Promise((resolve, reject) => {
      gathered.push({ operation, resolve, reject });
      if (gathered.length >= size) send();
      else timer ??= setTimeout(send, gatherMs);
    });
}

function createProcessor(call: BullWork['call']): (job: SampleJob) => Promise<void> {
  if (!call) return async () => {};
  const pool = createPool(call.port, call.connections);
  if (call.batch === 1) return (job) => callSingle(pool, job.number, JSON.stringify(job.data));
  const callInBatch = createBatchCall(pool, call.batch);
  return (job) => callInBatch(batchItem(job.number, job.data));
}

let finished = 0;
let reached: { jobs: number; tell(): void } | undefined;

const commands = {
  async feed({ redisPort, operations, from }: { redisPort: number; operations: number; from: number }) {
    const { Queue } = loadBullmq();
    const queue = new Queue(bullQueueName, { connection: { host: '127.0.0.1', port: redisPort } });
    for (let start = 0; start < operations; start += bulkSize) {
      const size = Math.min(bulkSize, operations - start);
      await queue.addBulk(Array.from({ length: size }, (_, index) => ({ name: 'sync', data: sampleJob(from + start + index) })));
    }
    await queue.close();
  },
  async work({ redisPort, concurrency, call }: BullWork) {
    const { Worker } = loadBullmq();
    const connection = { host: '127.0.0.1', port: redisPort };
    const processJob = createProcessor(call);
    const worker = new Worker(bullQueueName, ({ data }) => processJob(data), { connection, concurrency });
    worker.on('error', (error) => console.error(error));
    worker.on('completed', () => {
      finished++;
      if (reached && finished >= reached.jobs) reached.tell();
    });
    await worker.waitUntilReady();
  },
  /** Answers when so many jobs have been finished in all. */
  reach: (jobs: number) =>
    new Promise<void>((resolve) => {
      const tell = () => {
        reached = undefined;
        resolve();
      };
      reached = { jobs, tell };
      if (finished >= jobs) tell();
    }),
};
export type BullmqCommands = typeof commands;

serveCommands(commands);
