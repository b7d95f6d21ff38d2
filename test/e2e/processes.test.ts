/** The three processes together, as they are deployed: a change goes through, and each ends in good order when it is told to. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type ServiceProcess, startApi, startSimulator, startWorker, stopAll } from '../support/processes.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';

let redis: RedisServer;
const started: ServiceProcess[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await stopAll(started);
  await redis.stop();
});

async function send(method: string, url: string, body?: unknown) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

test('a change that the API takes reaches the provider through a worker, and SIGTERM ends each process with code 0', async () => {
  const [simulator, worker, api] = await Promise.all([
    startSimulator(),
    startWorker({ redisUrl: redis.url }),
    startApi({ redisUrl: redis.url }),
  ]);
  started.push(simulator, worker, api);
  expect(await send('POST', `${api.url}/providers`, { name: 'crm', kind: 'http', base_url: simulator.url })).toMatchObject({ status: 201 });
  const change = { operation: 'upsert', provider: 'crm', record_id: '1', data: { city: 'London' } };
  const accepted = await send('POST', `${api.url}/sync`, change);
  expect(accepted.status).toBe(202);
  const { json } = await send('GET', `${api.url}${accepted.json['status_url']}?wait=20`);
  expect(json).toMatchObject({ status: 'succeeded', attempts: 1 });
  const { json: held } = await send('GET', `${simulator.url}/_control/records`);
  expect(held['records']).toEqual({ 'contact/1': { city: 'London' } });

  const ends = await Promise.all(started.map((process) => process.stop()));
  expect(ends).toEqual(started.map(() => ({ code: 0, signal: null })));
});

test('a setting that does not parse stops a process at its start, and it says which', async () => {
  const start = startApi({ redisUrl: redis.url, env: { SLUICE_SHARDS: 'many' } });
  await expect(start).rejects.toThrow('SLUICE_SHARDS');
});

test('a port that is taken stops a process at its start, and one line says which, with exit code 2', async () => {
  const worker = await startWorker({ redisUrl: redis.url });
  started.push(worker);
  const { port } = new URL(worker.url);
  const settings = { METRICS_PORT: port, PORT: port };
  for (const start of [startWorker, startApi]) {
    const refused = await start({ redisUrl: redis.url, env: settings, waitUntilReady: false });
    expect(await refused.ended).toEqual({ code: 2, signal: null });
    const where = `HOST 127.0.0.1, port ${port}`;
    expect(plainLines(refused)).toEqual([`cannot listen on ${where}: listen EADDRINUSE: address already in use 127.0.0.1:${port}`]);
  }
});

test.each(['nowhere..invalid', '192.0.2.1'])('so does a HOST that cannot be listened on: %s', async (host) => {
  for (const start of [startWorker, startApi]) {
    const refused = await start({ redisUrl: redis.url, env: { HOST: host, SLUICE_ALLOW_ANONYMOUS: 'true' }, waitUntilReady: false });
    expect(await refused.ended).toEqual({ code: 2, signal: null });
    expect(plainLines(refused)).toEqual([expect.stringMatching(`^cannot listen on HOST ${host}, port [0-9]+: `)]);
  }
});

test.each(['SIGTERM', 'SIGHUP'] as const)('%s ends a process that still waits for Redis, in good order', async (signal) => {
  for (const start of [startWorker, startApi]) {
    const waiting = await start({ redisUrl: 'redis://127.0.0.1:1', waitUntilReady: false });
    started.push(waiting);
    await eventually(() => waiting.logLines().length > 0);
    process.kill(waiting.pid, signal);
    expect(await waiting.ended).toEqual({ code: 0, signal: null });
  }
});

test('SIGHUP ends a process that runs as SIGTERM does', async () => {
  for (const start of [startWorker, startApi]) {
    const running = await start({ redisUrl: redis.url });
    started.push(running);
    process.kill(running.pid, 'SIGHUP');
    expect(await running.ended).toEqual({ code: 0, signal: null });
    expect(running.logLines().at(-1)).toMatchObject({ msg: `${running.name} stopped` });
  }
});

/** Those that are no log. */
function plainLines(process: ServiceProcess): string[] {
  return process
    .log()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'));
}
