// @ts-check
/**
 * `npm run bench [-- options]`: set-up, build, then load/main.ts, load/kill-workers.ts with `--kill-run`, or load/crm.ts
 * with `--crm`. The bench and the programs it starts are bundled into .sluice/bench/, as Node 20 runs no TypeScript; below the project's
 * folder they find its packages.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { setUp } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundles = join(root, '.sluice/bench');

await setUp();
await build();
const { build: bundle } = await import('esbuild');
await bundle({
  absWorkingDir: root,
  entryPoints: [
    ...['main', 'kill-workers', 'crm'].map((name) => `load/${name}.ts`),
    ...readdirSync(join(root, 'load/programs')).map((file) => `load/programs/${file}`),
  ],
  outbase: 'load',
  outdir: bundles,
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  loader: { '.lua': 'text' },
  logLevel: 'warning',
});
const options = process.argv.slice(2);
const program = options.includes('--kill-run') ? 'kill-workers.js' : options.includes('--crm') ? 'crm.js' : 'main.js';
const child = spawn(process.execPath, ['--enable-source-maps', join(bundles, program), ...options], {
  cwd: root,
  stdio: 'inherit',
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
child.once('close', (code) => {
  process.exitCode = code ?? 1;
});
