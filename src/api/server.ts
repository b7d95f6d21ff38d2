/** The HTTP server around a listener: time-outs, proper answers to improper requests, and an end that lets requests finish. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeProblem, type Problem, type ProblemCode, problem, problemHeaders } from '../shared/domain/problem.ts';
import { CannotListen } from '../shared/domain/start-problem.ts';
import type { Listener } from './listener.ts';

export interface HttpServer {
  readonly port: number;
  /** Accepts nothing more, waits for requests under way up to `drainMs`, then cuts what is left. */
  close(drainMs: number): Promise<void>;
}

const headersTimeoutMs = 15_000;
/** A body of 8 MiB within this time takes 140 kB/s. */
const requestTimeoutMs = 60_000;
/** Longer than the 60 s after which common load balancers drop an idle connection: they should be the ones to close it. */
const keepAliveTimeoutMs = 65_000;
const idleCheckMs = 50;

/** Rejects with `CannotListen`. */
export async function listen(listener: Listener, { host, port }: { host: string; port: number }): Promise<HttpServer> {
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      noDelay: true,
      // Node's own answer to a request without Host is no problem details.
      requireHostHeader: false,
    },
    (incoming, outgoing) => {
      if (isHostMissing(incoming)) answerProblem(outgoing, problem('bad_request', { detail: 'the header Host is missing' }));
      else listener(incoming, outgoing);
    },
  );
  server.on('clientError', answerClientError);
  server.on('checkExpectation', (_, outgoing) => {
    answerProblem(outgoing, problem('expectation_failed', { detail: 'the only expectation that is met is 100-continue' }));
  });
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: Error) => reject(new CannotListen({ host, port }, error));
    server.once('error', refuse);
    server.listen(port, host, () => {
      server.off('error', refuse);
      resolve();
    });
  });
  return { port: (server.address() as AddressInfo).port, close: (drainMs) => close(server, drainMs) };
}

async function close(server: Server, drainMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive becomes idle when its request ends; nobody else closes it then.
  const idle = setInterval(() => server.closeIdleConnections(), idleCheckMs);
  const deadline = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearInterval(idle);
  clearTimeout(deadline);
}

/** HTTP/1.1 asks for it; where it may be empty is the sender's affair. */
function isHostMissing({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion === '1.1';
}

/** The connection ends with the answer: whatever else the request holds is not read. */
function answerProblem(outgoing: ServerResponse, found: Problem): void {
  const body = JSON.stringify(describeProblem(found));
  outgoing.writeHead(found.status, { ...problemHeaders(found), 'content-length': Buffer.byteLength(body), connection: 'close' });
  outgoing.end(body);
}

const clientErrorCodes: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'too_large',
};

/** Node found no request in what arrived, so there is no response object to answer on. */
function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  socket.end(formatAnswer(problem(clientErrorCodes[error.code ?? ''] ?? 'bad_request')));
}

function formatAnswer(found: Problem): string {
  const body = JSON.stringify(describeProblem(found));
  const headers = { ...problemHeaders(found), 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${found.status} ${STATUS_CODES[found.status]}`, ...lines, '', body].join('\r\n');
}
