import { afterEach, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '../shared/telemetry/metrics.ts';
import { createHealthApp, startHealthServer } from './health-server.ts';

let metrics: Metrics | undefined;
afterEach(() => metrics?.close());

const faults: unknown[] = [];
function open(reason?: string) {
  const opened = createMetrics();
  metrics = opened;
  return {
    metrics: opened,
    collect: () => opened.shardsOwned.set(7),
    whyNotReady: () => reason,
    fault: (error: unknown) => void faults.push(error),
  };
}

async function problemOf(answer: Response): Promise<[status: number, body: unknown]> {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return [answer.status, await answer.json()];
}

test('the process is up, whether it can work or not', async () => {
  const answer = await createHealthApp(open('Redis cannot be reached')).request('/healthz');
  expect([answer.status, await answer.json()]).toEqual([200, { status: 'up' }]);
});

test('it is ready when it can do its work, and says why when it cannot', async () => {
  expect((await createHealthApp(open()).request('/readyz')).status).toBe(200);
  const answer = await createHealthApp(open('Redis cannot be reached')).request('/readyz');
  expect(answer.headers.get('retry-after')).toBe('1');
  expect(await problemOf(answer)).toEqual([503, expect.objectContaining({ code: 'unavailable', detail: 'Redis cannot be reached' })]);
});

test('what is no route is a problem: 404, or 405 with the methods there are', async () => {
  const app = createHealthApp(open());
  expect(await problemOf(await app.request('/nope'))).toEqual([
    404,
    { type: 'urn:sluice:problem:not_found', title: expect.any(String), status: 404, code: 'not_found' },
  ]);
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    const answer = await app.request(path, { method: 'POST' });
    expect(answer.headers.get('allow'), path).toBe('GET, HEAD');
    expect(await problemOf(answer)).toEqual([405, expect.objectContaining({ code: 'method_not_allowed' })]);
    expect((await app.request(path, { method: 'HEAD' })).status).toBe(200);
  }
});

test('a fault of ours is a problem that shows nothing of it, and is told', async () => {
  const error = new Error('secret');
  const collect = () => {
    throw error;
  };
  const [status, body] = await problemOf(await createHealthApp({ ...open(), collect }).request('/metrics'));
  expect([status, JSON.stringify(body)]).toEqual([500, expect.not.stringContaining('secret')]);
  expect(faults).toEqual([error]);
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
