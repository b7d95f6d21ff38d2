/**
 * The calls that a worker makes, and nothing around them: undici's `pool.request`, with the request line, headers and body of the kind
 * `http`. Shared by the bare loop and the BullMQ worker, so that all three do the same.
 */
import { Pool } from 'undici';

const timestamp = new Date().toISOString();
const commonHeaders = ['content-type', 'application/json', 'accept', 'application/json', 'user-agent', 'sluice'];

export const createPool = (port: number, connections: number) => new Pool(`http://127.0.0.1:${port}`, { connections });

/** As long as one of Sluice's. */
const operationIdOf = (number: number) => `${number % 16}.mi7k2xq1.${number.toString(36)}.p`;

export async function callSingle(pool: Pool, number: number, data: string): Promise<void> {
  const headers = [...commonHeaders, 'idempotency-key', operationIdOf(number), 'x-record-timestamp', timestamp];
  const answer = await pool.request({ method: 'PUT', path: `/contact/r${number}`, headers, body: data });
  await answer.body.dump();
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
}

/** An operation of a batch, as a plain program would put it together. */
export function batchItem(number: number, data: unknown): object {
  return {
    operation_id: operationIdOf(number),
    operation: 'upsert',
    entity: 'contact',
    record_id: `r${number}`,
    data,
    timestamp,
  };
}

export async function callBatch(pool: Pool, operations: readonly object[]): Promise<void> {
  const answer = await pool.request({ method: 'POST', path: '/batch', headers: commonHeaders, body: JSON.stringify({ operations }) });
  const { results } = (await answer.body.json()) as { results: { status: number }[] };
  if (results.length !== operations.length || results.some(({ status }) => status !== 200)) throw new Error('a batch was not accepted');
}
