/** The set-up of a fresh clone on a machine that lacks something, as its reader meets it. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const scripts = fileURLToPath(new URL('.', import.meta.url));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A clone of a project with one package, none of which is installed, and a folder without any program. */
function freshClone() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-setup-'));
  folders.push(folder);
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  cpSync(scripts, join(folder, 'scripts'), { recursive: true });
  const project = { name: 'clone', version: '1.0.0', dependencies: { 'is-odd': '3.0.1' } };
  const resolved = 'https://registry.npmjs.org/is-odd/-/is-odd-3.0.1.tgz';
  const packages = { '': project, 'node_modules/is-odd': { version: '3.0.1', resolved } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(project));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...project, lockfileVersion: 3, requires: true, packages }));
  return { folder, empty };
}

function setUp(folder: string, env: Record<string, string | undefined>) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], {
    cwd: folder,
    env: { HOME: folder, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('that no Redis can be had is said before any package is installed', () => {
  const { folder, empty } = freshClone();
  const { status, stdout, stderr } = setUp(folder, { PATH: empty });
  expect(status).toBe(1);
  expect(stdout).not.toContain('npm');
  expect(stderr).toContain('No redis-server or valkey-server is on the PATH, and no package manager');
  expect(stderr).toContain('REDIS_URL=redis://host:6379 npm start');
});

test('a registry that cannot be reached is told in npm’s words, without a stack, and with what to check', () => {
  const { folder } = freshClone();
  const { status, stderr } = setUp(folder, {
    PATH: process.env['PATH'],
    npm_execpath: process.env['npm_execpath'],
    npm_config_registry: 'http://127.0.0.1:1/',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(folder, 'cache'),
    npm_config_userconfig: join(folder, 'none'),
  });
  expect(status).toBe(1);
  expect(stderr).toContain('ECONNREFUSED 127.0.0.1:1');
  expect(stderr).toMatch(/^npm (error|ERR!) A complete log/m);
  expect(stderr).not.toMatch(/ {2}at |syscall: |\}/);
  expect(stderr).toContain('check the network, the proxy');
  expect(stderr).toContain('npm config get registry');
});
