/**
 * BullMQ as the bench uses it. It is no dependency of the project (see ../bullmq.ts), so the few of its types that matter here are
 * written down; it finds ioredis among the project's own packages.
 */
import { createRequire } from 'node:module';
import type { SampleJob } from './sample.ts';

interface Connection {
  readonly host: string;
  readonly port: number;
}

interface BullJob {
  readonly id?: string;
  readonly data: SampleJob;
}

export interface BullQueue {
  addBulk(jobs: readonly { name: string; data: unknown }[]): Promise<readonly BullJob[]>;
  close(): Promise<void>;
}

interface BullWorker {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'completed', listener: () => void): unknown;
  waitUntilReady(): Promise<unknown>;
}

interface Bullmq {
  Queue: new (name: string, options: { connection: Connection }) => BullQueue;
  Worker: new (
    name: string,
    process: (job: BullJob) => Promise<void>,
    options: { connection: Connection; concurrency: number },
  ) => BullWorker;
}

/** Throws where it was not installed. Programs lie in .sluice/bench/programs/, BullMQ in .sluice/bench/bullmq/. */
export function loadBullmq(): Bullmq {
  return createRequire(new URL('../bullmq/package.json', import.meta.url))('bullmq') as Bullmq;
}
