import { randomBytes, randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { dialectCall, prepare } from '../../../test/support/dialect-calls.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { type Answer, type Receiver, receive } from '../../../test/support/receiver.ts';
import type { RedisServer } from '../../../test/support/redis.ts';
import { parseConfig } from '../../../test/support/simulators.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import type { CallOutcome, ProviderAdapter } from './provider.ts';
import { createAdapter } from './registry.ts';

const keys = createKeys('auth:');
const sealer = createSealer(randomBytes(32));

let server: RedisServer;
let redis: RedisClient;
let tokens: Receiver;
let provider: Receiver;
/** What the token endpoint answers, by the number of the request. */
let issue: (index: number) => Answer | Promise<Answer>;
/** Tokens the provider takes. */
let valid: Set<string>;
let nowMs: number;

useRedis(
  (client, at) => {
    redis = client;
    server = at;
  },
  { commandTimeoutMs: 1_000 },
);
beforeEach(async () => {
  await redis.flushall();
  issue = (index) => {
    valid.add(`token-${index}`);
    return { body: { access_token: `token-${index}`, token_type: 'Bearer', expires_in: 3_600 } };
  };
  valid = new Set();
  nowMs = 0;
  tokens = await receive((call) => issue(call.index));
  provider = await receive((call) => ({ status: valid.has((call.headers['authorization'] ?? '').slice(7)) ? 200 : 401 }));
});

/** One process's adapter; its monotonic clock is the test's, moved by hand, on top of the real one that its time limits need. */
function open(client: RedisClient = redis, allowPrivateNetworks = true): ProviderAdapter {
  const auth_config = {
    type: 'oauth2_client_credentials',
    token_url: `${tokens.url}/oauth/token?x=1`,
    client_id: 'me',
    client_secret: 'open sesame&',
    scope: 'a b',
  };
  const adapter = createAdapter(parseConfig({ name: 'crm', base_url: provider.url, auth_config, timeout_ms: 5_000 }), {
    network: { allowPrivateNetworks },
    resolve: async () => [],
    clock: { nowMs: Date.now, monotonicMs: () => performance.now() + nowMs },
    createId: randomUUID,
    redis: client,
    keys,
    sealer,
  });
  if (!adapter) throw new Error('no adapter');
  onTestFinished(() => adapter.close());
  return adapter;
}

const guard = { mayStart: () => true, nextRequest: async () => undefined };

function send(adapter: ProviderAdapter, onStart: (abort: (reason: string) => void) => void = () => {}): Promise<CallOutcome> {
  const prepared = prepare(adapter, dialectCall({ kind: 'update' }));
  return new Promise((resolve) => {
    const inFlight = adapter.send([prepared], guard, ([outcome]) => resolve(outcome as CallOutcome));
    onStart((reason) => inFlight.abort(reason));
  });
}

const accepted = { status: 'accepted', providerStatus: 200 };

describe('client credentials', () => {
  it('are exchanged for a token by the form of RFC 6749, once for many calls', async () => {
    const adapter = open();
    expect(await Promise.all(Array.from({ length: 20 }, () => send(adapter)))).toEqual(Array.from({ length: 20 }, () => accepted));
    expect(tokens.calls).toHaveLength(1);
    const [request] = tokens.calls;
    expect(request).toMatchObject({ method: 'POST', path: '/oauth/token?x=1' });
    expect(request?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(Object.fromEntries(new URLSearchParams(request?.text))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'me',
      client_secret: 'open sesame&',
      scope: 'a b',
    });
    expect(provider.calls[0]?.headers['authorization']).toBe('Bearer token-0');
  });

  it('are exchanged once by four processes that start together', async () => {
    const clients = Array.from({ length: 4 }, (_, index) => connectRedis(server.url, { name: `process-${index}` }));
    onTestFinished(async () => void (await Promise.all(clients.map(disconnectRedis))));
    const outcomes = await Promise.all(clients.map((client) => open(client)).flatMap((adapter) => [send(adapter), send(adapter)]));
    expect(outcomes).toEqual(Array.from({ length: 8 }, () => accepted));
    expect(tokens.calls).toHaveLength(1);
  });

  it('are exchanged once by four processes whose token was withdrawn', async () => {
    const adapters = Array.from({ length: 4 }, () => open());
    await Promise.all(adapters.map((adapter) => send(adapter)));
    valid.clear();
    const refused = await Promise.all(adapters.flatMap((adapter) => [send(adapter), send(adapter)]));
    for (const outcome of refused) expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'auth', code: 'token_expired' } });
    expect(await Promise.all(adapters.map((adapter) => send(adapter)))).toEqual(Array.from({ length: 4 }, () => accepted));
    expect(tokens.calls).toHaveLength(2);
  });

  it('leave the token sealed in Redis', async () => {
    await send(open());
    const stored = JSON.stringify(await redis.hgetall(keys.token('crm')));
    expect(stored).toContain('sealed:1:');
    expect(stored).not.toContain('token-0');
  });

  it('are used ahead of the token’s end, while calls go on with the old one', async () => {
    const adapter = open();
    await send(adapter);
    nowMs += 3_545_000;
    // What Redis knows of the token's life must have passed too.
    await redis.pexpire(keys.token('crm'), 55_000);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    issue = async (index) => {
      await held;
      valid.add(`token-${index}`);
      return { body: { access_token: `token-${index}`, expires_in: 3_600 } };
    };
    expect(await send(adapter)).toEqual(accepted);
    await eventually(() => tokens.calls.length === 2);
    expect(await send(adapter)).toEqual(accepted);
    expect(provider.calls.at(-1)?.headers['authorization']).toBe('Bearer token-0');
    letGo();
    await eventually(
      async () => (await send(adapter)).status === 'accepted' && provider.calls.at(-1)?.headers['authorization'] === 'Bearer token-1',
    );
    expect(tokens.calls).toHaveLength(2);
  });

  it('are used again when the token has ended', async () => {
    const adapter = open();
    await send(adapter);
    nowMs += 3_600_000;
    await redis.del(keys.token('crm'));
    expect(await send(adapter)).toEqual(accepted);
    expect(tokens.calls).toHaveLength(2);
  });
});

describe('a provider that never takes the token', () => {
  it('is refused like any other after one new token, and asked for no further ones', async () => {
    const adapter = open();
    issue = (index) => ({ body: { access_token: `worthless-${index}` } });
    expect(await send(adapter)).toMatchObject({ error: { code: 'token_expired' } });
    for (let index = 0; index < 3; index += 1) expect(await send(adapter)).toMatchObject({ error: { kind: 'auth', code: 'unauthorized' } });
    expect(tokens.calls).toHaveLength(2);
  });

  it('may take a later one', async () => {
    const adapter = open();
    issue = (index) => ({ body: { access_token: `worthless-${index}` } });
    await send(adapter);
    await send(adapter);
    nowMs += 60_000;
    issue = (index) => {
      valid.add(`token-${index}`);
      return { body: { access_token: `token-${index}` } };
    };
    expect(await send(adapter)).toMatchObject({ error: { code: 'token_expired' } });
    expect(await send(adapter)).toEqual(accepted);
  });
});

describe('a token endpoint', () => {
  it.each([400, 401, 403])('that refuses by %i stops calls with the reason, and is left alone for a minute', async (status) => {
    const adapter = open();
    issue = () => ({ status, body: { error: 'invalid_client', error_description: 'open sesame& is wrong' } });
    expect(await send(adapter)).toEqual({
      status: 'failed',
      error: {
        kind: 'auth',
        code: 'credentials_refused',
        message: `the token endpoint answered ${status} (invalid_client: *** is wrong)`,
        retryAfterMs: 60_000,
      },
    });
    await send(adapter);
    expect(tokens.calls).toHaveLength(1);
    expect(provider.calls).toEqual([]);
    nowMs += 60_000;
    issue = () => {
      valid.add('t');
      return { body: { access_token: 't', expires_in: '3600' } };
    };
    expect(await send(adapter)).toEqual(accepted);
  });

  it.each<[string, Answer]>([
    ['fails', { status: 503 }],
    ['is overrun', { status: 429, headers: { 'retry-after': '30' } }],
    ['drops the connection', { drop: true }],
    ['gives no token', { body: { token_type: 'Bearer' } }],
    ['gives a token no header can hold', { body: { access_token: 'a\r\nb' } }],
    ['redirects', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    ['answers without end', { body: 'x'.repeat(200_000) }],
  ])('that %s is tried again later', async (_, answer) => {
    issue = () => answer;
    const outcome = await send(open());
    expect(outcome).toMatchObject({ status: 'failed', error: { kind: 'transient', code: 'token_unavailable' } });
    expect(outcome.status === 'failed' && outcome.error.retryAfterMs).toBe(answer.status === 429 ? 30_000 : 1_000);
    expect(provider.calls).toEqual([]);
    // The right to fetch was given back: another process may try at once.
    expect(await redis.exists(keys.tokenLock('crm'))).toBe(0);
  });

  it('at a private address is not called where private networks are not allowed', async () => {
    expect(await send(open(redis, false))).toMatchObject({
      error: { code: 'token_unavailable', message: expect.stringContaining('may not be called') },
    });
    expect(tokens.calls).toEqual([]);
  });
});

describe('a call that waits for its token', () => {
  it('is unsent when it is cut', async () => {
    issue = () => ({ hang: true });
    const adapter = open();
    let abort: (reason: string) => void = () => {};
    const outcome = send(adapter, (cut) => {
      abort = cut;
    });
    await eventually(() => tokens.calls.length === 1);
    abort('lease lost');
    expect(await outcome).toEqual({ status: 'unsent', reason: 'lease lost' });
  });

  it('is unsent, and nobody charged, when Redis cannot be reached', async () => {
    const lost = connectRedis('redis://127.0.0.1:1', { name: 'lost', commandTimeoutMs: 100 });
    onTestFinished(() => disconnectRedis(lost));
    expect(await send(open(lost))).toMatchObject({ status: 'unsent', reason: expect.stringContaining('shared token') });
    expect(tokens.calls).toEqual([]);
  });

  it('is unsent when its adapter closes while another process fetches', async () => {
    await redis.set(keys.tokenLock('crm'), 'another process', 'PX', 60_000);
    const adapter = open();
    const outcome = send(adapter);
    await adapter.close();
    expect(await outcome).toMatchObject({ status: 'unsent' });
  });
});

it('masks the token and the client secret in what the provider echoes', async () => {
  provider = await receive((call) => ({ status: 422, body: `${call.headers['authorization']} open sesame&` }));
  const echo = provider;
  onTestFinished(() => echo.close());
  expect(await send(open())).toMatchObject({ error: { answer: 'Bearer *** ***' } });
});
