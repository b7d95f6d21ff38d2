/**
 * What a trial runs on: a fresh Redis, Sluice's own processes from dist/, and the bench's programs, each a real process. All of it
 * ends with the trial, or with the bench whatever becomes of that.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { guardChild } from '../scripts/child-guard.mjs';
import { freePort } from '../scripts/free-port.mjs';
import { nodeEnvironment, nodeFlags } from '../scripts/node-flags.mjs';
import { askRedis } from '../scripts/redis-ask.mjs';
import { runRedisServer } from '../scripts/redis-server.mjs';
import { type Program, startProgram } from './program.ts';
import type { Commands } from './programs/commands.ts';

/** The bundled bench lies in .sluice/bench/. */
const root = fileURLToPath(new URL('../..', import.meta.url));
const readyTimeoutMs = 20_000;

export interface RedisProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** `used_memory`, bytes. */
  usedBytes(): Promise<number>;
}

export interface ServiceProcess {
  readonly pid: number;
  readonly port: number;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
}

export interface WorkerOptions {
  /** A CPU profile is written there when it stops. */
  readonly profileDir?: string | undefined;
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Stage {
  /** Empty, without persistence. */
  redis(): Promise<RedisProcess>;
  program<C extends Commands>(name: string): Program<C>;
  api(redis: RedisProcess, settings?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  worker(redis: RedisProcess, options?: WorkerOptions): Promise<ServiceProcess>;
}

export async function onStage<T>(act: (stage: Stage) => Promise<T>): Promise<T> {
  const ends: (() => Promise<void>)[] = [];
  const stage: Stage = {
    async redis() {
      const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
      const server = await runRedisServer({ dir, args: ['--appendonly', 'no'] });
      ends.push(async () => {
        server.child.kill('SIGKILL');
        await server.ended;
        await rm(dir, { recursive: true, force: true });
      });
      return { url: `redis://127.0.0.1:${server.port}`, port: server.port, pid: server.pid, usedBytes: () => usedBytes(server.port) };
    },
    program<C extends Commands>(name: string) {
      const program = startProgram<C>(name);
      ends.push(() => program.stop());
      return program;
    },
    async api(redis, settings = {}) {
      const service = await startService('api', { portName: 'PORT', redis, settings, nodeArgs: [] });
      ends.push(() => service.kill());
      return service;
    },
    async worker(redis, { profileDir, settings = {} } = {}) {
      const nodeArgs = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
      const service = await startService('worker', { portName: 'METRICS_PORT', redis, settings, nodeArgs });
      ends.push(() => service.kill());
      return service;
    },
  };
  try {
    return await act(stage);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function usedBytes(port: number): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await askRedis(port, ['INFO', 'memory']))?.[1]);
}

interface ServiceOptions {
  readonly portName: string;
  readonly redis: RedisProcess;
  readonly settings: Readonly<Record<string, string>>;
  readonly nodeArgs: readonly string[];
}

async function startService(name: 'api' | 'worker', options: ServiceOptions): Promise<ServiceProcess> {
  const port = await freePort();
  const env = {
    ...nodeEnvironment[name],
    PATH: process.env['PATH'] ?? '',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'error',
    SLUICE_ALLOW_PRIVATE_NETWORKS: 'true',
    REDIS_URL: options.redis.url,
    [options.portName]: String(port),
    ...options.settings,
  };
  const child = spawn(process.execPath, [...nodeFlags[name], ...options.nodeArgs, `dist/${name}.js`], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const release = guardChild(child.pid ?? 0);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void ended.then(release);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  await untilReady(name, port, child);
  return { pid: child.pid ?? 0, port, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

async function untilReady(name: string, port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the ${name} ended at its start`);
    const isReady = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isReady) return;
    await delay(10);
  }
  child.kill('SIGKILL');
  throw new Error(`the ${name} was not ready within ${readyTimeoutMs} ms`);
}
