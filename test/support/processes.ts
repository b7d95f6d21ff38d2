/**
 * Sluice's real processes for tests: the bundles in dist/, each with an environment of its own (nothing of the caller's leaks in),
 * its log kept, and ended with the test process whatever becomes of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { guardChild } from '../../scripts/child-guard.mjs';
import { freePort } from '../../scripts/free-port.mjs';
import { nodeEnvironment, nodeFlags } from '../../scripts/node-flags.mjs';
import { eventually } from './eventually.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ServiceProcess {
  readonly name: 'api' | 'worker' | 'simulator';
  /** Where it answers HTTP: the API and the simulator their routes, a worker its health and metrics. */
  readonly url: string;
  readonly pid: number;
  /** What it has written to stdout and stderr so far. */
  log(): string;
  /** The JSON lines of its log; other lines are left out. */
  logLines(): Record<string, unknown>[];
  readonly ended: Promise<ProcessEnd>;
  hasEnded(): boolean;
  /** SIGTERM, then waits for the end; SIGKILL after `graceMs` (default 40 s). Harmless once it has ended. */
  stop(graceMs?: number): Promise<ProcessEnd>;
  /** SIGTERM without waiting. */
  term(): void;
  /** SIGKILL, then waits for the end. */
  kill9(): Promise<ProcessEnd>;
  /** Freezes it (SIGSTOP). */
  pause(): void;
  resume(): void;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  readonly redisUrl: string;
  /** More settings, or others; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Waits until it is ready (default), or only until it was started. */
  readonly waitUntilReady?: boolean;
}

export function startApi(options: ProcessOptions): Promise<ServiceProcess> {
  return startProcess('api', 'PORT', '/readyz', options);
}

export function startWorker(options: ProcessOptions): Promise<ServiceProcess> {
  return startProcess('worker', 'METRICS_PORT', '/readyz', options);
}

export function startSimulator(options: Partial<ProcessOptions> = {}): Promise<ServiceProcess> {
  return startProcess('simulator', 'PORT', '/_control/calls', { redisUrl: '', ...options });
}

/** Ends them all at once, in good order. */
export async function stopAll(processes: readonly ServiceProcess[]): Promise<void> {
  await Promise.all(processes.map((process) => process.stop()));
}

async function startProcess(
  name: ServiceProcess['name'],
  portName: string,
  readyPath: string,
  options: ProcessOptions,
): Promise<ServiceProcess> {
  const failure = inject('buildFailure');
  if (failure) throw new Error(`dist/ could not be built: ${failure}`);
  const givenPort = options.env?.[portName];
  for (let attempt = 1; ; attempt++) {
    const port = givenPort ?? String(await freePort());
    const process = launch(name, `http://127.0.0.1:${port}`, environment(options, { [portName]: port }));
    if (options.waitUntilReady === false) return process;
    await untilReady(process, readyPath);
    if (!process.hasEnded()) return process;
    // Somebody else may have got the port in between.
    const mayTryAgain = attempt < 5 && givenPort === undefined && process.log().includes('EADDRINUSE');
    if (!mayTryAgain) throw new Error(`${name} ended at its start:\n${process.log()}`);
  }
}

/** Waits until it is ready or has ended. */
async function untilReady(process: ServiceProcess, readyPath: string): Promise<void> {
  await eventually(async () => {
    if (process.hasEnded()) return true;
    const answer = await fetch(`${process.url}${readyPath}`, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  }).catch(async (error: unknown) => {
    await process.kill9();
    throw new Error(`${process.name} did not get ready:\n${process.log()}`, { cause: error });
  });
}

function environment(options: ProcessOptions, own: Record<string, string>): Record<string, string> {
  const merged: Record<string, string | undefined> = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    HOST: '127.0.0.1',
    LOG_LEVEL: 'info',
    SLUICE_ALLOW_PRIVATE_NETWORKS: 'true',
    ...(options.redisUrl === '' ? {} : { REDIS_URL: options.redisUrl }),
    ...own,
    ...options.env,
  };
  return Object.fromEntries(Object.entries(merged).filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function launch(name: ServiceProcess['name'], url: string, env: Record<string, string>): ServiceProcess {
  const child = spawn(process.execPath, [...nodeFlags[name], `dist/${name}.js`], {
    cwd: root,
    env: { ...nodeEnvironment[name], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let log = '';
  const keep = (chunk: Buffer) => {
    log += chunk.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const release = child.pid === undefined ? () => {} : guardChild(child.pid);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  void ended.then(release);
  return { name, url, pid: child.pid ?? 0, log: () => log, logLines: () => parseLines(log), ended, ...signals(child, ended) };
}

function signals(child: ChildProcess, ended: Promise<ProcessEnd>) {
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    hasEnded,
    async stop(graceMs = 40_000) {
      child.kill('SIGTERM');
      // A frozen process would take the signal only when it is woken.
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
    term: () => void child.kill('SIGTERM'),
    async kill9() {
      child.kill('SIGKILL');
      return await ended;
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}

function parseLines(log: string): Record<string, unknown>[] {
  return log.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? [value as Record<string, unknown>] : [];
    } catch {
      return [];
    }
  });
}
