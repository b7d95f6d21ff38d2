/** `npm start` as its reader meets it: a first sync, a worker killed, a clean end, and the data still there. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { guardChild } from '../../scripts/child-guard.mjs';
import { freePort } from '../../scripts/free-port.mjs';
import { eventually } from '../support/eventually.ts';
import { isAlive } from '../support/is-alive.ts';

const script = fileURLToPath(new URL('../../scripts/start.mjs', import.meta.url));
const slow = 90_000;
let state = '';
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'sluice-start-'));
});
afterAll(() => rm(state, { recursive: true, force: true }));

async function startSluice(port: number | string, more: Record<string, string> = {}) {
  expect(inject('buildFailure')).toBe('');
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: String(port), ...more };
  const child = spawn(process.execPath, [script, '--state', state], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const release = guardChild(child.pid as number, { signal: 'TERM' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  void ended.then(release);
  return { child, ended, output: () => output, url: `http://127.0.0.1:${port}` };
}

/** Up, or ended because it could not be; then what it said is in the failure. */
async function untilUp(sluice: Awaited<ReturnType<typeof startSluice>>) {
  const isUp = () => sluice.output().includes('Ctrl-C stops it all');
  await eventually(() => isUp() || sluice.child.exitCode !== null, { timeoutMs: slow });
  expect(sluice.output()).toContain('Ctrl-C stops it all');
}

// biome-ignore lint/suspicious/noExplicitAny: the shape of an answer is what the test is about.
async function ask(method: string, url: string, body?: unknown): Promise<any> {
  const headers = { 'content-type': 'application/json' };
  return await (await fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).json();
}

test('one command brings up a service that syncs, survives a killed worker, ends cleanly and keeps its data', {
  timeout: 2 * slow,
}, async () => {
  const port = await freePort();
  const first = await startSluice(port);
  await untilUp(first);
  expect(first.output()).toContain('succeeded after 1 attempt');
  expect((await stat(join(state, 'encryption.key'))).mode & 0o777).toBe(0o600);

  for (const url of first.output().match(/http:\S+\/metrics(?=\))/g) ?? []) expect(await (await fetch(url)).text()).toContain('sluice_');
  expect(first.output().match(/worker \d.*\/metrics/g)).toHaveLength(2);

  const workers = [...first.output().matchAll(/worker \d+ {3}pid (\d+)/g)].map((match) => Number(match[1]));
  expect(workers).toHaveLength(2);
  process.kill(workers[0] as number, 'SIGKILL');
  await eventually(() => /worker 1: pid \d+/.test(first.output()));
  const update = { operation: 'update', provider: 'demo', record_id: 'ada', data: { city: 'London' } };
  const { operation_id: operationId } = await ask('POST', `${first.url}/sync`, update);
  const statusOf = (url: string, id = operationId) => ask('GET', `${url}/sync/status/${id}?wait=5`);
  await eventually(async () => (await statusOf(first.url)).status === 'succeeded', { timeoutMs: slow });

  for (const [type, provider] of Object.entries({ customer: 'hubspot', lead: 'salesforce' })) {
    const contact = { last_name: 'Hopper', email: `${type}@example.com`, contact_type: type };
    const { operation_id: id } = await ask('POST', `${first.url}/sync`, { operation: 'create', provider: 'auto', data: contact });
    await eventually(async () => (await statusOf(first.url, id)).status === 'succeeded', { timeoutMs: slow });
    expect(await statusOf(first.url, id)).toMatchObject({ operations: [{ provider, provider_record_id: expect.any(String) }] });
  }
  await ask('PATCH', `${first.url}/providers/hubspot`, { max_concurrency: 7 });
  expect(first.output()).toMatch(/this customer goes to hubspot$/m);
  const toBoth = { entity: 'contact', filter: 'data.contact_type == "customer"', providers: ['hubspot', 'salesforce'] };
  await ask('PUT', `${first.url}/routes/customers`, toBoth);

  const redisPid = JSON.parse(await readFile(join(state, 'redis/process.json'), 'utf8')).pid as number;
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  expect([redisPid, ...workers].filter(isAlive)).toEqual([]);

  const second = await startSluice(port);
  await eventually(() => second.output().includes('Ctrl-C stops it all') || Promise.reject(new Error(second.output())), {
    timeoutMs: slow,
  });
  expect((await statusOf(second.url)).status).toBe('succeeded');
  expect(await ask('GET', `${second.url}/providers/hubspot`), 'a demo provider is kept as it was left').toMatchObject({
    max_concurrency: 7,
  });
  expect(second.output(), 'routes of the reader count').toContain('this customer goes to hubspot and salesforce');
  expect(second.output(), 'what is not kept is said').toContain('simulated providers begin empty');
  second.child.kill('SIGINT');
  expect(await second.ended).toBe(0);
});

test.each([
  ['PORT', 'abc'],
  ['REDIS_URL', 'foo'],
  ['REDIS_URL', 'http://x'],
  ['SLUICE_DRAIN_MS', 'long'],
])('%s=%s ends the start with the name of the setting, before anything runs', { timeout: slow }, async (name, value) => {
  const sluice = await startSluice(0, { [name]: value });
  expect(await sluice.ended).toBe(1);
  expect(sluice.output()).toContain(`${name}: expected `);
  expect(sluice.output()).not.toContain('    at ');
});

test('a Redis of REDIS_URL that is not there is named with the cause, and nothing else is said', { timeout: slow }, async () => {
  // Nothing listens there, and no test can get it: only root may.
  const port = 1;
  const sluice = await startSluice(0, { REDIS_URL: `redis://me:s3cret@127.0.0.1:${port}` });
  const problem = `Redis at redis://***@127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}.`;
  await eventually(() => sluice.output().includes(problem), { timeoutMs: slow });
  sluice.child.kill('SIGINT');
  expect(await sluice.ended).toBe(0);
  const lines = sluice
    .output()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('stop'));
  expect(lines.every((line) => line.startsWith(problem))).toBe(true);
  expect(sluice.output()).not.toContain('s3cret');
});
