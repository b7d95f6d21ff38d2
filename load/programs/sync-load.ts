/**
 * Requests to POST /sync over raw connections that are kept alive, in two shapes: a closed loop (each connection sends its next request
 * when the last is answered), and an open loop (requests become due by the clock, whatever the answers do).
 *
 * In the open loop a record's id carries the moment its request was ready to be written. Requests that this process is late with,
 * because its timer or its core was, so count from when they could really leave; those that find every connection waiting for an
 * answer queue up with their stamps, so that a slow service cannot slow the loop down and hide it.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { machineMs } from '../clock.ts';
import { serveCommands } from './commands.ts';
import { createAnswerReader } from './http-answers.ts';
import { sampleData } from './sample.ts';
import { stampedId } from './stamp.ts';

/** As many as a busy client's pool; more of them would cost the API more than they show. */
const openLoopConnections = 256;
const accepted = 202;

export interface ClosedLoop {
  readonly port: number;
  readonly connections: number;
  /** Operations in a request; 1 means a single one, without an array. */
  readonly batch: number;
}

export interface OpenLoop {
  readonly provider: string;
  readonly perSecond: number;
  readonly durationMs: number;
}

export interface OpenResult {
  readonly sent: number;
  /** Milliseconds from when each was due to when this process got to it. */
  readonly latenesses: Float64Array;
}

/** Answers with 202 so far, at a time. */
export interface Answered {
  readonly requests: number;
  readonly atMs: number;
}

let answered = 0;
let refusal: string | undefined;

interface Connection {
  send(body: string): void;
}

function open(port: number, onAnswer: (connection: Connection) => void): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const connection: Connection = {
      send: (body) =>
        socket.write(
          `POST /sync HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
          'latin1',
        ),
    };
    const read = createAnswerReader((status) => {
      if (status === accepted) answered++;
      else refusal ??= `answered ${status}`;
      onAnswer(connection);
    });
    socket.on('data', read);
    socket.once('connect', () => resolve(connection));
    socket.once('error', reject);
  });
}

const timestamp = new Date().toISOString();

function operationJson(provider: string, recordId: string, number: number): string {
  return `{"operation":"upsert","provider":"${provider}","record_id":"${recordId}","timestamp":"${timestamp}","data":${sampleData(number)}}`;
}

let number = 0;

function nextBody(batch: number): string {
  const next = () => operationJson('p', `r${number}`, number++);
  return batch === 1 ? next() : `[${Array.from({ length: batch }, next).join(',')}]`;
}

/** Requests that wait for a connection, and connections that wait for a request: one of the two is empty. */
const waiting: string[] = [];
const idle: Connection[] = [];

function release(connection: Connection): void {
  const body = waiting.shift();
  if (body === undefined) idle.push(connection);
  else connection.send(body);
}

function enter(body: string): void {
  const connection = idle.pop();
  if (connection) connection.send(body);
  else waiting.push(body);
}

const commands = {
  /** Runs until the process is ended; answers when it has begun. */
  async closed({ port, connections, batch }: ClosedLoop) {
    const again = (connection: Connection) => connection.send(nextBody(batch));
    for (let i = 0; i < connections; i++) again(await open(port, again));
  },
  /** Throws when an answer was anything but 202. */
  answered(): Answered {
    if (refusal !== undefined) throw new Error(refusal);
    return { requests: answered, atMs: machineMs() };
  },
  async connect({ port }: { port: number }) {
    for (let i = 0; i < openLoopConnections; i++) idle.push(await open(port, release));
  },
  /** Answers when the last request is due and under way. Throws where an answer was anything but 202. */
  async open({ provider, perSecond, durationMs }: OpenLoop): Promise<OpenResult> {
    const latenesses: number[] = [];
    const startedAt = machineMs();
    const total = Math.round((perSecond * durationMs) / 1_000);
    for (let sent = 0; sent < total; ) {
      const now = machineMs();
      const due = Math.min(total, Math.floor(((now - startedAt) * perSecond) / 1_000) + 1);
      for (; sent < due; sent++) {
        latenesses.push(now - (startedAt + (sent * 1_000) / perSecond));
        enter(operationJson(provider, stampedId(number), number++));
      }
      await delay(Math.max(1, startedAt + (sent * 1_000) / perSecond - machineMs()));
    }
    if (refusal !== undefined) throw new Error(refusal);
    return { sent: total, latenesses: Float64Array.from(latenesses) };
  },
};
export type SyncLoadCommands = typeof commands;

serveCommands(commands);
