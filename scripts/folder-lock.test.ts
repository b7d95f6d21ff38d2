import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from './folder-lock.mjs';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-lock-'));
  file = join(folder, 'x.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that takes the lock and lives on. A script's path among its arguments marks it as one of ours. */
async function startHolder() {
  const module = JSON.stringify(new URL('./folder-lock.mjs', import.meta.url).href);
  const code = `const { acquireLock } = await import(${module}); acquireLock(${JSON.stringify(file)}); console.log('held'); setInterval(() => {}, 1000);`;
  const script = fileURLToPath(new URL('./setup.mjs', import.meta.url));
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', code, script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  return holder;
}

test('a lock is held by the process that took it, and free again when that is killed', async () => {
  const holder = await startHolder();
  expect(acquireLock(file)).toEqual({ status: 'held', pid: holder.pid });
  holder.kill('SIGKILL');
  await once(holder, 'close');
  expect(acquireLock(file)).toMatchObject({ status: 'acquired', wasLeftBehind: true });
});

test('a released lock leaves nothing behind', () => {
  const lock = acquireLock(file);
  expect(lock).toMatchObject({ status: 'acquired', wasLeftBehind: false });
  if (lock.status === 'acquired') lock.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('a file that names no process is taken over', () => {
  writeFileSync(file, 'nonsense');
  expect(acquireLock(file)).toMatchObject({ status: 'acquired', wasLeftBehind: true });
});
