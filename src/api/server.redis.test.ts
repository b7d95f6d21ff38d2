/** What Node itself answers in place of the routes, on the wire. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi();

/** Everything that comes back until the server hangs up. */
function send(...lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(api.api.port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('close', () => resolve(text));
    socket.once('error', reject);
  });
}

describe('a request that no route gets to see', () => {
  it.each([
    ['without Host', ['GET /healthz HTTP/1.1'], 400, 'bad_request'],
    [
      'without Host, to the direct path',
      ['POST /sync HTTP/1.1', 'content-type: application/json', 'content-length: 0'],
      400,
      'bad_request',
    ],
    ['with an expectation that is not met', ['GET /healthz HTTP/1.1', 'host: x', 'expect: foo'], 417, 'expectation_failed'],
    ['with both', ['POST /sync HTTP/1.1', 'expect: foo', 'content-length: 5'], 417, 'expectation_failed'],
    ['that is not HTTP', ['nonsense'], 400, 'bad_request'],
    ['with headers that are too large', ['GET /healthz HTTP/1.1', 'host: x', `long: ${'x'.repeat(20_000)}`], 431, 'headers_too_large'],
  ])('%s is answered with a problem, and the connection ends', async (_, lines, status, code) => {
    const answer = await send(...lines);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(head.toLowerCase()).toContain('content-type: application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  it('is none where HTTP/1.0 has no Host, or the Host is empty', async () => {
    expect(await send('GET /healthz HTTP/1.0')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await send('GET /healthz HTTP/1.1', 'host:', 'connection: close')).toMatch(/^HTTP\/1\.1 (200|400) /);
  });

  it('is none where it expects to be told to go on', async () => {
    const answer = await send('POST /sync HTTP/1.1', 'host: x', 'expect: 100-continue', 'connection: close', 'content-length: 0');
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 415 /);
  });
});
