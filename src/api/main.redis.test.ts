import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { startApi } from '../../test/support/processes.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.stop());

/** Starts the process only to see it refuse. */
async function refusal(env: Record<string, string>): Promise<{ code: number | null; text: string }> {
  const given = { PATH: process.env['PATH'] ?? '', REDIS_URL: redis.url, PORT: '0', LOG_LEVEL: 'silent', ...env };
  const child = spawn(process.execPath, ['dist/api.js'], { env: given, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, text };
}

describe('the API process', () => {
  it('refuses settings it does not understand, all at once, without a stack', async () => {
    const { code, text } = await refusal({ SLUICE_SHARD: '4', SLUICE_WINDOW: 'many' });
    expect(code).toBe(2);
    expect(text).toContain('SLUICE_SHARD: expected a known setting (SLUICE_SHARDS?)');
    expect(text).toContain('SLUICE_WINDOW: expected a whole number');
    expect(text).not.toContain('    at ');
  });

  it('refuses to be open to the network without keys, unless told to', async () => {
    expect(await refusal({ HOST: '0.0.0.0' })).toMatchObject({ code: 2, text: expect.stringContaining('SLUICE_API_KEYS') });
    const open = await startApi({ redisUrl: redis.url, env: { HOST: '0.0.0.0', SLUICE_ALLOW_ANONYMOUS: 'true' } });
    expect(open.logLines().some((line) => String(line['msg']).includes('no API keys'))).toBe(true);
    expect(await open.stop()).toMatchObject({ code: 0 });
  });

  it('refuses keys that are none, and a number of shards that is not the deployment’s', async () => {
    expect(await refusal({ SLUICE_API_KEYS: '/no/such/file' })).toMatchObject({
      code: 2,
      text: expect.stringContaining('SLUICE_API_KEYS'),
    });
    const first = await startApi({ redisUrl: redis.url, env: { SLUICE_KEY_PREFIX: 'fixed:', SLUICE_SHARDS: '4' } });
    await first.stop();
    expect(await refusal({ SLUICE_KEY_PREFIX: 'fixed:', SLUICE_SHARDS: '8' })).toMatchObject({
      code: 2,
      text: expect.stringContaining('SLUICE_SHARDS'),
    });
  });

  it('finishes the request it is reading when it is told to stop, takes no other, and exits 0', async () => {
    const api = await startApi({ redisUrl: redis.url });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${api.url}/providers`, { method: 'POST', headers, body: '{"name":"crm","base_url":"http://127.0.0.1:9"}' });
    const body = '{"operation":"update","provider":"crm","record_id":"c1","data":{}}';
    const port = Number(new URL(api.url).port);
    let received = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.write(
      `POST /sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
    );
    await eventually(() => socket.bytesWritten > 0);
    // An answer to a later request says that the first bytes have been read.
    await fetch(`${api.url}/healthz`);
    api.term();
    await eventually(() =>
      fetch(`${api.url}/healthz`).then(
        () => false,
        () => true,
      ),
    );
    expect(api.hasEnded()).toBe(false);
    socket.write(body.slice(10));
    await eventually(() => received.startsWith('HTTP/1.1 202 '));
    expect(await api.ended).toMatchObject({ code: 0 });
    socket.destroy();
  });

  it('takes many waits for a status at once as no leak, and ends them all when it is told to stop', async () => {
    const api = await startApi({ redisUrl: redis.url, env: { SLUICE_KEY_PREFIX: 'waits:', SLUICE_SHARDS: '1' } });
    const send = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json' };
      return (await (await fetch(`${api.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Sent;
    };
    // Node warns at the eleventh listener: of the process's signal by many requests, of a request's by many operations.
    const providers = Array.from({ length: 12 }, (_, index) => `crm-${index}`);
    for (const name of providers) await send('/providers', { name, base_url: 'http://127.0.0.1:9' });
    await send('/routes', { name: 'all', providers });
    const upsert = { operation: 'upsert', data: {} };
    const sent = await Promise.all([...providers, 'auto'].map((provider) => send('/sync', { ...upsert, provider, record_id: provider })));
    const answers = Promise.all(sent.map(({ status_url: path }) => fetch(`${api.url}${path}?wait=30`)));
    await eventually(async () => (await redis.ask('SCARD', 'waits:{00}:waiting')) === '24');
    expect(await api.stop()).toMatchObject({ code: 0 });
    expect((await answers).map(({ status }) => status)).toEqual(sent.map(() => 200));
    expect(api.log()).not.toContain('Warning');
  });

  it('shows no secret in its log', async () => {
    const api = await startApi({ redisUrl: redis.url, env: { SLUICE_ENCRYPTION_KEY: Buffer.alloc(32, 'hunter2!').toString('base64') } });
    await api.stop();
    expect(api.log()).toContain('SLUICE_ENCRYPTION_KEY');
    expect(api.log()).not.toContain(Buffer.alloc(32, 'hunter2!').toString('base64'));
  });
});

interface Sent {
  readonly status_url: string;
}
