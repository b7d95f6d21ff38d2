// @ts-check
/**
 * A lock file that names its holder, so that one left behind by a crash is known from one that is held. A holder counts as alive
 * while its process id is in use, and, where /proc can tell, by one of our scripts.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * @param {string} file
 * @returns {{ status: 'acquired', wasLeftBehind: boolean, release: () => void } | { status: 'held', pid: number }}
 */
export function acquireLock(file) {
  mkdirSync(dirname(file), { recursive: true });
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  let wasLeftBehind = false;
  try {
    for (;;) {
      if (tryLink(own, file)) return { status: 'acquired', wasLeftBehind, release: () => rmSync(file, { force: true }) };
      const pid = holderOf(file);
      if (pid !== undefined && isOurScript(pid)) return { status: 'held', pid };
      wasLeftBehind = true;
      bury(file, `${own}.old`, pid);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Linking a complete file makes it appear with its content or not at all.
 * @param {string} own
 * @param {string} file
 */
function tryLink(own, file) {
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Takes away a dead holder's lock. Another process may have done so first and hold the lock by now: then it is put back.
 * @param {string} file
 * @param {string} grave
 * @param {number | undefined} deadPid
 */
function bury(file, grave, deadPid) {
  try {
    renameSync(file, grave);
  } catch {
    return;
  }
  if (holderOf(grave) !== deadPid) tryLink(grave, file);
  rmSync(grave, { force: true });
}

/** @param {string} file */
function holderOf(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
function isOurScript(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('scripts/');
  } catch {
    return true;
  }
}
