/**
 * HTTP calls as adapters need them: over kept connections, each call with a guard asked right before its first byte is written, one
 * time limit over all its phases, and an answer that is always read to its end but kept only as far as it is wanted.
 *
 * What always holds: a call ends exactly once and never before `start` has returned; `unsent` and `unconnected` mean that not one
 * byte of it was written; an answer longer than `maxAnswerBytes` ends its connection.
 *
 * The cost of a call decides how fast a worker is, so this dispatches to undici's Client directly, with the call itself as the
 * handler: no promise, no stream, no AbortController, no timer. Free connections lie on a stack (the last used is the warmest);
 * undici's Pool looks through all its clients for a free one at every call. undici's older handler methods (onConnect, onHeaders,
 * ...) are used because the newer ones wrap each call twice and parse every header; undici 8 drops them, and this is the one file
 * that then changes. undici calls onConnect when a connection is there and before it writes, and a throw from it leaves the
 * connection usable, whereas `abort` would destroy it.
 */
import { type buildConnector, Client } from 'undici';
import { createDeadlines, type Timed } from './deadlines.ts';
import type { ProviderErrorCode } from './error-codes.ts';
import type { CallGuard, InFlight } from './provider.ts';

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: string | null;
  /** How much of the body of a 2xx answer is kept. */
  readonly keepBytes: number;
}

export type HttpResult =
  | {
      readonly status: 'answered';
      readonly code: number;
      /** Names and values in turn, as they came. */
      readonly headers: readonly Buffer[];
      /** The part of the body that was kept. */
      readonly text: string;
      /** All of the body is in `text`. */
      readonly isWhole: boolean;
    }
  | { readonly status: 'unsent'; readonly reason: string }
  | { readonly status: 'unconnected'; readonly code: ProviderErrorCode; readonly message: string }
  /** Written, at least in part, and the outcome is not known. */
  | { readonly status: 'lost'; readonly code: ProviderErrorCode; readonly message: string };

export interface HttpClient {
  start(request: HttpRequest, guard: CallGuard, onEnd: (result: HttpResult) => void): InFlight;
  /** Cuts the calls in flight and closes the connections. */
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly origin: string;
  readonly connect: buildConnector.connector;
  /** Calls beyond so many wait for a connection. */
  readonly maxConnections: number;
  /** From `start` to the end of the answer. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** How much of the body of an answer other than 2xx is kept. */
  readonly keepFailureBytes: number;
  readonly monotonicMs: () => number;
}

/** Servers often close idle connections after five seconds; a call written at that moment would be lost. */
const keepAliveTimeoutMs = 4_000;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const deadlines = createDeadlines(options.timeoutMs, options.monotonicMs);
  const clients = new Set<Client>();
  const free: Client[] = [];
  const waiting: HttpCall[] = [];
  const pool: Pool = { options, end: (call) => deadlines.remove(call), release, discard };
  let isClosed = false;

  function takeClient(): Client | undefined {
    const client = free.pop();
    if (client || clients.size >= options.maxConnections) return client;
    const { origin, connect } = options;
    const fresh = new Client(origin, { connect, pipelining: 1, headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: keepAliveTimeoutMs });
    clients.add(fresh);
    return fresh;
  }

  function release(client: Client): void {
    if (!clients.has(client)) return;
    free.push(client);
    sendWaiting();
  }

  /** For a client without a connection: undici leaves some of them stuck after a failed handshake. */
  function discard(client: Client): void {
    if (!clients.delete(client)) return;
    client.destroy().catch(() => {});
    sendWaiting();
  }

  function sendWaiting(): void {
    while (waiting.length > 0 && !isClosed) {
      if (waiting[0]?.isOver) {
        waiting.shift();
        continue;
      }
      const client = takeClient();
      if (!client) return;
      waiting.shift()?.dispatch(client);
    }
  }

  return {
    start(request, guard, onEnd) {
      const call = new HttpCall(pool, request, guard, onEnd);
      deadlines.add(call);
      const client = isClosed ? undefined : takeClient();
      if (client) call.dispatch(client);
      else if (isClosed) call.abort('closed');
      else waiting.push(call);
      call.isStarting = false;
      return call;
    },
    async close() {
      isClosed = true;
      for (const call of deadlines.items()) (call as HttpCall).abort('closed');
      const closing = [...clients].map((client) => client.destroy());
      clients.clear();
      await Promise.all(closing);
    },
  };
}

interface Pool {
  readonly options: HttpClientOptions;
  /** The call is over. */
  end(call: HttpCall): void;
  /** The connection may be used again. */
  release(client: Client): void;
  discard(client: Client): void;
}

const noHeaders: readonly Buffer[] = [];

/** One call: undici's handler, an item among the deadlines and what the caller may abort, in one object. */
class HttpCall implements Timed, InFlight {
  dueMs = 0;
  previous: Timed | undefined = undefined;
  next: Timed | undefined = undefined;
  isOver = false;
  isStarting = true;
  #client: Client | undefined = undefined;
  /** Set from the moment the first byte may be written. */
  #abort: ((error?: Error) => void) | undefined = undefined;
  #code = 0;
  #headers: readonly Buffer[] = noHeaders;
  #received = 0;
  #keepBytes = 0;
  #chunks: Buffer[] | undefined = undefined;
  readonly #pool: Pool;
  readonly #request: HttpRequest;
  readonly #guard: CallGuard;
  readonly #onEnd: (result: HttpResult) => void;

  constructor(pool: Pool, request: HttpRequest, guard: CallGuard, onEnd: (result: HttpResult) => void) {
    this.#pool = pool;
    this.#request = request;
    this.#guard = guard;
    this.#onEnd = onEnd;
  }

  dispatch(client: Client): void {
    this.#client = client;
    const { method, path, headers, body } = this.#request;
    // Without the origin, undici asks its URL for it at every call.
    client.dispatch({ origin: this.#pool.options.origin, method: method as 'POST', path, headers, body }, this);
  }

  abort(reason: string): void {
    if (this.isOver) return;
    if (this.#abort) this.#cut({ status: 'lost', code: 'aborted', message: `the call was cut: ${reason}` });
    else this.#end({ status: 'unsent', reason });
  }

  onDue(): void {
    if (!this.#abort) this.#endUnconnected();
    else if (this.#code === 0) this.#cut(noAnswerInTime);
    // The status line of a refusal says enough; a success is one only when all of it is here.
    else this.#cut(this.#code >= 300 ? this.#answer(false) : bodyNotInTime);
  }

  #endUnconnected(): void {
    const client = this.#client;
    this.#end(client ? { status: 'unconnected', code: 'connect_timeout', message: 'no connection came about in time' } : noConnectionFree);
    if (client) this.#pool.discard(client);
  }

  // --- undici's handler

  onConnect(abort: (error?: Error) => void): void {
    // The caller has its outcome already, and so has this call after `#end`: undici passes the throw to onError.
    if (this.isOver) throw notStarted;
    if (!this.#guard.mayStart()) {
      this.#end(refusedByGuard);
      throw notStarted;
    }
    this.#abort = abort;
  }

  onHeaders(code: number, headers: Buffer[]): boolean {
    if (code < 200) return true;
    const isSuccess = code < 300;
    this.#code = code;
    this.#headers = headers;
    this.#keepBytes = isSuccess ? this.#request.keepBytes : this.#pool.options.keepFailureBytes;
    return true;
  }

  onData(chunk: Buffer): boolean {
    const before = this.#received;
    this.#received += chunk.length;
    if (this.#received > this.#pool.options.maxAnswerBytes) {
      this.#cut(this.#answer(false));
      return true;
    }
    if (before >= this.#keepBytes) return true;
    const kept = before + chunk.length > this.#keepBytes ? chunk.subarray(0, this.#keepBytes - before) : chunk;
    if (this.#chunks) this.#chunks.push(kept);
    else this.#chunks = [kept];
    return true;
  }

  onComplete(): void {
    const client = this.#client as Client;
    // First the connection, so that the next call, often made from within `onEnd`, finds it warm.
    this.#pool.release(client);
    if (!this.isOver) this.#end(this.#answer(this.#received <= this.#keepBytes));
  }

  onError(error: Error): void {
    const client = this.#client as Client;
    if (this.#abort || error === notStarted) this.#pool.release(client);
    else this.#pool.discard(client);
    if (!this.isOver) this.#end(this.#failure(error));
  }

  // ---

  #answer(isWhole: boolean): HttpResult {
    const chunks = this.#chunks;
    const text = chunks === undefined ? '' : chunks.length === 1 ? (chunks[0] as Buffer).toString() : Buffer.concat(chunks).toString();
    return { status: 'answered', code: this.#code, headers: this.#headers, text, isWhole };
  }

  #failure(error: Error): HttpResult {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!this.#abort) return { status: 'unconnected', ...connectFailure(code) };
    if (this.#code >= 300) return this.#answer(false);
    if (this.#code > 0) return { status: 'lost', code: 'answer_cut', message: 'the connection ended within the answer' };
    if (error.name === 'HTTPParserError' || /^UND_ERR_(?:HEADERS_OVERFLOW|RES_)/.test(code))
      return { status: 'lost', code: 'malformed_answer', message: 'the answer is not proper HTTP' };
    return { status: 'lost', code: 'connection_lost', message: 'the connection ended before the answer' };
  }

  /** Ends a call that has been written, and with it the connection: what would still come belongs to nobody. */
  #cut(result: HttpResult): void {
    const abort = this.#abort;
    this.#end(result);
    abort?.(cutByUs);
  }

  #end(result: HttpResult): void {
    this.isOver = true;
    this.#pool.end(this);
    if (this.isStarting) queueMicrotask(() => this.#onEnd(result));
    else this.#onEnd(result);
  }
}

const notStarted = new Error('the call was not started');
const cutByUs = new Error('the call was cut');
const refusedByGuard: HttpResult = { status: 'unsent', reason: 'the guard refused the start' };
const noConnectionFree: HttpResult = { status: 'unsent', reason: 'no connection became free in time' };
const noAnswerInTime: HttpResult = { status: 'lost', code: 'timeout', message: 'no answer came in time' };
const bodyNotInTime: HttpResult = { status: 'lost', code: 'timeout', message: 'the answer did not end in time' };

const connectFailures: Readonly<Record<string, readonly [ProviderErrorCode, string]>> = {
  ECONNREFUSED: ['connection_refused', 'nothing listens at the address'],
  ENOTFOUND: ['host_not_found', 'the name of the host does not resolve'],
  EAI_AGAIN: ['host_not_found', 'the name of the host does not resolve at the moment'],
  ETIMEDOUT: ['connect_timeout', 'no connection came about in time'],
  UND_ERR_CONNECT_TIMEOUT: ['connect_timeout', 'no connection came about in time'],
  SLUICE_ADDRESS_REFUSED: ['address_refused', 'the host is at an address that may not be called'],
  UND_ERR_INVALID_ARG: ['invalid_request', 'the call cannot be written as an HTTP request'],
};
/** Names of OpenSSL's and Node's errors about certificates and handshakes. */
const tlsErrors = /^(?:ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH)/;

function connectFailure(errno: string): { code: ProviderErrorCode; message: string } {
  const known = Object.hasOwn(connectFailures, errno) ? connectFailures[errno] : undefined;
  if (known) return { code: known[0], message: known[1] };
  if (tlsErrors.test(errno)) return { code: 'tls_failed', message: `no secure connection could be made (${errno})` };
  return { code: 'connection_failed', message: `the connection could not be made${errno === '' ? '' : ` (${errno})`}` };
}
