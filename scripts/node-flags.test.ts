import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { nodeEnvironment, nodeFlags } from './node-flags.mjs';

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');

test('every way to start a worker tells Node the same', () => {
  const { UV_THREADPOOL_SIZE: threads } = nodeEnvironment.worker;
  const script: string = JSON.parse(read('package.json')).scripts['start:worker'];
  const image = read('Dockerfile.worker');
  // run.mjs asks for source maps itself.
  for (const flag of nodeFlags.worker.filter((each) => each !== '--enable-source-maps')) expect(script).toContain(` ${flag} `);
  expect(script).toContain(`UV_THREADPOOL_SIZE=\${UV_THREADPOOL_SIZE:-${threads}} exec node`);
  expect(image).toContain(`CMD ${JSON.stringify(['node', ...nodeFlags.worker, 'dist/worker.js']).replaceAll(',', ', ')}`);
  expect(image).toMatch(new RegExp(`^ENV .*UV_THREADPOOL_SIZE=${threads}$`, 'm'));
});
