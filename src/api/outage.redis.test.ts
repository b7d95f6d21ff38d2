import { afterEach, describe, expect, it } from 'vitest';
import { crm, good } from '../../test/support/api-bodies.ts';
import { eventually } from '../../test/support/eventually.ts';
import { startTestApi, type TestApi } from '../../test/support/in-process-api.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';

const asks = [
  ['POST', '/sync', good],
  ['POST', '/sync', [good, good]],
  ['POST', '/sync', [good, { ...good, data: 5 }]],
  ['POST', '/sync?by=hono', good],
  ['POST', '/sync', { ...good, idempotency_key: 'k' }],
  ['POST', '/sync', { ...good, provider: 'unknown' }],
  ['POST', '/sync', Array.from({ length: 20 }, (_, index) => ({ ...good, provider: `unknown-${index}` }))],
  ['GET', '/sync/status/1.mwqa7a85.1.crm', undefined],
  ['GET', '/providers', undefined],
  ['POST', '/providers', { ...crm, name: 'new' }],
  ['GET', '/providers/crm/status', undefined],
  ['GET', '/dlq', undefined],
  ['POST', '/dlq/retry', {}],
  ['GET', '/fleet', undefined],
  ['GET', '/readyz', undefined],
] as const;

let redis: RedisServer;
let api: TestApi;
afterEach(async () => {
  await api.api.stop();
  await redis.stop();
});

describe('while Redis cannot be reached', () => {
  it('every route that needs it answers 503, health and metrics go on, and all is well again afterwards', async () => {
    redis = await startRedis({ appendonly: true });
    api = await startTestApi(redis.url);
    await api.ask('POST', '/providers', crm);
    await redis.kill9();
    const answers = await Promise.all(asks.map(([method, path, body]) => api.ask(method, path, body)));
    for (const [index, answer] of answers.entries()) {
      expect(answer, asks[index]?.join(' ')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    const { text: metrics } = await api.ask('GET', '/metrics');
    expect(metrics).toContain('sluice_faults_total{kind="redis"}');
    expect(metrics).toContain('sluice_submissions_total{provider="crm",operation="update",result="unavailable"} 7');
    expect(metrics).toContain('sluice_submissions_total{provider="unknown",operation="update",result="unavailable"} 21');
    await redis.restart();
    await eventually(async () => (await api.ask('GET', '/readyz')).status === 200);
    expect((await api.ask('POST', '/sync', good)).status).toBe(202);
    expect(api.log.filter((line) => line['level'] === 'error')).toEqual([]);
  });

  it('the log says so once, and once that it is back', async () => {
    redis = await startRedis({ appendonly: true });
    api = await startTestApi(redis.url);
    const told = () => api.log.flatMap(({ msg }) => (/^Redis (does not answer:|answers again)/.test(String(msg)) ? [msg] : []));
    await redis.kill9();
    await eventually(() => told().length === 1);
    await redis.restart();
    await eventually(() => told().length === 2);
    expect(told()).toEqual(['Redis does not answer: requests get 503', 'Redis answers again']);
  });

  it('a full backlog that cannot be counted anew is an outage, not a crash', async () => {
    redis = await startRedis();
    api = await startTestApi(redis.url, { SLUICE_MAX_BACKLOG: '1' });
    await api.ask('POST', '/providers', crm);
    expect((await api.ask('POST', '/sync', good)).status).toBe(202);
    await redis.terminate();
    const answers = await Promise.all([api.ask('POST', '/sync', good), api.ask('POST', '/sync', [good, good])]);
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(answers[0]?.body).toMatchObject({ detail: 'Redis does not answer' });
  });

  it('the start waits for it, answering 503', async () => {
    redis = await startRedis();
    await redis.terminate();
    api = await startTestApi(redis.url);
    for (const [method, path, body] of asks.slice(0, 3)) expect((await api.ask(method, path, body)).status).toBe(503);
    expect((await api.ask('GET', '/healthz')).status).toBe(200);
    await redis.restart();
    await api.api.started;
    await eventually(async () => (await api.ask('GET', '/readyz')).status === 200);
    expect((await api.ask('POST', '/providers', crm)).status).toBe(201);
    expect((await api.ask('POST', '/sync', good)).status).toBe(202);
  });

  it('a frozen Redis is an outage too', async () => {
    redis = await startRedis();
    api = await startTestApi(redis.url);
    await api.ask('POST', '/providers', crm);
    redis.pause();
    const answers = await Promise.all([api.ask('POST', '/sync', good), api.ask('GET', '/readyz'), api.ask('GET', '/providers')]);
    redis.resume();
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
  });
});

describe('a full Redis', () => {
  it('refuses operations with 503 and takes them again when there is room', async () => {
    redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    api = await startTestApi(redis.url);
    await api.ask('POST', '/providers', crm);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    for (const body of [good, [good], { ...good, idempotency_key: 'k' }]) {
      const detail = 'Redis is full';
      expect(await api.ask('POST', '/sync', body)).toMatchObject({ status: 503, body: { code: 'unavailable', detail } });
    }
    expect(api.log).toContainEqual(expect.objectContaining({ msg: 'Redis is full', level: 'warn' }));
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    expect((await api.ask('POST', '/sync', good)).status).toBe(202);
  });

  it('lets operators pause, resume, change and remove what is in the way', async () => {
    redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    api = await startTestApi(redis.url);
    const path = `/providers/${crm.name}`;
    const tenant = `${path}/tenants/acme`;
    await api.ask('POST', '/providers', crm);
    await api.ask('PUT', tenant, { max_concurrency: 1 });
    await api.ask('POST', '/sync', good);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    const asked = [
      ['POST', `${path}/pause`, undefined, 200],
      ['POST', `${path}/resume`, undefined, 200],
      ['PATCH', path, { max_concurrency: 2 }, 200],
      ['PATCH', tenant, { max_concurrency: 3 }, 200],
      ['DELETE', tenant, undefined, 204],
      ['PUT', '/routes/all', { providers: [crm.name] }, 201],
      ['DELETE', '/routes/all', undefined, 204],
      ['DELETE', path, undefined, 409],
      ['DELETE', `${path}?force=true`, undefined, 204],
    ] as const;
    for (const [method, route, body, status] of asked)
      expect((await api.ask(method, route, body)).status, `${method} ${route}`).toBe(status);
    expect((await api.ask('GET', '/dlq')).body.items).toHaveLength(1);
  });

  it('lets an API of its deployment start', async () => {
    redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    const same = { SLUICE_KEY_PREFIX: 'same:' };
    const first = await startTestApi(redis.url, same);
    await first.ask('POST', '/providers', crm);
    await first.api.stop();
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    api = await startTestApi(redis.url, same);
    await api.api.started;
    expect((await api.ask('GET', '/providers/crm')).status).toBe(200);
  });

  it('that has no deployment yet keeps the first API waiting, which says why', async () => {
    redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction', '--maxmemory', '1'] });
    api = await startTestApi(redis.url);
    expect(api.log).toContainEqual(expect.objectContaining({ msg: 'Redis is full: the start waits, requests get 503' }));
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    await api.api.started;
  });

  it('turned into a replica it refuses, too', async () => {
    redis = await startRedis();
    api = await startTestApi(redis.url);
    await api.ask('POST', '/providers', crm);
    await redis.ask('REPLICAOF', '127.0.0.1', '1');
    expect(await api.ask('POST', '/sync', good)).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  });
});
