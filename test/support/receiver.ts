/**
 * A provider of the kind `http` inside the test process: records every call it gets, and answers as the test says, call by call.
 * For providers with state, limits and faults of their own use the simulator (src/simulator).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface ReceivedCall {
  /** Counts from 0 in order of arrival. */
  readonly index: number;
  /** `performance.now()` when its head was read. */
  readonly arrivedAtMs: number;
  /** When its answer was sent or its connection was lost; undefined while it is in flight. */
  endedAtMs: number | undefined;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it came. */
  readonly text: string;
  /** The body parsed, where it is JSON. */
  readonly json: unknown;
}

/** What the receiver does with a call. Without `status` and `body`, 200 with `{}`. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  readonly delayMs?: number;
  /** Cuts the connection instead of answering: the caller cannot know what became of its call. */
  readonly drop?: boolean;
  /** Never answers; the call stays in flight until its caller gives up or the receiver closes. */
  readonly hang?: boolean;
}

export type Answering = (call: ReceivedCall) => Answer | undefined | Promise<Answer | undefined>;

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly calls: readonly ReceivedCall[];
  /** Takes effect with the next call. */
  answerWith(answering: Answering): void;
  /** Forgets the calls recorded so far. */
  clear(): void;
  /** Cuts all connections. */
  close(): Promise<void>;
}

export async function startReceiver(options: { answer?: Answering; port?: number } = {}): Promise<Receiver> {
  const calls: ReceivedCall[] = [];
  let answering = options.answer ?? (() => undefined);
  const server = createServer((request, response) => {
    const arrivedAtMs = performance.now();
    readText(request).then(
      async (text) => {
        const call = record(calls.length, arrivedAtMs, request, text);
        calls.push(call);
        response.once('close', () => {
          call.endedAtMs = performance.now();
        });
        await send(response, (await answering(call)) ?? {});
      },
      () => response.destroy(),
    );
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    calls,
    answerWith(next) {
      answering = next;
    },
    clear() {
      calls.length = 0;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** One that closes with the test that calls this. */
export async function receive(answer?: Answering): Promise<Receiver> {
  const receiver = await startReceiver(answer ? { answer } : {});
  onTestFinished(() => receiver.close());
  return receiver;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function record(index: number, arrivedAtMs: number, request: IncomingMessage, text: string): ReceivedCall {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  return {
    index,
    arrivedAtMs,
    endedAtMs: undefined,
    method: request.method ?? '',
    path: request.url ?? '',
    headers,
    text,
    json: parse(text),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function send(response: ServerResponse, answer: Answer): Promise<void> {
  if (answer.delayMs) await new Promise((resolve) => setTimeout(resolve, answer.delayMs));
  if (answer.hang || response.destroyed) return;
  if (answer.drop) {
    response.destroy();
    return;
  }
  const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {});
  const isEmpty = answer.status === 204 || answer.status === 304;
  response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
  response.end(isEmpty ? undefined : body);
}
