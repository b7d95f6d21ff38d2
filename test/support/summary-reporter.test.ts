import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sluice-summary-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The end of a run over a project of its own with one passing test. */
function endOfRun(...args: string[]) {
  // Vitest is imported by its path: the folder has no packages.
  const vitest = JSON.stringify(fileOf('../../node_modules/vitest/dist/index.js'));
  writeFileSync(join(folder, 'sum.test.mjs'), `import { test } from ${vitest};\ntest('one and one are two', () => {});\n`);
  const reporter = `--reporter=${fileOf('summary-reporter.ts')}`;
  const command = [fileOf('../../node_modules/vitest/vitest.mjs'), 'run', '--root', folder, reporter, ...args];
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const { status, stdout } = spawnSync(process.execPath, command, { encoding: 'utf8', cwd: folder, env });
  return { status, lines: stdout.trim().split('\n') };
}

test('the last line of a run counts its tests', () => {
  expect(endOfRun()).toEqual({ status: 0, lines: ['1 passed, 0 failed'] });
  expect(endOfRun('-t', 'are two')).toMatchObject({ status: 0, lines: ['1 passed, 0 failed'] });
});

test('a run in which no test has the name asked for fails and says so', () => {
  expect(endOfRun('-t', 'no such name')).toEqual({
    status: 1,
    lines: ['Nothing was run: none of the 1 tests found has a name that matches -t "no such name".', '0 passed, 1 failed, 1 skipped'],
  });
});
