// @ts-check
/**
 * A service process that is started again when it dies, at once the first time and then ever later, up to five seconds, until it has
 * lived for a while. Its log is made readable: one line an entry, named for the process.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guardChild } from './child-guard.mjs';
import { readableLine } from './readable-line.mjs';

const longestPauseMs = 5_000;
const settledAfterMs = 10_000;

/**
 * @typedef {object} SupervisedProcess
 * @property {string} name
 * @property {() => number | undefined} pid
 * @property {() => number} deaths how often it has ended by itself
 * @property {(graceMs: number) => Promise<void>} stop SIGTERM, SIGKILL after the grace
 */

/**
 * @param {object} options
 * @param {string} options.name
 * @param {readonly string[]} options.args what Node is given: flags and the script
 * @param {string} options.cwd
 * @param {NodeJS.ProcessEnv} options.env
 * @param {(line: string) => void} options.print
 * @returns {SupervisedProcess}
 */
export function superviseProcess({ name, args, cwd, env, print }) {
  let isStopping = false;
  let deaths = 0;
  let quickDeaths = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let child;
  /** @type {NodeJS.Timeout | undefined} */
  let restart;

  function start() {
    const startedAt = performance.now();
    const started = spawn(process.execPath, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      createInterface({ input: stream }).on('line', (line) => print(`${name}: ${readableLine(line)}`));
    }
    const release = started.pid === undefined ? () => {} : guardChild(started.pid, { signal: 'TERM' });
    started.once('close', (code, signal) => {
      release();
      child = undefined;
      if (isStopping) return;
      deaths += 1;
      quickDeaths = performance.now() - startedAt > settledAfterMs ? 0 : quickDeaths + 1;
      const pauseMs = Math.min(longestPauseMs, quickDeaths * quickDeaths * 200);
      print(
        `${name}: ended (${signal ?? `code ${code}`}), starting another${pauseMs > 1_000 ? ` in ${Math.round(pauseMs / 1_000)} s` : ''}`,
      );
      restart = setTimeout(() => {
        start();
        print(`${name}: pid ${child?.pid}`);
      }, pauseMs);
    });
  }

  start();
  return {
    name,
    pid: () => child?.pid,
    deaths: () => deaths,
    async stop(graceMs) {
      isStopping = true;
      clearTimeout(restart);
      const running = child;
      if (!running) return;
      const ended = new Promise((resolve) => running.once('close', resolve));
      running.kill('SIGTERM');
      const timer = setTimeout(() => running.kill('SIGKILL'), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
