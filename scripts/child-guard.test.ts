import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { eventually } from '../test/support/eventually.ts';
import { isAlive } from '../test/support/is-alive.ts';

const guard = JSON.stringify(new URL('./child-guard.mjs', import.meta.url).href);
const parentCode = `
  import { spawn } from 'node:child_process';
  const { guardChild } = await import(${guard});
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  const release = guardChild(child.pid, { signal: 'TERM' });
  if (process.argv[1] === 'release') release();
  console.log(child.pid);
  setInterval(() => {}, 1000);`;

async function startParent(mode: string) {
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', parentCode, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  return { parent, childPid: Number(line.toString()) };
}

test('a child ends with a parent that is killed, unless it was let go', async () => {
  const guarded = await startParent('guard');
  const released = await startParent('release');
  expect([isAlive(guarded.childPid), isAlive(released.childPid)]).toEqual([true, true]);
  guarded.parent.kill('SIGKILL');
  released.parent.kill('SIGKILL');
  await eventually(() => !isAlive(guarded.childPid));
  expect(isAlive(released.childPid)).toBe(true);
  process.kill(released.childPid, 'SIGKILL');
});
