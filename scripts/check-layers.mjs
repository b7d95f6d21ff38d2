// @ts-check
/**
 * Runs dependency-cruiser, and makes sure that it saw the sources at all: with a TypeScript it cannot use it cruises no module and is
 * content. Takes the folder to check, the project by default.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = process.argv[2] ?? root;
const sources = readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).length;
const folders = ['src', 'test', 'scripts', 'load'].filter((name) => readdirSync(folder).includes(name));
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const config = join(root, '.dependency-cruiser.cjs');
const result = spawnSync(process.execPath, [cruiser, '--config', config, ...folders], { cwd: folder, encoding: 'utf8' });
const cruised = Number(/(\d+) modules/.exec(result.stdout)?.[1] ?? 0);

console.log(result.stdout.trim(), result.stderr.trim());
if (cruised < sources) console.log(`only ${cruised} modules were cruised, but src/ alone has ${sources}: the check is blind`);
process.exitCode = result.status === 0 && cruised >= sources ? 0 : 1;
