// @ts-check
/**
 * Keeps node_modules in step with package-lock.json. A mark in node_modules holds the hash of the lock file it was checked against,
 * so that nothing is read twice; without it, a tree that npm has installed by other means is compared and taken as it is.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param {string} root */
export function packagesAreCurrent(root) {
  const lockText = readFileSync(join(root, 'package-lock.json'));
  const hash = createHash('sha256').update(lockText).digest('hex');
  const mark = join(root, 'node_modules/.sluice-lock');
  if (readOptional(mark) === hash) return true;
  if (!isInstalled(lockText.toString('utf8'), readOptional(join(root, 'node_modules/.package-lock.json')))) return false;
  writeFileSync(mark, hash);
  return true;
}

/**
 * @param {string} root
 * @returns {{ status: 'done' } | { status: 'failed', message: string }}
 */
export function installPackages(root) {
  // Under npm its own path is known; a production environment would leave the tools out.
  const npmScript = process.env['npm_execpath'];
  const [command, ...head] = npmScript?.endsWith('.js') ? [process.execPath, npmScript] : ['npm'];
  const args = [...head, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status !== 0)
    return { status: 'failed', message: `npm ci failed:\n${describeFailure(result.stderr || result.stdout || String(result.error))}` };
  if (!packagesAreCurrent(root)) return { status: 'failed', message: 'npm ci left node_modules different from package-lock.json' };
  return { status: 'done' };
}

/**
 * Whether npm's own account of node_modules names every package of the lock file, but for the optional ones of other platforms.
 * @param {string} lockText
 * @param {string | undefined} installedText
 */
function isInstalled(lockText, installedText) {
  if (installedText === undefined) return false;
  const wanted = Object.entries(/** @type {Record<string, { version?: string, optional?: boolean }>} */ (JSON.parse(lockText).packages));
  const installed = JSON.parse(installedText).packages;
  return wanted.every(
    ([path, { version, optional }]) => path === '' || (installed[path] ? installed[path].version === version : optional === true),
  );
}

/** @param {string} file */
function readOptional(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Where npm's stack and the members of its error are; of no use to who reads it. */
const stackLine = /^npm (?:error|ERR!)(?: {2,}(?:at |\w+: )| \}$)/;
/** npm follows some reasons with pages of usage. */
const toldLines = 20;
const hint = `If npm did not reach its registry, check the network, the proxy and these, then try again:
  npm config get registry
  npm config get https-proxy`;

/** @param {string} text */
function describeFailure(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !stackLine.test(line));
  const isNetwork = /request to|network|registry|ECONN|ETIMEDOUT|EAI_AGAIN/.test(text);
  return [...lines.slice(0, toldLines), ...(isNetwork ? [hint] : [])].join('\n');
}
