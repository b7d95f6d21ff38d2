import type { LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { describe, expect, it } from 'vitest';
import { answer, startByteServer } from '../../../test/support/byte-server.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { call, openClient, request, yes } from '../../../test/support/http-calls.ts';

const failingLookup: LookupFunction = (_, __, done) => done(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 0);

describe('a call that is answered', () => {
  it('gives status, headers and body', async () => {
    const server = await startByteServer((socket) => socket.write(answer('{"id":1}', 'x-one: 1\r\n')));
    const result = await call(openClient(server.origin));
    expect(result).toMatchObject({ status: 'answered', code: 200, text: '{"id":1}', isWhole: true });
    expect(result.status === 'answered' && result.headers.map(String)).toEqual(['x-one', '1', 'content-length', '8']);
    expect(server.requests[0]).toMatch(/^POST \/x HTTP\/1\.1\r\n.*a: b\r\n.*\r\n\r\n\{\}$/s);
  });

  it('puts a body together that comes in pieces, and ignores an early hint', async () => {
    const server = await startByteServer((socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      setImmediate(() => socket.write('4\r\ndefg\r\n0\r\n\r\n'));
    });
    expect(await call(openClient(server.origin))).toMatchObject({ code: 200, text: 'abcdefg', isWhole: true });
  });

  it('reads to the end what it does not keep, and uses the connection again', async () => {
    const server = await startByteServer((socket) => socket.write(answer('x'.repeat(500))));
    const client = openClient(server.origin);
    for (let index = 0; index < 5; index += 1) {
      expect(await call(client, { keepBytes: 10 })).toMatchObject({ code: 200, text: 'x'.repeat(10), isWhole: false });
    }
    expect(await call(client, { keepBytes: 0 })).toMatchObject({ text: '', isWhole: false });
    expect(server.sockets).toHaveLength(1);
  });

  it('keeps of a refusal only a part', async () => {
    const server = await startByteServer((socket) => socket.write(`HTTP/1.1 400 Bad\r\ncontent-length: 300\r\n\r\n${'a'.repeat(300)}`));
    expect(await call(openClient(server.origin))).toMatchObject({ code: 400, text: 'a'.repeat(100), isWhole: false });
  });

  it('has its connection ended when it is longer than allowed', async () => {
    const server = await startByteServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const timer = setInterval(() => socket.write(`64\r\n${'a'.repeat(100)}\r\n`), 1);
      socket.once('close', () => clearInterval(timer));
    });
    expect(await call(openClient(server.origin), { keepBytes: 5 })).toMatchObject({
      status: 'answered',
      code: 200,
      text: 'aaaaa',
      isWhole: false,
    });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });

  it('can be followed at once by another on the same connection', async () => {
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const client = openClient(server.origin);
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
    const server = await startByteServer((socket) => socket.end(answer('{}', 'connection: close\r\n')));
    const client = openClient(server.origin);
    expect(await call(client)).toMatchObject({ code: 200 });
    expect(await call(client)).toMatchObject({ code: 200 });
    expect(server.sockets).toHaveLength(2);
  });
});

describe('a call that is not answered in full', () => {
  it('is lost when no answer comes in time, and its connection ends', async () => {
    const server = await startByteServer(() => {});
    expect(await call(openClient(server.origin, { timeoutMs: 50 }))).toMatchObject({ status: 'lost', code: 'timeout' });
    await eventually(() => server.sockets[0]?.destroyed === true);
  });

  it('is lost when headers come drop by drop', async () => {
    const server = await startByteServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('x: y\r\n'), 5);
      socket.once('close', () => clearInterval(timer));
    });
    expect(await call(openClient(server.origin, { timeoutMs: 100 }))).toMatchObject({ status: 'lost', code: 'timeout' });
  });

  it('is lost when a success stops within its body', async () => {
    const server = await startByteServer((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(openClient(server.origin, { timeoutMs: 100 }))).toMatchObject({ status: 'lost', code: 'timeout' });
  });

  it('is lost when the connection ends within a success', async () => {
    const server = await startByteServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(openClient(server.origin))).toMatchObject({ status: 'lost', code: 'answer_cut' });
  });

  it('is refused all the same when a refusal stops within its body', async () => {
    const stopping = await startByteServer((socket) => socket.write('HTTP/1.1 422 No\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(openClient(stopping.origin, { timeoutMs: 100 }))).toMatchObject({
      status: 'answered',
      code: 422,
      text: 'half',
      isWhole: false,
    });
    const ending = await startByteServer((socket) => socket.end('HTTP/1.1 422 No\r\ncontent-length: 10\r\n\r\nhalf'));
    expect(await call(openClient(ending.origin))).toMatchObject({ status: 'answered', code: 422, isWhole: false });
  });

  it('is lost when the connection is reset after the call was sent', async () => {
    const server = await startByteServer((socket) => socket.resetAndDestroy());
    expect(await call(openClient(server.origin))).toMatchObject({ status: 'lost', code: 'connection_lost' });
  });

  it.each(['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'])(
    'is lost when what comes is not HTTP: %j',
    async (bytes) => {
      const server = await startByteServer((socket) => socket.write(bytes));
      expect(await call(openClient(server.origin))).toMatchObject({ status: 'lost', code: 'malformed_answer' });
    },
  );

  it('is lost when the headers have no end', async () => {
    const server = await startByteServer((socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1_000)}\r\n`.repeat(100)}`));
    expect(await call(openClient(server.origin))).toMatchObject({ status: 'lost', code: 'malformed_answer' });
  });

  it('leaves the client fit for the next call', async () => {
    const server = await startByteServer((socket, index) => {
      if (index === 0) socket.resetAndDestroy();
      else if (index !== 1) socket.write(answer('{}'));
    });
    const client = openClient(server.origin, { maxConnections: 1, timeoutMs: 200 });
    expect(await call(client)).toMatchObject({ code: 'connection_lost' });
    expect(await call(client)).toMatchObject({ code: 'timeout' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
  });
});

describe('a call that gets no connection', () => {
  it('is unconnected when nothing listens', async () => {
    const server = await startByteServer(() => {});
    await server.close();
    const client = openClient(server.origin);
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connection_refused' });
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connection_refused' });
  });

  it('is unconnected when the name does not resolve', async () => {
    const connect = buildConnector({
      lookup: failingLookup,
    } as object);
    expect(await call(openClient('http://nowhere.test', { connect }))).toMatchObject({ status: 'unconnected', code: 'host_not_found' });
  });

  it('is unconnected when the connection takes longer than the call may', async () => {
    const client = openClient('http://slow.test', { connect: () => {}, timeoutMs: 50 });
    expect(await call(client)).toMatchObject({ status: 'unconnected', code: 'connect_timeout' });
  });

  it('is unconnected when the other side speaks no TLS', async () => {
    const server = await startByteServer(() => {});
    const client = openClient(server.origin.replace('http:', 'https:'));
    const result = call(client);
    await eventually(() => server.sockets.length > 0);
    server.sockets[0]?.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await result).toMatchObject({ status: 'unconnected', code: 'tls_failed' });
  });

  it('is unconnected when it cannot be written as HTTP', async () => {
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const client = openClient(server.origin);
    expect(await call(client, { path: 'no slash' })).toMatchObject({ status: 'unconnected', code: 'invalid_request' });
    expect(await call(client, { headers: ['x', 'a\r\nb: c'] })).toMatchObject({ status: 'unconnected', code: 'invalid_request' });
    expect(server.requests).toEqual([]);
  });
});
