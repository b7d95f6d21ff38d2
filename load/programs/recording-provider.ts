/**
 * A provider that remembers: what each record holds, and every call that a provider must never see: one for a record that has another
 * under way, one dated before the last. Upserts and updates merge fields, updates of records that are missing make them, so that
 * what a record ends up as follows from the changes alone. Answers take a while, so that whoever is killed dies with calls under way.
 */
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { serveCommands } from './commands.ts';
import { createRequestReader, type RawRequest } from './http-requests.ts';

export interface Held {
  readonly timestampMs: number;
  /** Undefined once deleted. */
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

export interface Recording {
  readonly calls: number;
  /** Calls dated before one for the same record that came earlier. */
  readonly backwards: number;
  /** Calls for a record that had one under way. */
  readonly overlapping: number;
  readonly records: ReadonlyMap<string, Held>;
}

const answer = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

const records = new Map<string, Held>();
const underWay = new Set<string>();
let calls = 0;
let backwards = 0;
let overlapping = 0;

function take({ head, bytes, bodyStart, bodyEnd }: RawRequest): string {
  const [, method, recordId] = /^(\S+) \/contact\/(\S+) /.exec(head) ?? [];
  const timestampMs = Date.parse(/\r\nx-record-timestamp: (\S+)/i.exec(head)?.[1] ?? '');
  if (recordId === undefined || Number.isNaN(timestampMs)) throw new Error(`an unknown call: ${head}`);
  const held = records.get(recordId);
  calls++;
  if (held && timestampMs < held.timestampMs) backwards++;
  if (underWay.has(recordId)) overlapping++;
  const fields = method === 'DELETE' ? undefined : { ...held?.fields, ...JSON.parse(bytes.toString('utf8', bodyStart, bodyEnd)) };
  records.set(recordId, { timestampMs, fields });
  return recordId;
}

const commands = {
  /** The port. */
  listen: ({ answerAfterMs }: { answerAfterMs: number }) =>
    new Promise<number>((resolve, reject) => {
      const server = createServer({ noDelay: true }, (socket: Socket) => {
        const read = createRequestReader((request) => {
          const recordId = take(request);
          underWay.add(recordId);
          setTimeout(() => {
            underWay.delete(recordId);
            socket.write(answer, 'latin1');
          }, answerAfterMs);
        });
        socket.on('data', read);
        socket.on('error', () => socket.destroy());
      });
      server.once('error', reject);
      server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => resolve((server.address() as AddressInfo).port));
    }),
  recording: (): Recording => ({ calls, backwards, overlapping, records }),
};
export type RecordingProviderCommands = typeof commands;

serveCommands(commands);
