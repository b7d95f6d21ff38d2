/** When a call may take a connection, and what becomes of both when it ends or is cut. */
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { answer, startByteServer } from '../../../test/support/byte-server.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { call, openClient, request, yes } from '../../../test/support/http-calls.ts';
import type { HttpResult } from './http-call.ts';

describe('the guard', () => {
  it('is asked when there is a connection, not before', async () => {
    const asked: number[] = [];
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const result = await call(openClient(server.origin), {}, { mayStart: () => asked.push(server.sockets.length) > 0 });
    expect(result).toMatchObject({ status: 'answered' });
    expect(asked).toHaveLength(1);
  });

  it('that says no leaves the call unsent and the connection usable', async () => {
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const client = openClient(server.origin);
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
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const client = openClient(server.origin);
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
    const server = await startByteServer((socket, index) => {
      if (index > 0) socket.write(answer('{}'));
    });
    const client = openClient(server.origin);
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
    const server = await startByteServer((socket) => socket.write(answer('{}')));
    const client = openClient(server.origin);
    const result = new Promise<HttpResult>((resolve) => {
      client.start(request, yes, resolve).abort('stop');
    });
    expect(await result).toEqual({ status: 'unsent', reason: 'stop' });
    expect(await call(client)).toMatchObject({ status: 'answered' });
    expect(server.requests).toHaveLength(1);
  });

  it('after it was sent ends its connection', async () => {
    const server = await startByteServer(() => {});
    const client = openClient(server.origin);
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
    const server = await startByteServer(() => {});
    const client = openClient(server.origin, { maxConnections: 1 });
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
    const server = await startByteServer((socket) => held.push(socket));
    const client = openClient(server.origin, { maxConnections: 3 });
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
    const server = await startByteServer(() => {});
    // Both become due at the same moment of this clock: one round ends both.
    let ms = 0;
    const client = openClient(server.origin, { maxConnections: 1, timeoutMs: 100, monotonicMs: () => ms });
    setTimeout(() => {
      ms = 100;
    }, 100);
    const [first, second] = await Promise.all([call(client), call(client)]);
    expect(first).toMatchObject({ status: 'lost', code: 'timeout' });
    expect(['unsent', 'unconnected']).toContain(second?.status);
    expect(server.requests).toHaveLength(1);
  });
});
