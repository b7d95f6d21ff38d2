/**
 * BullMQ, for comparison only. Its optional platform packages leave lock files that `npm ci` refuses, so it is no development
 * dependency: the bench installs this very version for itself, once, beside its bundles.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const bullmqVersion = '6.7.0';

const folder = fileURLToPath(new URL('./bullmq/', import.meta.url));

/** Undefined once it is there, else why it could not be installed. */
export function installBullmq(): string | undefined {
  if (installedVersion() === bullmqVersion) return undefined;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}package.json`, '{"private":true}');
  const options = ['--no-package-lock', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = spawnSync('npm', ['install', ...options, `bullmq@${bullmqVersion}`], { cwd: folder, encoding: 'utf8' });
  if (installedVersion() === bullmqVersion) return undefined;
  return (result.stderr || String(result.error ?? 'npm said nothing')).trim().split('\n').slice(0, 5).join('\n');
}

function installedVersion(): string | undefined {
  const file = `${folder}node_modules/bullmq/package.json`;
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
