// @ts-check
import { connect } from 'node:net';

/**
 * Sends one command over a connection of its own and gives the reply's text. Enough for set-up and readiness checks, before and
 * without any client library: status, error, integer and bulk replies only.
 * @param {number} port
 * @param {readonly string[]} command
 * @param {{ host?: string, timeoutMs?: number }} [options]
 * @returns {Promise<string>} rejects on an error reply, a refused connection and a time-out
 */
export function askRedis(port, command, { host = '127.0.0.1', timeoutMs = 2_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host });
    let received = Buffer.alloc(0);
    const finish = (/** @type {string | Error} */ outcome) => {
      socket.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => finish(new Error(`no answer to ${command[0]} within ${timeoutMs} ms`)));
    socket.on('error', finish);
    socket.on('close', () => finish(new Error(`connection closed before an answer to ${command[0]}`)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const reply = parseReply(received);
      if (reply !== undefined) finish(reply);
    });
    socket.write(`*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`);
  });
}

/**
 * @param {Buffer} received
 * @returns {string | Error | undefined} undefined while the reply is incomplete
 */
function parseReply(received) {
  const end = received.indexOf('\r\n');
  if (end < 0) return undefined;
  const line = received.toString('utf8', 1, end);
  const kind = received.toString('latin1', 0, 1);
  if (kind === '-') return new Error(line);
  if (kind !== '$') return line;
  const length = Number(line);
  if (length < 0) return '';
  return received.length >= end + 2 + length ? received.toString('utf8', end + 2, end + 2 + length) : undefined;
}
