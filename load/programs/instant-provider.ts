/**
 * A provider that answers at once and does nothing else, so that what is measured is its caller. It counts calls and operations, and,
 * where asked to, takes the time since the moment that record ids carry, keeps a strict rolling limit, or never answers.
 */

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { machineMs } from '../clock.ts';
import { serveCommands } from './commands.ts';
import { createRequestReader, type RawRequest } from './http-requests.ts';
import { createRollingLimit } from './rolling-limit.ts';
import { sentAtMs } from './stamp.ts';

export type Answering =
  | { readonly kind: 'at_once' }
  /** Takes the time from the stamp in each record id (see stamp.ts) to the call's arrival. */
  | { readonly kind: 'timed' }
  | { readonly kind: 'never' }
  | { readonly kind: 'limited'; readonly requests: number; readonly perMs: number };

export interface Count {
  readonly operations: number;
  readonly refused: number;
  /** The machine's monotonic clock. */
  readonly atMs: number;
}

const ok = answerText('200 OK', '{}');
const throttled = answerText('429 Too Many Requests', '{}');
const operationMark = Buffer.from('"operation_id"');

let operations = 0;
let refused = 0;
let latencies: number[] = [];
let reached: { operations: number; tell(): void } | undefined;

function answerText(status: string, body: string): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function countAnswered(n: number): void {
  operations += n;
  if (reached && operations >= reached.operations) reached.tell();
}

const batchAnswers = new Map<number, string>();

function batchAnswer(n: number): string {
  let answer = batchAnswers.get(n);
  if (!answer) {
    answer = answerText('200 OK', `{"results":[${Array.from({ length: n }, () => '{"status":200}').join(',')}]}`);
    batchAnswers.set(n, answer);
  }
  return answer;
}

function countOperations({ bytes, bodyStart, bodyEnd }: RawRequest): number {
  let n = 0;
  for (let at = bytes.indexOf(operationMark, bodyStart); at >= 0 && at < bodyEnd; at = bytes.indexOf(operationMark, at + 200)) n++;
  return n;
}

function answerAtOnce(request: RawRequest): string {
  if (!request.head.startsWith('POST /batch')) {
    countAnswered(1);
    return ok;
  }
  const n = countOperations(request);
  countAnswered(n);
  return batchAnswer(n);
}

function createAnswer(answering: Answering): (request: RawRequest) => string | undefined {
  if (answering.kind === 'at_once') return answerAtOnce;
  if (answering.kind === 'timed') {
    return (request) => {
      latencies.push(machineMs() - sentAtMs(request.head));
      return answerAtOnce(request);
    };
  }
  if (answering.kind === 'never') {
    return () => {
      operations++;
      return undefined;
    };
  }
  const limit = createRollingLimit(answering.requests, answering.perMs);
  return () => {
    if (!limit.take(machineMs())) {
      refused++;
      return throttled;
    }
    countAnswered(1);
    return ok;
  };
}

const count = (): Count => ({ operations, refused, atMs: machineMs() });

const commands = {
  /** The port. */
  listen: (answering: Answering) =>
    new Promise<number>((resolve, reject) => {
      const answer = createAnswer(answering);
      const server = createServer({ noDelay: true }, (socket: Socket) => {
        const read = createRequestReader((request) => {
          const text = answer(request);
          if (text !== undefined) socket.write(text, 'latin1');
        });
        socket.on('data', read);
        socket.on('error', () => socket.destroy());
      });
      server.once('error', reject);
      server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => resolve((server.address() as AddressInfo).port));
    }),
  count,
  /** Answers when so many operations have been counted in all. */
  reach: (target: number) =>
    new Promise<Count>((resolve) => {
      const tell = () => {
        reached = undefined;
        resolve(count());
      };
      reached = { operations: target, tell };
      if (operations >= target) tell();
    }),
  /** Milliseconds each since the last time this was asked. */
  takeLatencies(): Float64Array {
    const taken = Float64Array.from(latencies);
    latencies = [];
    return taken;
  },
};
export type ProviderCommands = typeof commands;

serveCommands(commands);
