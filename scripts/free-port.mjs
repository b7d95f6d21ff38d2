// @ts-check
import { createServer } from 'node:net';

/**
 * A port that was free a moment ago; `preferred` if it is. Whoever binds it may still lose a race and has to try again.
 * @param {number} [preferred]
 * @param {string} [host]
 * @returns {Promise<number>}
 */
export async function freePort(preferred = 0, host = '127.0.0.1') {
  if (preferred !== 0 && (await canListen(preferred, host)) === preferred) return preferred;
  const port = await canListen(0, host);
  if (port === undefined) throw new Error(`no free port on ${host}`);
  return port;
}

/**
 * @param {number} port
 * @param {string} host
 * @returns {Promise<number | undefined>} the port, or undefined if it is taken
 */
function canListen(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}
