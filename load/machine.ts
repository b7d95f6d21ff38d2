/** What the numbers were measured on: without it they mean nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findRedisServer } from '../scripts/redis-server.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    redis: firstLine(findRedisServer() ?? 'redis-server', ['--version']),
    commit: firstLine('git', ['-C', root, 'describe', '--always', '--dirty']),
    packages: Object.fromEntries(['undici', 'hono', '@hono/node-server', 'ioredis'].map((name) => [name, versionOf(name)])),
    /** Other work on the machine before the bench began: well above 0, its numbers are too low. */
    load_average: loadavg()[0] ?? 0,
  };
}

function versionOf(name: string): string {
  return (JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
}

function firstLine(command: string, args: readonly string[]): string {
  try {
    return (
      execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .trim()
        .split('\n')[0] ?? ''
    );
  } catch {
    return 'unknown';
  }
}
