// @ts-check
/**
 * Installs a Redis server with the machine's own package manager, where that needs no password. The server is only put on the PATH:
 * whatever service the package would start or enable is kept from running.
 */
import { spawnSync } from 'node:child_process';

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

/** By package manager: what installs, and what a person would type. */
const recipes = [
  { tool: 'apt-get', script: aptScript, needsRoot: true, advice: 'sudo apt-get update && sudo apt-get install -y redis-server' },
  { tool: 'apk', script: 'apk add --no-cache redis || apk add --no-cache valkey', needsRoot: true, advice: 'sudo apk add redis' },
  { tool: 'dnf', script: 'dnf install -y -q redis || dnf install -y -q valkey', needsRoot: true, advice: 'sudo dnf install -y valkey' },
  { tool: 'brew', script: 'brew install --quiet redis', needsRoot: false, advice: 'brew install redis' },
];

/** @returns {{ status: 'done' } | { status: 'failed', message: string }} */
export function installRedis() {
  const recipe = recipes.find(({ tool }) => succeeds('sh', ['-c', `command -v ${tool}`]));
  if (!recipe) return failed('no package manager known here was found', 'install redis-server (7.0 or later) and put it on the PATH');
  const isRoot = process.getuid?.() === 0;
  if (recipe.needsRoot && !isRoot && !succeeds('sudo', ['-n', 'true'])) return failed('installing it needs a password', recipe.advice);
  const command = recipe.needsRoot && !isRoot ? ['sudo', '-n', 'sh', '-c', recipe.script] : ['sh', '-c', recipe.script];
  const result = spawnSync(/** @type {string} */ (command[0]), command.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status === 0) return { status: 'done' };
  return failed(`${recipe.tool} failed: ${lastLine(result.stderr) || lastLine(result.stdout)}`, recipe.advice);
}

/**
 * @param {string} reason
 * @param {string} advice
 * @returns {{ status: 'failed', message: string }}
 */
function failed(reason, advice) {
  return {
    status: 'failed',
    message: `No redis-server or valkey-server is on the PATH, and ${reason}. Run this, then try again:\n  ${advice}`,
  };
}

/** @param {string | null} text */
function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
