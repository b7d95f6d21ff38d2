// @ts-check
/**
 * Makes a fresh clone ready: checks Node's version, installs a Redis server and the npm packages where they are missing. Needs nothing
 * but Node itself, says nothing when there is nothing to do, and may run several times at once.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { acquireLock } from './folder-lock.mjs';
import { installPackages, packagesAreCurrent } from './install-packages.mjs';
import { installRedis } from './install-redis.mjs';
import { findRedisServer } from './redis-server.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const oldestNode = [20, 19];

/**
 * Exits with a message and code 1 when something is missing that cannot be installed from here.
 * @param {{ needsRedis?: boolean }} [options]
 */
export async function setUp({ needsRedis = true } = {}) {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < /** @type {number} */ (oldestNode[0]) || (major === oldestNode[0] && minor < /** @type {number} */ (oldestNode[1]))) {
    stop(`Node ${oldestNode.join('.')} or later is needed; this is ${process.versions.node}.`);
  }
  if (packagesAreCurrent(root) && (!needsRedis || findRedisServer() !== undefined)) return;
  const release = await lock();
  try {
    // Redis first: where none can be had, that is said at once.
    if (needsRedis && findRedisServer() === undefined) {
      step('installing a Redis server', () => installRedis());
      if (findRedisServer() === undefined) stop('A Redis server was installed but is not on the PATH: open a new shell and try again.');
    }
    if (!packagesAreCurrent(root)) step('installing npm packages', () => installPackages(root));
  } finally {
    release();
  }
}

/**
 * @param {string} name
 * @param {() => { status: 'done' } | { status: 'failed', message: string }} work
 */
function step(name, work) {
  console.log(`set-up: ${name} ...`);
  const outcome = work();
  if (outcome.status === 'failed') stop(outcome.message);
}

/** Waits for another set-up in this folder; its result is then found done. */
async function lock() {
  const file = join(root, '.sluice/setup.lock');
  for (let tries = 0; ; tries += 1) {
    const lock = acquireLock(file);
    if (lock.status === 'acquired') {
      process.once('exit', lock.release);
      return lock.release;
    }
    if (tries === 0) console.log(`set-up: waiting for the one that is running (process ${lock.pid}) ...`);
    await delay(200);
  }
}

/**
 * @param {string} message
 * @returns {never}
 */
function stop(message) {
  console.error(message);
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await setUp();
