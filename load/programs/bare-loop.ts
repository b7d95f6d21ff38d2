/** The bare part of a worker: so many calls in flight, one after the other, until its process is ended. */
import { serveCommands } from './commands.ts';
import { batchItem, callBatch, callSingle, createPool } from './provider-calls.ts';
import { sampleData, sampleFields } from './sample.ts';

export interface BareLoop {
  readonly port: number;
  readonly concurrency: number;
  /** Operations in a call; 1 means single calls. */
  readonly batch: number;
}

const commands = {
  /** Answers once the loop runs. */
  start({ port, concurrency, batch }: BareLoop): void {
    const pool = createPool(port, concurrency);
    let number = 0;
    const takeItem = () => batchItem(number, sampleFields(number++));
    const call = () => {
      if (batch === 1) return callSingle(pool, number, sampleData(number++));
      return callBatch(pool, Array.from({ length: batch }, takeItem));
    };
    const repeat = async () => {
      for (;;) await call();
    };
    for (let i = 0; i < concurrency; i++) void repeat();
  },
};
export type BareLoopCommands = typeof commands;

serveCommands(commands);
