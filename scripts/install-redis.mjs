// @ts-check
/**
 * Installs a Redis server with the machine's own package manager, where that needs no password. The server is only put on the PATH:
 * whatever service the package would start or enable is kept from running. Where it cannot be done, a message says what a person can do.
 */
import { spawnSync } from 'node:child_process';
import { findExecutable } from './find-executable.mjs';

/**
 * A policy-rc.d that refuses keeps Debian's packages from starting their services while they are installed. The lists' lock has no
 * time-out of its own in older versions of apt, hence the tries.
 */
const aptScript = `
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy"
fi
for try in 1 2 3 4 5; do apt-get -qq update && break; sleep 3; done
apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends redis-server || exit 1
if command -v systemctl >/dev/null 2>&1; then systemctl disable --now redis-server >/dev/null 2>&1; fi
exit 0`;

/** By package manager: what installs, and the commands that a person would type. */
const recipes = [
  { tool: 'apt-get', script: aptScript, needsRoot: true, commands: ['apt-get update', 'apt-get install -y redis-server'] },
  { tool: 'apk', script: 'apk add --no-cache redis || apk add --no-cache valkey', needsRoot: true, commands: ['apk add redis'] },
  { tool: 'dnf', script: 'dnf install -y -q redis || dnf install -y -q valkey', needsRoot: true, commands: ['dnf install -y valkey'] },
  { tool: 'brew', script: 'brew install --quiet redis', needsRoot: false, commands: ['brew install redis'] },
];

/** What is told of a command that failed: apt-get warns of servers that it did not reach well before its last line. */
const toldLines = 10;

/**
 * @typedef {object} Machine
 * @property {boolean} isRoot
 * @property {(tool: string) => boolean} has whether a tool is on the PATH
 * @property {(command: string, args: readonly string[]) => { status: number | null, stdout: string | null, stderr: string | null }} run
 */

/** @type {Machine} */
const thisMachine = {
  isRoot: process.getuid?.() === 0,
  has: (tool) => findExecutable([tool]) !== undefined,
  run: (command, args) => spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
};

/**
 * @param {Machine} [machine]
 * @returns {{ status: 'done' } | { status: 'failed', message: string }}
 */
export function installRedis(machine = thisMachine) {
  const recipe = recipes.find(({ tool }) => machine.has(tool));
  if (!recipe) return failed(noPackageManager);
  const { tool, script, needsRoot, commands } = recipe;
  const takesSudo = needsRoot && !machine.isRoot;
  if (takesSudo && !machine.has('sudo'))
    return failed(`and only root can install one. Have root run this, then try again:\n  ${commands.join(' && ')}`);
  const advice = commands.map((command) => (takesSudo ? `sudo ${command}` : command)).join(' && ');
  if (takesSudo && machine.run('sudo', ['-n', 'true']).status !== 0)
    return failed(`and installing one needs a password. Run this, then try again:\n  ${advice}`);
  const result = takesSudo ? machine.run('sudo', ['-n', 'sh', '-c', script]) : machine.run('sh', ['-c', script]);
  if (result.status === 0) return { status: 'done' };
  const said = result.stderr?.trim() || result.stdout?.trim() || `it ended with ${result.status}`;
  return failed(
    `and ${tool} could not install one:\n${lastLines(said)}\n` +
      'If it did not reach its servers, check the network, name resolution and the proxy. Then try again, or install it by hand:\n' +
      `  ${advice}`,
  );
}

const noPackageManager = `and no package manager that could install one (${recipes.map(({ tool }) => tool).join(', ')}).
Install Redis 7.0 or later, or Valkey, so that its server is on the PATH, then try again. How to:
  https://redis.io/docs/latest/operate/oss_and_stack/install/`;

/**
 * @param {string} reason
 * @returns {{ status: 'failed', message: string }}
 */
function failed(reason) {
  return {
    status: 'failed',
    message: `No redis-server or valkey-server is on the PATH, ${reason}
npm start also runs with a Redis that is elsewhere (npm test needs a server here):
  REDIS_URL=redis://host:6379 npm start`,
  };
}

/**
 * The last lines, each once: apt-get is asked for its lists several times.
 * @param {string} text
 */
function lastLines(text) {
  const lines = new Set(text.split('\n').filter((line) => line.trim() !== ''));
  return [...lines]
    .slice(-toldLines)
    .map((line) => `  ${line}`)
    .join('\n');
}
