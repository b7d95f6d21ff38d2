/**
 * The calls a worker makes, and nothing around them: undici's Pool with so many calls in flight. The requests are those of the kind
 * `http`, byte for byte but for their ids.
 */
import { Pool } from 'undici';
import { serveCommands } from './commands.ts';
import { sampleData } from './sample.ts';

export interface BareCalls {
  readonly port: number;
  readonly concurrency: number;
  /** 1: one call for each operation. More: batches. */
  readonly batch: number;
}

const timestamp = new Date().toISOString();
const contentType = 'application/json';

/** As in the feeder: one upsert, or its part of a batch. */
export async function callSingle(pool: Pool, recordId: string, operationId: string, body: string): Promise<void> {
  const headers = { 'content-type': contentType, accept: contentType, 'idempotency-key': operationId, 'x-record-timestamp': timestamp };
  const answer = await pool.request({ method: 'PUT', path: `/contact/${recordId}`, headers, body });
  await answer.body.dump();
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
}

export function batchItem(recordId: string, operationId: string, data: string): string {
  return `{"operation_id":"${operationId}","operation":"upsert","entity":"contact","record_id":"${recordId}","data":${data},"timestamp":"${timestamp}"}`;
}

export async function callBatch(pool: Pool, items: readonly string[]): Promise<void> {
  const headers = { 'content-type': contentType, accept: contentType };
  const answer = await pool.request({ method: 'POST', path: '/batch', headers, body: `{"operations":[${items.join(',')}]}` });
  const { results } = (await answer.body.json()) as { results: { status: number }[] };
  if (results.length !== items.length || results.some(({ status }) => status !== 200)) throw new Error('a batch was not accepted');
}

const operationId = (number: number) => `${number % 16}.mi7k2xq1.${number.toString(36)}.p`;
