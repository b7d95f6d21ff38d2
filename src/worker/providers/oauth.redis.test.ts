import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Answer, type Answering, type Receiver, receive } from '../../../test/support/receiver.ts';
import { startRedis } from '../../../test/support/redis.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { AuthConfig, ProviderConfig } from '../../shared/providers/config.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { tokenPlaceOf } from '../../shared/providers/token-place.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import type { Authentication, Credentials } from './auth.ts';
import { createAuthentication } from './authentication.ts';
import { createGuardedConnector } from './ssrf-guard.ts';
import type { RefreshTokenGrant } from './token-grants.ts';

const keys = createKeys('oauth:');
const sealer = createSealer(randomBytes(32));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });

let redis: RedisClient;
let tokens: Receiver;

useRedis(
  (client) => {
    redis = client;
  },
  { commandTimeoutMs: 1_000 },
);
beforeEach(async () => {
  await redis.flushall();
  tokens = await receive(rotating());
});

const formOf = (call: { text: string } | undefined) => Object.fromEntries(new URLSearchParams(call?.text));
const refused: Answer = { status: 400, body: { error: 'invalid_grant', error_description: 'The refresh token is invalid' } };

/** Takes each refresh token once: the answer to r0 has r1, and so on. */
function rotating(first = 'r'): Answering {
  let next = 0;
  return (call) => {
    if (formOf(call)['refresh_token'] !== `${first}${next}`) return refused;
    next += 1;
    return { body: { access_token: `${first}-access-${next}`, expires_in: 7_200, refresh_token: `${first}${next}` } };
  };
}

interface Part {
  auth?: Partial<RefreshTokenGrant> | AuthConfig;
  kind?: string;
  account?: string;
  client?: RedisClient;
  nowMs?: () => number;
}

const configured = (): RefreshTokenGrant => ({
  type: 'oauth2_refresh_token',
  tokenUrl: `${tokens.url}/oauth/token`,
  clientId: 'c',
  clientSecret: 's3cret',
  refreshToken: 'r0',
});
const place = () => tokenPlaceOf('crm', configured());

/** One process's authentication. */
function open(part: Part = {}): Authentication {
  const config = {
    name: 'crm',
    account: part.account ?? 'crm',
    kind: part.kind ?? 'hubspot',
    auth: { ...configured(), ...part.auth } as AuthConfig,
  } as ProviderConfig;
  const network = { allowPrivateNetworks: true };
  const connect = createGuardedConnector({ resolve: async () => [], network, connectTimeoutMs: 1_000 });
  const clock = { nowMs: Date.now, monotonicMs: () => performance.now() + (part.nowMs?.() ?? 0) };
  const deps = { network, resolve: async () => [], clock, createId: randomUUID, redis: part.client ?? redis, keys, sealer };
  const auth = createAuthentication(config, deps, connect);
  onTestFinished(() => auth.close());
  return auth;
}

async function obtained(auth: Authentication): Promise<Credentials> {
  const result = await auth.obtain();
  if (result.status !== 'obtained') throw new Error(JSON.stringify(result));
  return result.credentials;
}
/** What a call is authorized by, and then that token is refused. */
async function useUp(auth: Authentication): Promise<string | undefined> {
  const credentials = await obtained(auth);
  auth.onAccepted(credentials);
  auth.onUnauthorized(credentials);
  return credentials.headers[1];
}

describe('refresh tokens that rotate', () => {
  it('are each used once, by one process after the other', async () => {
    const [a, b] = [open(), open()];
    expect(await useUp(a)).toBe('Bearer r-access-1');
    // The other process knows of no refusal: it is given the shared one first.
    expect(await useUp(b)).toBe('Bearer r-access-1');
    expect(await useUp(b)).toBe('Bearer r-access-2');
    expect(await useUp(a)).toBe('Bearer r-access-2');
    expect(await useUp(a)).toBe('Bearer r-access-3');
    expect(tokens.calls.map((call) => formOf(call)['refresh_token'])).toEqual(['r0', 'r1', 'r2']);
    expect(formOf(tokens.calls[0])).toEqual({ grant_type: 'refresh_token', client_id: 'c', client_secret: 's3cret', refresh_token: 'r0' });
  });

  it('are asked for once by processes that start together', async () => {
    const all = Array.from({ length: 4 }, () => open());
    const credentials = await Promise.all(all.flatMap((auth) => [obtained(auth), obtained(auth)]));
    expect(new Set(credentials.map(({ headers }) => headers[1]))).toEqual(new Set(['Bearer r-access-1']));
    expect(tokens.calls).toHaveLength(1);
  });

  it('outlive the access token and the processes', async () => {
    const auth = open();
    await obtained(auth);
    await auth.close();
    await redis.del(keys.token(place()));
    expect(await useUp(open())).toBe('Bearer r-access-2');
  });

  it('begin anew where others are configured', async () => {
    await useUp(open());
    tokens.answerWith(rotating('s'));
    expect(await useUp(open({ auth: { refreshToken: 's0' } }))).toBe('Bearer s-access-1');
  });

  it('go on where only the client secret changes', async () => {
    await useUp(open());
    expect(await useUp(open({ auth: { clientSecret: 'new' } }))).toBe('Bearer r-access-2');
    expect(formOf(tokens.calls[1])).toMatchObject({ client_secret: 'new', refresh_token: 'r1' });
  });

  it('go on where former ones are configured again', async () => {
    await useUp(open());
    const rotate = rotating('s');
    tokens.answerWith((call) => (formOf(call)['refresh_token'] === 'r1' ? { body: { access_token: 'r-again' } } : rotate(call)));
    await useUp(open({ auth: { refreshToken: 's0' } }));
    const again = open();
    await useUp(again);
    expect(await useUp(again)).toBe('Bearer r-again');
  });

  it('are shared by a tenant that has an account of its own, but not credentials', async () => {
    await useUp(open());
    const tenant = open({ account: 'crm:acme' });
    await useUp(tenant);
    expect(await useUp(tenant)).toBe('Bearer r-access-2');
    expect(tokens.calls.map((call) => formOf(call)['refresh_token'])).toEqual(['r0', 'r1']);
  });

  it('are not replaced by an endpoint that gives the same again, or none', async () => {
    tokens.answerWith((call) => ({ body: { access_token: 'a', refresh_token: call.index === 0 ? 'r0' : undefined } }));
    const auth = open();
    await useUp(auth);
    await useUp(auth);
    expect(tokens.calls.map((call) => formOf(call)['refresh_token'])).toEqual(['r0', 'r0']);
    expect(await redis.exists(keys.refreshToken(place()))).toBe(0);
  });

  it('cost nothing but the right to fetch where a process dies before it has asked', async () => {
    // What a process leaves that took the right and died.
    await redis.set(keys.tokenLock(place()), 'dead', 'PX', 60_000);
    const waiting = obtained(open());
    await redis.del(keys.tokenLock(place()));
    expect((await waiting).headers[1]).toBe('Bearer r-access-1');
  });

  it('that died with a process between answer and write are refused with the endpoint’s words', async () => {
    // The endpoint has answered r0, and nobody knows r1.
    await fetch(`${tokens.url}/oauth/token`, { method: 'POST', body: new URLSearchParams({ refresh_token: 'r0' }) });
    expect(await open().obtain()).toMatchObject({
      error: {
        kind: 'auth',
        code: 'credentials_refused',
        message: 'the token endpoint answered 400 (invalid_grant: The refresh token is invalid)',
        retryAfterMs: 60_000,
      },
    });
    expect(await redis.exists(keys.tokenLock(place()))).toBe(0);
  });

  it('are written as soon as Redis is back, and closing waits for it', async () => {
    const own = await startRedis();
    const client = connectRedis(own.url, { name: 'oauth-away', commandTimeoutMs: 500 });
    onTestFinished(async () => {
      await disconnectRedis(client);
      await own.stop();
    });
    const rotate = rotating();
    tokens.answerWith(async (call) => {
      if (call.index === 0) await client.call('CONFIG', 'SET', 'min-replicas-to-write', '1');
      return rotate(call);
    });
    const auth = open({ client });
    // It serves this process at once.
    expect((await obtained(auth)).headers[1]).toBe('Bearer r-access-1');
    expect(await client.exists(keys.refreshToken(place()))).toBe(0);
    const closed = auth.close();
    await client.call('CONFIG', 'SET', 'min-replicas-to-write', '0');
    await closed;
    expect(await client.exists(keys.refreshToken(place()))).toBe(1);
    await client.del(keys.token(place()));
    expect(await useUp(open({ client }))).toBe('Bearer r-access-2');
  });

  it('that an endpoint is about to give are waited for by closing', async () => {
    const rotate = rotating();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    tokens.answerWith(async (call) => {
      await held;
      return rotate(call);
    });
    const auth = open();
    const waiting = auth.obtain();
    await eventually(() => tokens.calls.length === 1);
    const closed = auth.close();
    letGo();
    await closed;
    await waiting;
    expect(await redis.exists(keys.refreshToken(place()))).toBe(1);
  });
});

describe('an account of the kind outreach', () => {
  it('asks for a token once a minute, whoever asks, also after a refusal of the token', async () => {
    const [a, b] = [open({ kind: 'outreach' }), open({ kind: 'outreach' })];
    await useUp(a);
    for (const auth of [a, b]) {
      if (auth === b) await useUp(b);
      expect(await auth.obtain()).toMatchObject({
        status: 'failed',
        error: { kind: 'transient', code: 'token_unavailable', message: expect.stringMatching(/may be asked again in \d+ s/) },
      });
    }
    expect(tokens.calls).toHaveLength(1);
    await redis.del(keys.tokenPace(place()));
    expect(await useUp(open({ kind: 'outreach' }))).toBe('Bearer r-access-1');
    const c = open({ kind: 'outreach' });
    await useUp(c);
    expect(await useUp(c)).toBe('Bearer r-access-2');
    expect(tokens.calls).toHaveLength(2);
  });

  it('waits out a 429 of the token endpoint', async () => {
    tokens.answerWith(() => ({ status: 429, headers: { 'retry-after': '42' }, body: { errors: [{ id: 'rateLimitExceeded' }] } }));
    expect(await open({ kind: 'outreach' }).obtain()).toMatchObject({
      error: { code: 'token_unavailable', message: 'the token endpoint answered 429 (rateLimitExceeded)', retryAfterMs: 42_000 },
    });
    expect(await open({ kind: 'outreach' }).obtain()).toMatchObject({ error: { code: 'token_unavailable' } });
    expect(tokens.calls).toHaveLength(1);
  });
});

describe('what a token endpoint says', () => {
  it.each<[string, Answer, string]>([
    [
      'HubSpot',
      { status: 400, body: { status: 'BAD_CLIENT_ID', message: 'missing or unknown client id' } },
      '400 (BAD_CLIENT_ID: missing or unknown client id)',
    ],
    [
      'Salesforce',
      { status: 400, body: { error: 'invalid_client_id', error_description: 'client identifier invalid' } },
      '400 (invalid_client_id: client identifier invalid)',
    ],
    ['an echo of secrets', { status: 401, body: { error: 'x', error_description: 's3cret, r0\n!' } }, '401 (x: ***, *** !)'],
    ['no JSON', { status: 403, body: '<html>' }, '403'],
    ['very much', { status: 400, body: { error: 'x', error_description: 'y'.repeat(5_000) } }, `400 (x: ${'y'.repeat(200)})`],
  ])('is told in a few words without secrets: %s', async (_, answer, told) => {
    tokens.answerWith(() => answer);
    const auth = open({ auth: { refreshToken: 'r0' } });
    expect(await auth.obtain()).toMatchObject({ error: { code: 'credentials_refused', message: `the token endpoint answered ${told}` } });
  });

  it('may be that it fails, by a 400 too', async () => {
    tokens.answerWith(() => ({ status: 400, body: { error: 'temporarily_unavailable' } }));
    expect(await open().obtain()).toMatchObject({ error: { kind: 'transient', code: 'token_unavailable' } });
  });
});

describe('a Salesforce assertion', () => {
  const jwt = (): AuthConfig => ({
    type: 'salesforce_jwt',
    loginUrl: `${tokens.url}/login`,
    clientId: 'consumer',
    username: 'sync@acme.test',
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  });

  it('is exchanged for a token, whose address the whole fleet has', async () => {
    tokens.answerWith(() => ({ body: { access_token: '00D!x', instance_url: 'http://127.0.0.1:9/org/', issued_at: '1' } }));
    const [first, second] = [await obtained(open({ auth: jwt() })), await obtained(open({ auth: jwt() }))];
    expect(first).toMatchObject({ headers: ['authorization', 'Bearer 00D!x'], instanceUrl: 'http://127.0.0.1:9/org' });
    expect(second.instanceUrl).toBe(first.instanceUrl);
    expect(tokens.calls.map(({ path }) => path)).toEqual(['/login/services/oauth2/token']);
    expect(decodeJwt(formOf(tokens.calls[0])['assertion'] ?? '')).toMatchObject({ iss: 'consumer', sub: 'sync@acme.test' });
  });

  it('is exchanged anew after two hours where nothing says how long a token lasts', async () => {
    let nowMs = 0;
    tokens.answerWith((call) => ({ body: { access_token: `t${call.index}`, instance_url: 'http://127.0.0.1:9' } }));
    const auth = open({ auth: jwt(), nowMs: () => nowMs });
    await obtained(auth);
    expect(await redis.pttl(keys.token('crm'))).toBeGreaterThan(7_190_000);
    nowMs = 7_000_000;
    expect(auth.current()?.headers[1]).toBe('Bearer t0');
    nowMs = 7_200_000;
    expect(auth.current()).toBeUndefined();
  });

  it.each([
    ['not an address', 'org'],
    ['one with a password', 'http://u:p@127.0.0.1:9'],
    ['not of the web', 'file:///etc/passwd'],
    ['no text', 7],
  ])('leaves the configured address where the answer has %s', async (_, instance_url) => {
    tokens.answerWith(() => ({ body: { access_token: 't', instance_url } }));
    expect((await obtained(open({ auth: jwt() }))).instanceUrl).toBeUndefined();
  });

  it('that cannot be signed asks nobody', async () => {
    expect(await open({ auth: { ...jwt(), privateKey: 'nonsense' } as AuthConfig }).obtain()).toMatchObject({
      error: { kind: 'auth', code: 'credentials_refused', message: expect.stringContaining('private key') },
    });
    expect(tokens.calls).toEqual([]);
  });
});
