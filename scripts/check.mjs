// @ts-check
/** `npm run check`: every `check:*` script of package.json, two at a time; what a failing one says is shown, the others stay quiet. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const atOnce = 2;

/** @type {Record<string, string>} */
const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
const waiting = Object.entries(scripts).filter(([name]) => name.startsWith('check:'));
let failed = 0;

await Promise.all(Array.from({ length: atOnce }, work));
if (failed > 0) console.error(`${failed} of the checks failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const [name, command] = next;
    const startedAt = performance.now();
    const { code, output } = await run(command);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name.slice('check:'.length).padEnd(10)} ${seconds} s`);
    if (code !== 0) {
      failed += 1;
      console.log(output);
    }
  }
}

/**
 * @param {string} command
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run(command) {
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}` };
  return new Promise((resolve) => {
    const child = spawn(command, { cwd: root, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ code: 1, output: error.message }));
    child.once('close', (code) => resolve({ code, output }));
  });
}
