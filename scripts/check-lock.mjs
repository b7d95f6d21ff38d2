// @ts-check
/**
 * Whether package-lock.json was made from package.json as it stands. Where it was not, everything works on in a tree that is already
 * installed, and `npm ci` refuses in every fresh clone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const wanted = read('package.json');
const locked = read('package-lock.json');
let differences = 0;

for (const group of ['dependencies', 'devDependencies']) {
  const [inPackage, inLock] = [wanted[group] ?? {}, locked.packages[''][group] ?? {}];
  for (const name of new Set([...Object.keys(inPackage), ...Object.keys(inLock)])) {
    const version = locked.packages[`node_modules/${name}`]?.version;
    if (inPackage[name] === inLock[name] && inPackage[name] === version) continue;
    differences += 1;
    console.log(`${name}: package.json has ${inPackage[name] ?? 'nothing'}, package-lock.json ${version ?? 'nothing'}`);
  }
}
if (differences > 0) console.log('Run `npm install --package-lock-only`, then `npm ci`.');
process.exitCode = differences > 0 ? 1 : 0;

/** @param {string} file */
function read(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8'));
}
