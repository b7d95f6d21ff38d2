// @ts-check
/**
 * Bundles the processes, and what the scripts need of them, into dist/: one ESM file an entry, packages left outside. Nothing is done
 * while dist/ is newer than everything it is made of. Files are written beside their place and renamed, so that processes that are
 * being started while another build runs see an old bundle or a new one, never half of one.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stamp = join(dist, '.stamp');
const entries = {
  api: 'src/api/main.ts',
  worker: 'src/worker/main.ts',
  simulator: 'src/simulator/main.ts',
  // What `npm start` shares with the processes: it checks settings and reaches Redis as they do.
  settings: 'src/shared/config/settings.ts',
  connection: 'src/shared/redis/connection.ts',
};

/** @returns {Promise<'built' | 'fresh'>} */
export async function build() {
  if (!existsSync(join(root, 'src')) || isFresh()) return 'fresh';
  const startedAt = new Date();
  const esbuild = await import('esbuild');
  const folder = join(root, `dist.${process.pid}.tmp`);
  try {
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: entries,
      outdir: folder,
      bundle: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: true,
      // Node keeps the map in memory; it needs the places, not the sources.
      sourcesContent: false,
      loader: { '.lua': 'text' },
      logLevel: 'silent',
    });
    await mkdir(dist, { recursive: true });
    for (const file of readdirSync(folder)) await rename(join(folder, file), join(dist, file));
    await writeFile(stamp, '');
    // Dated by its beginning: a file that changed meanwhile makes the next build do its work.
    await utimes(stamp, startedAt, startedAt);
  } finally {
    // Its helper process would live as long as this one.
    await esbuild.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return 'built';
}

/** Whether dist/ is complete and newer than src/ and the lock file, by the time its build began. */
function isFresh() {
  if (!existsSync(stamp)) return false;
  const complete = Object.keys(entries).every((name) => existsSync(join(dist, `${name}.js`)));
  if (!complete) return false;
  const builtAt = statSync(stamp).mtimeMs;
  const newest = Math.max(statSync(join(root, 'package-lock.json')).mtimeMs, ...newestIn(join(root, 'src')));
  return newest < builtAt;
}

/**
 * @param {string} folder
 * @returns {number[]} modification times of the folder and all that is in it
 */
function newestIn(folder) {
  const times = [statSync(folder).mtimeMs];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) times.push(...newestIn(path));
    else times.push(statSync(path).mtimeMs);
  }
  return times;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const startedAt = performance.now();
  try {
    if ((await build()) === 'built') console.log(`built dist/ in ${Math.round(performance.now() - startedAt)} ms`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
