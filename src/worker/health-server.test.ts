import { afterEach, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '../shared/telemetry/metrics.ts';
import { createHealthApp, startHealthServer } from './health-server.ts';

let metrics: Metrics | undefined;
afterEach(() => metrics?.close());

function open(reason?: string) {
  const opened = createMetrics();
  metrics = opened;
  return { metrics: opened, collect: () => opened.shardsOwned.set(7), whyNotReady: () => reason };
}

test('the process is up, whether it can work or not', async () => {
  const answer = await createHealthApp(open('Redis cannot be reached')).request('/healthz');
  expect([answer.status, await answer.json()]).toEqual([200, { status: 'up' }]);
});

test('it is ready when it can do its work, and says why when it cannot', async () => {
  expect((await createHealthApp(open()).request('/readyz')).status).toBe(200);
  const answer = await createHealthApp(open('Redis cannot be reached')).request('/readyz');
  expect([answer.status, await answer.json()]).toEqual([503, { status: 'not_ready', reason: 'Redis cannot be reached' }]);
});

test('a scrape shows the state of this moment', async () => {
  const answer = await createHealthApp(open()).request('/metrics');
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(await answer.text()).toMatch(/^sluice_shards_owned 7$/m);
});

test('listens on a free port, and closes', async () => {
  const server = await startHealthServer(open(), { host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${server.port}/healthz`;
  expect((await fetch(url)).status).toBe(200);
  await server.close();
  await expect(fetch(url)).rejects.toThrow();
});

test('a port that is taken is said so', async () => {
  const server = await startHealthServer(open(), { host: '127.0.0.1', port: 0 });
  await expect(startHealthServer(open(), { host: '127.0.0.1', port: server.port })).rejects.toThrow('EADDRINUSE');
  await server.close();
});
