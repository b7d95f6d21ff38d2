import { type AddressInfo, createServer, type LookupFunction, type Server, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { createHttpClient, type HttpClient, type HttpClientOptions, type HttpRequest, type HttpResult } from './http-call.ts';

/** Speaks bytes: `onRequest` gets each request's text once it is complete, with its socket. */
interface ByteServer {
  readonly origin: string;
  readonly sockets: Socket[];
  readonly requests: string[];
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startServer(onRequest: (socket: Socket, index: number) => void): Promise<ByteServer> {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString();
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) return;
      requests.push(text);
      text = '';
      onRequest(socket, requests.length - 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, requests };
}

function open(origin: string, more: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({
    origin,
    connect: buildConnector({ timeout: 10_000 }),
    maxConnections: 4,
    timeoutMs: 10_000,
    maxAnswerBytes: 1_000,
    keepFailureBytes: 100,
    monotonicMs: () => performance.now(),
    ...more,
  });
  closing.push(() => client.close());
  return client;
}

const request: HttpRequest = { method: 'POST', path: '/x', headers: ['a', 'b'], body: '{}', keepBytes: 1_000 };
const yes = { mayStart: () => true };

function call(client: HttpClient, more: Partial<HttpRequest> = {}, guard = yes): Promise<HttpResult> {
  return new Promise((resolve) => {
    client.start({ ...request, ...more }, guard, resolve);
  });
}

const failingLookup: LookupFunction = (_, __, done) => done(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 0);

const answer = (body: string, head = '') => `HTTP/1.1 200 OK\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe('a call that is answered', () => {
  it('gives status, headers and body', async () => {
    const server = await startServer((socket) => socket.write(answer('{"id":1}', 'x-one: 1\r\n')));
    const result = await call(open(server.origin));
    expect(result).toMatchObject({ status: 'answered', code: 200, text: '{"id":1}', isWhole: true });
    expect(result.status === 'answered' && result.headers.map(String)).toEqual(['x-one', '1', 'content-length', '8']);
    expect(server.requests[0]).toMatch(/^POST \/x HTTP\/1\.1\r\n.*a: b\r\n.*\r\n\r\n\{\}$/s);
  });

  it('puts a body together that comes in pieces, and ignores an early hint', async () => {
    const server = await startServer((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      setImmediate(() => socket.write('4\r\ndefg\r\n0\r\n\r\n'));
    });
    expect(await call(open(server.origin))).toMatchObject({ code: 200, text: 'abcdefg', isWhole: true });
  });

  it('reads to the end what it does not keep, and uses the connection again', async () => {
    const server = await startServer((socket) => socket.write(answer('x'.repeat(500))));
    const client = open(server.origin);
    for (let index = 0; index < 5; index += 1) {
      expect(await call(client, { keepBytes: 10 })).toMatchObject({ code: 200, text: 'x'.repeat(10), isWhole: false });
    }
    expect(await call(client, { keepBytes: 0 })).toMatchObject({ text: '', isWhole: false });
    expect(server.sockets).toHaveLength(1);
  });

  it('keeps of a refusal only a part', async () => {
    const server = await startServer((socket) => socket.write(`HTTP/1.1 400 Bad\r\ncontent-length: 300\r\n\r\n${'x'.repeat(300)}`));
    expect(await call(open(server.origin))).toMatchObject({ code: 400, text: 'x'.repeat(100), isWhole: false });
  });

  it('has its connection ended when it is longer than allowed', async () => {
    const server = await startServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const timer = setInterval(() => socket.write(`64\r\n${'x'.repeat(100)}\r\n`), 1);
      socket.once('close', () => clearInterval(timer));
    });
    expect(await call(open(server.origin), { keepBytes: 5 })).toMatchObject({
      status: 'answered',
      code: 200,
      text: 'xxxxx',
      isWhole: false,
    });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });

  it('can be followed at once by another on the same connection', async () => {
    const server = await startServer((socket) => socket.write(answer('{}')));
    const client = open(server.origin);
    await new Promise<void>((resolve) => {
      let left = 50;
      const next = () => {
        left -= 1;
        if (left === 0) resolve();
        else client.start(request, yes, next);
      };
      client.start(request, yes, next);
    });
    expect(server.requests).toHaveLength(50);
    expect(server.sockets).toHaveLength(1);
  });

  it('opens a new connection after one that the server closes', async () => {
    const server = await startServer((socket) => socket.end(answer('{}', 'connection: close\r\n')));
    const client = open(server.origin);
    expect(await call(client)).toMatchObject({ code: 200 });
    expect(await call(client)).toMatchObject({ code: 200 });
    expect(server.sockets).toHaveLength(2);
  });
});

describe('a call that is not answered in full', () => {
  it('is lost when no answer comes in time, and its connection ends', async () => {
    const server = await startServer(() => {});
    expect(await call(open(server.origin, { timeoutMs: 50 }))).toMatchObject({ status: 'lost', code: 'timeout' });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });

  it('is lost when headers come drop by drop', async () => {
    const server = await startServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('x: y\r\n'), 5);
      socket.once('close', () => clearInterval(timer));
    });
    expect(await call(open(server.origin, { timeoutMs: 100 }))).toMatchObject({ status: 'lost', code: 'timeout' });
  });

  it('is lost when a success stops within its body', async () => {
    const server = await startServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(open(server.origin, { timeoutMs: 100 }))).toMatchObject({ status: 'lost', code: 'timeout' });
  });

  it('is lost when the connection ends within a success', async () => {
    const server = await startServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(open(server.origin))).toMatchObject({ status: 'lost', code: 'answer_cut' });
  });

  it('is refused all the same when a refusal stops within its body', async () => {
    const stopping = await startServer((socket) => socket.write('HTTP/1.1 422 No\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(open(stopping.origin, { timeoutMs: 100 }))).toMatchObject({
      status: 'answered',
      code: 422,
      text: 'half',
      isWhole: false,
    });
    const ending = await startServer((socket) => socket.end('HTTP/1.1 422 No\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(open(ending.origin))).toMatchObject({ status: 'answered', code: 422, isWhole: false });
  });

  it('is lost when the connection is reset after the call was sent', async () => {
    const server = await startServer((socket) => socket.resetAndDestroy());
    expect(await call(open(server.origin))).toMatchObject({ status: 'lost', code: 'connection_lost' });
  });

  it.each(['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'])(
    'is lost when what comes is not HTTP: %j',
    async (bytes) => {
      const server = await startServer((socket) => socket.write(bytes));
      expect(await call(open(server.origin))).toMatchObject({ status: 'lost', code: 'malformed_answer' });
    },
  );

  it('is lost when the headers have no end', async () => {
    const server = await startServer((socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1_000)}\r\n`.repeat(100)}`));
    expect(await call(open(server.origin))).toMatchObject({ status: 'lost', code: 'malformed_answer' });
  });

  it('leaves the client fit for the next call', async () => {
    const server = await startServer((socket, index) => {
      if (index === 0) socket.resetAndDestroy();
      else if (index !== 1) socket.write(answer('{}'));
    });
    const client = open(server.origin, { maxConnections: 1, timeoutMs: 200 });
    expect(await call(client)).toMatchObject({ code: 'connection_lost' });
    expect(await call(client)).toMatchObject({ code: 'timeout' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
  });
});

describe('a call that gets no connection', () => {
  it('is unconnected when nothing listens', async () => {
    const server = await startServer(() => {});
    const { origin } = server;
    await closing.pop()?.();
    const client = open(origin);
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connection_refused' });
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connection_refused' });
  });

  it('is unconnected when the name does not resolve', async () => {
    const connect = buildConnector({
      lookup: failingLookup,
    } as object);
    expect(await call(open('http://nowhere.test', { connect }))).toMatchObject({ status: 'unconnected', code: 'host_not_found' });
  });

  it('is unconnected when the connection takes longer than the call may', async () => {
    const client = open('http://slow.test', { connect: () => {}, timeoutMs: 50 });
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connect_timeout' });
  });

  it('is unconnected when the other side speaks no TLS', async () => {
    const server = await startServer(() => {});
    const client = open(server.origin.replace('http:', 'https:'));
    const result = call(client);
    await eventually(() => server.sockets.length > 0);
    server.sockets[0]?.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await result).toMatchObject({ status: 'unconnected', code: 'tls_failed' });
  });

  it('is unconnected when it cannot be written as HTTP', async () => {
    const server = await startServer((socket) => socket.write(answer('{}')));
    const client = open(server.origin);
    expect(await call(client, { path: 'no slash' })).toMatchObject({ status: 'unconnected', code: 'invalid_request' });
    expect(await call(client, { headers: ['x', 'a\r\nb: c'] })).toMatchObject({ status: 'unconnected', code: 'invalid_request' });
    expect(server.requests).toEqual([]);
  });
});

describe('the guard', () => {
  it('is asked when there is a connection, not before', async () => {
    const asked: number[] = [];
    const server = await startServer((socket) => socket.write(answer('{}')));
    const result = await call(open(server.origin), {}, { mayStart: () => asked.push(server.sockets.length) > 0 });
    expect(result).toMatchObject({ status: 'answered' });
    expect(asked).toHaveLength(1);
  });

  it('that says no leaves the call unsent and the connection usable', async () => {
    const server = await startServer((socket) => socket.write(answer('{}')));
    const client = open(server.origin);
    expect(await call(client, {}, { mayStart: () => false })).toMatchObject({ status: 'unsent' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
    expect(await call(client, {}, { mayStart: () => false })).toMatchObject({ status: 'unsent' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
    expect(server.sockets).toHaveLength(1);
    expect(server.requests).toHaveLength(2);
  });
});

describe('the end of a call', () => {
  it('never comes before start has returned', async () => {
    const server = await startServer((socket) => socket.write(answer('{}')));
    const client = open(server.origin);
    await call(client);
    await new Promise(setImmediate);
    let hasReturned = false;
    const seen: boolean[] = [];
    const ended = Promise.all(
      [{ path: 'no slash' }, {}].map(
        (more) =>
          new Promise<void>((resolve) => {
            client.start({ ...request, ...more }, { mayStart: () => false }, () => {
              seen.push(hasReturned);
              resolve();
            });
          }),
      ),
    );
    hasReturned = true;
    await ended;
    expect(seen).toEqual([true, true]);
  });

  it('comes once, whatever happens afterwards', async () => {
    const server = await startServer((socket, index) => {
      if (index > 0) socket.write(answer('{}'));
    });
    const client = open(server.origin);
    const results: HttpResult[] = [];
    const inFlight = client.start(request, yes, (result) => results.push(result));
    await eventually(() => server.requests.length > 0);
    inFlight.abort('first');
    inFlight.abort('second');
    server.sockets[0]?.write(answer('{}'));
    await call(client);
    expect(results).toEqual([{ status: 'lost', code: 'aborted', message: 'the call was cut: first' }]);
  });
});

describe('cutting a call', () => {
  it('before it has a connection leaves it unsent: the server never sees it', async () => {
    const server = await startServer((socket) => socket.write(answer('{}')));
    const client = open(server.origin);
    const result = new Promise<HttpResult>((resolve) => {
      client.start(request, yes, resolve).abort('stop');
    });
    expect(await result).toEqual({ status: 'unsent', reason: 'stop' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
    expect(server.requests).toHaveLength(1);
  });

  it('after it was sent ends its connection', async () => {
    const server = await startServer(() => {});
    const client = open(server.origin);
    let result: HttpResult | undefined;
    const inFlight = client.start(request, yes, (ended) => {
      result = ended;
    });
    await eventually(() => server.requests.length > 0);
    inFlight.abort('stop');
    expect(result).toMatchObject({ status: 'lost', code: 'aborted' });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });

  it('is done to all of them when the client closes', async () => {
    const server = await startServer(() => {});
    const client = open(server.origin, { maxConnections: 1 });
    const results = [call(client), call(client)];
    await eventually(() => server.requests.length > 0);
    await client.close();
    expect(await Promise.all(results)).toMatchObject([{ status: 'lost' }, { status: 'unsent' }]);
    expect(await call(client)).toEqual({ status: 'unsent', reason: 'closed' });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });
});

describe('connections', () => {
  it('are never more than allowed: further calls wait for one', async () => {
    const held: Socket[] = [];
    const server = await startServer((socket) => held.push(socket));
    const client = open(server.origin, { maxConnections: 3 });
    const results = Array.from({ length: 10 }, () => call(client));
    for (let answered = 0; answered < 10; answered += 1) {
      await eventually(() => held.length > 0);
      expect(held.length).toBeLessThanOrEqual(3);
      held.shift()?.write(answer('{}'));
    }
    expect((await Promise.all(results)).every((result) => result.status === 'answered')).toBe(true);
    expect(server.sockets).toHaveLength(3);
  });

  it('that never become free leave waiting calls unsent in the end', async () => {
    const server = await startServer(() => {});
    // Both become due at the same moment of this clock: one round ends both.
    let ms = 0;
    const client = open(server.origin, { maxConnections: 1, timeoutMs: 100, monotonicMs: () => ms });
    setTimeout(() => {
      ms = 100;
    }, 100);
    const [first, second] = await Promise.all([call(client), call(client)]);
    expect(first).toMatchObject({ status: 'lost', code: 'timeout' });
    expect(['unsent', 'unconnected']).toContain(second?.status);
    expect(server.requests).toHaveLength(1);
  });
});
