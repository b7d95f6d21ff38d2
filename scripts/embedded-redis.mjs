// @ts-check
/**
 * The Redis of `npm start`: its append-only file under .sluice/, a free port, ended after everything that uses it, and started again
 * on the same port if it dies. Two servers on one append-only file would spoil it, so one that a crash left behind is ended first.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askRedis } from './redis-ask.mjs';
import { runRedisServer } from './redis-server.mjs';

const settings = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];
/** Long enough for the processes that use it to finish what they are doing when all of us were killed at once. */
const guard = /** @type {const} */ ({ signal: 'TERM', delaySeconds: 3 });

/**
 * @param {string} folder
 * @param {(line: string) => void} print
 */
export async function startEmbeddedRedis(folder, print) {
  mkdirSync(folder, { recursive: true });
  const note = join(folder, 'process.json');
  await endLeftover(note);
  let isStopping = false;
  let server = await run();

  /** @param {number} [port] */
  async function run(port) {
    const started = await runRedisServer({
      dir: folder,
      args: settings,
      guard,
      readyTimeoutMs: 120_000,
      ...(port !== undefined && { port }),
    });
    writeFileSync(note, JSON.stringify({ pid: started.pid, port: started.port }));
    void started.ended.then(({ code, signal }) => {
      if (!isStopping) void revive(`ended (${signal ?? `code ${code}`})`);
    });
    return started;
  }

  /** @param {string} reason */
  async function revive(reason) {
    print(`redis: ${reason}, starting another`);
    for (let tries = 1; !isStopping; tries += 1) {
      try {
        server = await run(server.port);
        return;
      } catch (error) {
        print(`redis: ${error instanceof Error ? error.message : error}`);
        await delay(Math.min(5_000, 500 * tries));
      }
    }
  }

  return {
    url: `redis://127.0.0.1:${server.port}`,
    async stop() {
      isStopping = true;
      server.child.kill('SIGTERM');
      await server.ended;
      rmSync(note, { force: true });
    },
  };
}

/**
 * Ends the server that an earlier start noted, if it still runs: the port has to be answered by that very process.
 * @param {string} note
 */
async function endLeftover(note) {
  const last = readNote(note);
  if (!last) return;
  const isRunning = async () => {
    try {
      return (await askRedis(last.port, ['INFO', 'server'])).includes(`process_id:${last.pid}\r`);
    } catch {
      return false;
    }
  };
  if (!(await isRunning())) return;
  // It closes the connection instead of answering.
  await askRedis(last.port, ['SHUTDOWN']).catch(() => {});
  for (let tries = 0; tries < 100 && (await isRunning()); tries += 1) await delay(100);
  if (await isRunning()) throw new Error(`a Redis server of an earlier start (process ${last.pid}) does not end; end it and try again`);
}

/**
 * @param {string} note
 * @returns {{ pid: number, port: number } | undefined}
 */
function readNote(note) {
  try {
    return JSON.parse(readFileSync(note, 'utf8'));
  } catch {
    return undefined;
  }
}
