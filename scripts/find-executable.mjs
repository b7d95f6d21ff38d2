// @ts-check
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The file of the first of these names that is on the PATH.
 * @param {readonly string[]} names
 * @param {string} [path]
 * @returns {string | undefined}
 */
export function findExecutable(names, path = process.env['PATH'] ?? '') {
  for (const name of names) {
    for (const folder of path.split(delimiter)) {
      const file = join(folder, name);
      if (folder !== '' && isExecutable(file)) return file;
    }
  }
  return undefined;
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
