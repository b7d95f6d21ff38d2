// @ts-check
/**
 * Runs a Redis (or Valkey) server of our own as a child: on a free port of the loopback interface, in a given directory, ended with
 * us. Used by `npm start` and by the tests.
 */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { guardChild } from './child-guard.mjs';
import { findExecutable } from './find-executable.mjs';
import { freePort } from './free-port.mjs';
import { askRedis } from './redis-ask.mjs';

/**
 * @typedef {object} RunningServer
 * @property {number} port
 * @property {number} pid
 * @property {import('node:child_process').ChildProcess} child
 * @property {Promise<{ code: number | null, signal: NodeJS.Signals | null }>} ended
 * @property {() => string} log what the server has printed, its last 16 KiB
 */

/** The first of redis-server and valkey-server on the PATH. */
export function findRedisServer() {
  return findExecutable(['redis-server', 'valkey-server']);
}

/**
 * Starts a server and resolves when it answers, its append-only file loaded. Without `port` a free one is taken, again if
 * somebody else gets there first.
 * @param {{ dir: string, args?: readonly string[], port?: number, guard?: Parameters<typeof guardChild>[1], readyTimeoutMs?: number }} options
 * @returns {Promise<RunningServer>}
 */
export async function runRedisServer({ dir, args = [], port, guard = {}, readyTimeoutMs = 30_000 }) {
  const binary = findRedisServer();
  if (binary === undefined) throw new Error('no redis-server on the PATH: run `node scripts/setup.mjs`');
  for (let attempt = 1; ; attempt += 1) {
    const server = launch(binary, port ?? (await freePort()), dir, args, guard);
    const problem = await answers(server, readyTimeoutMs);
    if (problem === undefined) return server;
    server.child.kill('SIGKILL');
    await server.ended;
    if (attempt >= 5 || !problem.includes('Address already in use')) throw new Error(`redis-server did not start: ${problem}`);
    // A server that was just ended on this very port may not have let go of it yet.
    if (port !== undefined) await delay(100 * attempt);
  }
}

/**
 * @param {string} binary
 * @param {number} port
 * @param {string} dir
 * @param {readonly string[]} args
 * @param {Parameters<typeof guardChild>[1]} guard
 * @returns {RunningServer}
 */
function launch(binary, port, dir, args, guard) {
  const base = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--daemonize', 'no', '--loglevel', 'warning'];
  const child = spawn(binary, [...base, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let log = '';
  const keep = (/** @type {Buffer} */ chunk) => {
    log = (log + chunk.toString('utf8')).slice(-16_384);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const release = child.pid === undefined ? () => {} : guardChild(child.pid, guard);
  const ended = new Promise((/** @type {(end: Awaited<RunningServer['ended']>) => void} */ resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  void ended.then(release);
  return { port, pid: child.pid ?? 0, child, ended, log: () => log };
}

/**
 * @param {RunningServer} server
 * @param {number} timeoutMs
 * @returns {Promise<string | undefined>} what is wrong, or undefined once it answers
 */
async function answers(server, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  let hasEnded = false;
  void server.ended.then(() => {
    hasEnded = true;
  });
  let last = 'no answer';
  while (performance.now() < deadline) {
    if (hasEnded) return server.log().trim() || 'it ended at once';
    try {
      const info = await askRedis(server.port, ['INFO', 'all']);
      // Somebody else's server may hold the port.
      if (!info.includes(`process_id:${server.pid}\r`)) last = 'another server answers: Address already in use';
      else if (!info.includes('loading:1')) return undefined;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await delay(10);
  }
  return `${last} within ${timeoutMs} ms`;
}
