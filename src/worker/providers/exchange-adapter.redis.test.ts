import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { type Answering, type Receiver, startReceiver } from '../../../test/support/receiver.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import type { Dialect, Exchange, ExchangeAnswer, ExchangeReply } from './exchange.ts';
import { createExchangeAdapter } from './exchange-adapter.ts';
import type { Budget, Call, CallGuard, CallOutcome, PreparedCall, ProviderAdapter, SendGuard } from './provider.ts';

const keys = createKeys('exchange:');
const sealer = createSealer(randomBytes(32));

let server: RedisServer;
let redis: RedisClient;
let closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'exchange-test', commandTimeoutMs: 1_000 });
});
afterAll(async () => {
  await disconnectRedis(redis);
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  closing = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
});

async function receive(answer?: Answering): Promise<Receiver> {
  const receiver = await startReceiver(answer ? { answer } : {});
  closing.push(() => receiver.close());
  return receiver;
}

function configOf(part: Partial<ProviderConfig>): ProviderConfig {
  return {
    name: 'crm',
    account: 'crm',
    kind: 'salesforce',
    baseUrl: 'http://127.0.0.1:1',
    auth: { type: 'bearer', token: 'static-token' },
    limits: [],
    maxConcurrency: 10,
    timeoutMs: 5_000,
    retry: { maxAttempts: 8, baseMs: 1, maxMs: 5, maxAgeMs: 86_400_000 },
    breaker: { failureRate: 1, minCalls: 1_000_000, windowMs: 10_000, openMs: 1_000 },
    batch: undefined,
    coalesce: true,
    conflict: 'record',
    mapping: undefined,
    unknownFields: 'pass',
    schema: undefined,
    endpoints: undefined,
    options: {},
    isPaused: false,
    version: 1,
    ...part,
  };
}

type CarryOut = Dialect['carryOut'];

function open(part: Partial<ProviderConfig>, carryOut: CarryOut, more: Partial<Dialect> = {}): ProviderAdapter {
  const dialect: Dialect = {
    maxBatch: 3,
    batchWaitMs: 7,
    canShareBatch: (a, b) => a.entity === b.entity,
    prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
    carryOut,
    ...more,
  };
  const adapter = createExchangeAdapter(
    configOf(part),
    {
      network: { allowPrivateNetworks: true },
      resolve: async () => [],
      clock: { nowMs: () => Date.parse('2026-05-01T12:00:00Z'), monotonicMs: () => performance.now() },
      createId: randomUUID,
      redis,
      keys,
      sealer,
    },
    () => dialect,
  );
  closing.push(() => adapter.close());
  return adapter;
}

const preparedOf = (part: Partial<Call> = {}): PreparedCall => ({
  call: {
    operationId: 'o',
    idempotencyKey: 'o',
    kind: 'create',
    tenant: 'default',
    entity: 'contact',
    recordId: 'r',
    timestampMs: 0,
    dataJson: '{}',
    providerRecordId: undefined,
    isInDoubt: false,
    ...part,
  },
  body: undefined,
});

const yes: CallGuard = { mayStart: () => true };
const freely: SendGuard = { ...yes, nextRequest: async () => yes };

interface Sent {
  readonly outcomes: readonly CallOutcome[];
  readonly budgets: readonly Budget[] | undefined;
}

function send(adapter: ProviderAdapter, guard: SendGuard = freely, calls = [preparedOf()]) {
  let dones = 0;
  let hasReturned = false;
  let abort: (reason: string) => void = () => {};
  const sent = new Promise<Sent>((resolve, reject) => {
    const inFlight = adapter.send(calls, guard, (outcomes, budgets) => {
      dones += 1;
      if (!hasReturned) reject(new Error('done came before send had returned'));
      resolve({ outcomes, budgets });
    });
    hasReturned = true;
    abort = (reason) => inFlight.abort(reason);
  });
  return { sent, abort: (reason: string) => abort(reason), dones: () => dones };
}

const accepted: CallOutcome = { status: 'accepted' };
const get = (path = '/x') => ({ method: 'GET', path, isRead: true }) as const;
const post = (path = '/x') => ({ method: 'POST', path, body: { a: 1 } }) as const;
/** The plainest dialect: every request in turn, its end for an outcome. */
const oneByOne =
  (...requests: readonly Parameters<Exchange['request']>[0][]): CarryOut =>
  async (calls, exchange) => {
    for (const request of requests) {
      const reply = await exchange.request(request);
      if (reply.status === 'ended') return calls.map(() => reply.outcome);
    }
    return calls.map(() => accepted);
  };
/** Of the first request alone, what came back. */
const asking = async (part: Partial<ProviderConfig>, request: Parameters<Exchange['request']>[0]): Promise<ExchangeReply> => {
  let reply: ExchangeReply | undefined;
  const adapter = open(part, async (calls, exchange) => {
    reply = await exchange.request(request);
    return calls.map(() => accepted);
  });
  await send(adapter).sent;
  return reply as ExchangeReply;
};
const errorOf = (outcome: CallOutcome | undefined): ProviderError | undefined => (outcome?.status === 'failed' ? outcome.error : undefined);

describe('an adapter of several requests', () => {
  it('is as its dialect says', () => {
    const adapter = open({}, async () => [], { bulk: { minRecords: 5, maxRecords: 9, takes: () => true } });
    expect(adapter).toMatchObject({ maxBatch: 3, batchWaitMs: 7, bulk: { minRecords: 5, maxRecords: 9 } });
    const { call } = preparedOf();
    expect(adapter.canShareBatch(call, { ...call, entity: 'lead' })).toBe(false);
    expect(adapter.prepare(call)).toMatchObject({ status: 'prepared' });
  });

  it('writes requests with authorization, their own headers and a body of any type', async () => {
    const receiver = await receive();
    const carryOut = oneByOne(
      { method: 'PATCH', path: '/a?b=c', body: { x: 1 }, headers: { 'sforce-call-options': 'client=sluice' } },
      { method: 'PUT', path: '/b', body: 'Id\n1', contentType: 'text/csv' },
      { ...get('/c'), headers: { accept: 'text/csv' } },
    );
    expect(await send(open({ baseUrl: `${receiver.url}/api/` }, carryOut)).sent).toEqual({ outcomes: [accepted], budgets: undefined });
    const [first, second, third] = receiver.calls;
    expect(first).toMatchObject({ method: 'PATCH', path: '/api/a?b=c', json: { x: 1 } });
    expect(first?.headers).toMatchObject({
      authorization: 'Bearer static-token',
      accept: 'application/json',
      'user-agent': 'sluice',
      'content-type': 'application/json',
      'sforce-call-options': 'client=sluice',
    });
    expect(second).toMatchObject({ text: 'Id\n1', headers: { 'content-type': 'text/csv' } });
    expect(third).toMatchObject({ headers: { accept: 'text/csv', authorization: 'Bearer static-token' } });
    expect(third?.headers['content-type']).toBeUndefined();
  });

  it('hands answers over with status, headers, JSON and the time to wait', async () => {
    const body = [{ errorCode: 'X' }];
    const headers = { Date: 'Fri, 01 May 2026 12:00:00 GMT', 'Retry-After': '2026-05-01T12:00:09', 'X-Own': 'v' };
    const { url } = await receive(() => ({ status: 503, headers, body }));
    const reply = (await asking({ baseUrl: url }, get())) as ExchangeAnswer;
    expect(reply).toMatchObject({ status: 'answered', code: 503, isWhole: true, retryAfterMs: 9_000, text: JSON.stringify(body) });
    expect(reply.json()).toEqual(body);
    expect(reply.header('x-own')).toBe('v');
    expect(reply.header('x-other')).toBeUndefined();
  });

  it('reads large successes to their end, and failures only so far', async () => {
    const body = 'x'.repeat(3_000_000);
    const { url } = await receive((call) => ({ status: call.path === '/ok' ? 200 : 400, body }));
    expect(await asking({ baseUrl: url }, get('/ok'))).toMatchObject({ isWhole: true, text: body });
    const failure = (await asking({ baseUrl: url }, get('/bad'))) as ExchangeAnswer;
    expect(failure.isWhole).toBe(false);
    expect(failure.text.length).toBeLessThanOrEqual(64 * 1024);
    expect(failure.json()).toBeUndefined();
  });

  it('masks secrets in bodies and headers', async () => {
    const { url } = await receive((call) => ({ status: 400, headers: { 'x-echo': 'static-token' }, body: call.headers['authorization'] }));
    const reply = (await asking({ baseUrl: url }, get())) as ExchangeAnswer;
    expect(reply.text).toBe('Bearer ***');
    expect(reply.header('x-echo')).toBe('***');
  });
});

describe('permits', () => {
  it('are asked for each request after the first', async () => {
    const receiver = await receive();
    let asked = 0;
    const seen: string[] = [];
    const guard: SendGuard = {
      mayStart: () => seen.push('own') > 0,
      nextRequest: async () => {
        asked += 1;
        const name = `further ${asked}`;
        return { mayStart: () => seen.push(name) > 0 };
      },
    };
    await send(open({ baseUrl: receiver.url }, oneByOne(get(), get(), get())), guard).sent;
    expect(seen).toEqual(['own', 'further 1', 'further 2']);
  });

  it('that are refused leave the request unsent', async () => {
    const receiver = await receive();
    const adapter = open({ baseUrl: receiver.url }, oneByOne(get('/1'), post('/2')));
    const refused = await send(adapter, { mayStart: () => false, nextRequest: async () => yes }).sent;
    expect(refused.outcomes[0]).toMatchObject({ status: 'unsent' });
    expect(receiver.calls).toHaveLength(0);
    const none = await send(adapter, { ...yes, nextRequest: async () => undefined }).sent;
    expect(none.outcomes).toEqual([{ status: 'unsent', reason: 'there is no permit for a further request' }]);
    const late = await send(adapter, { ...yes, nextRequest: async () => ({ mayStart: () => false }) }).sent;
    expect(late.outcomes[0]).toMatchObject({ status: 'unsent' });
    expect(receiver.calls.map(({ path }) => path)).toEqual(['/1', '/1']);
  });
});

describe('lost answers', () => {
  it('are passing for a read, and in doubt for everything else', async () => {
    const { url } = await receive(() => ({ drop: true }));
    const read = await send(open({ baseUrl: url }, oneByOne(get()))).sent;
    expect(errorOf(read.outcomes[0])).toMatchObject({ kind: 'transient', code: 'connection_lost' });
    const write = await send(open({ baseUrl: url }, oneByOne(post()))).sent;
    expect(errorOf(write.outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'connection_lost' });
  });

  it('come of each request’s own time limit', async () => {
    const { url } = await receive(() => ({ hang: true }));
    const { outcomes } = await send(open({ baseUrl: url, timeoutMs: 50 }, oneByOne(post()))).sent;
    expect(errorOf(outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'timeout' });
  });

  it('are none where nothing listens', async () => {
    const { outcomes } = await send(open({ baseUrl: 'http://127.0.0.1:1' }, oneByOne(post()))).sent;
    expect(errorOf(outcomes[0])).toMatchObject({ kind: 'transient', code: 'connection_refused' });
  });
});

describe('cutting', () => {
  it('ends the request in flight: ambiguous where it was written', async () => {
    const receiver = await receive(() => ({ hang: true }));
    const { sent, abort, dones } = send(open({ baseUrl: receiver.url }, oneByOne(post(), post())));
    await eventually(() => receiver.calls.length === 1);
    abort('lease lost');
    expect(errorOf((await sent).outcomes[0])).toMatchObject({ kind: 'ambiguous', code: 'aborted' });
    abort('again');
    expect(dones()).toBe(1);
  });

  it('ends the wait for a permit, and nothing more is sent', async () => {
    const receiver = await receive();
    let isAsked = false;
    const never = () => {
      isAsked = true;
      return new Promise<undefined>(() => {});
    };
    const { sent, abort } = send(open({ baseUrl: receiver.url }, oneByOne(post(), post())), { ...yes, nextRequest: never });
    await eventually(() => isAsked);
    abort('stopping');
    expect((await sent).outcomes).toEqual([{ status: 'unsent', reason: 'stopping' }]);
    expect(receiver.calls).toHaveLength(1);
  });

  it('ends a pause, and what the dialect makes of it counts', async () => {
    let isWaiting = false;
    const adapter = open({}, async (calls, exchange) => {
      isWaiting = true;
      const isOver = await exchange.wait(3_600_000);
      const reply = await exchange.request(get());
      expect(reply).toEqual({ status: 'ended', outcome: { status: 'unsent', reason: 'stopping' } });
      return calls.map(() => (isOver ? { status: 'unsent', reason: '' } : accepted));
    });
    const { sent, abort } = send(adapter);
    await eventually(() => isWaiting);
    abort('stopping');
    expect((await sent).outcomes).toEqual([accepted]);
  });

  it('is done by closing, too, and later calls stay unsent', async () => {
    const receiver = await receive(() => ({ hang: true }));
    const adapter = open({ baseUrl: receiver.url }, oneByOne(post()));
    const { sent } = send(adapter);
    await eventually(() => receiver.calls.length === 1);
    await adapter.close();
    expect(errorOf((await sent).outcomes[0])).toMatchObject({ kind: 'ambiguous' });
    expect((await send(adapter).sent).outcomes).toEqual([{ status: 'unsent', reason: 'closed' }]);
  });

  it('does nothing to a pause that is over', async () => {
    const adapter = open({}, async (calls, exchange) => [
      (await exchange.wait(1)) ? accepted : { status: 'unsent', reason: String(calls.length) },
    ]);
    expect((await send(adapter).sent).outcomes).toEqual([accepted]);
  });
});

describe('a dialect with a bug', () => {
  const bug = async (): Promise<never> => {
    throw new TypeError('no static-token of undefined');
  };

  it('fails its calls once, in words without secrets', async () => {
    const { url } = await receive();
    const { sent, dones } = send(
      open({ baseUrl: url }, async (_, exchange) => {
        await exchange.request(get());
        return bug();
      }),
      freely,
      [preparedOf(), preparedOf()],
    );
    const error = { kind: 'transient', code: 'adapter_fault', message: 'the adapter failed: TypeError: no *** of undefined' };
    expect((await sent).outcomes).toEqual([
      { status: 'failed', error },
      { status: 'failed', error },
    ]);
    expect(dones()).toBe(1);
  });

  it('leaves its calls in doubt where it has written', async () => {
    const { url } = await receive();
    const written: CarryOut = async (_, exchange) => {
      await exchange.request(post());
      return bug();
    };
    expect(errorOf((await send(open({ baseUrl: url }, written)).sent).outcomes[0])).toMatchObject({ kind: 'ambiguous' });
  });

  it('may also throw before it begins, or give outcomes that do not fit', async () => {
    const thrown = await send(
      open({}, () => {
        throw new Error('at once');
      }),
    ).sent;
    expect(errorOf(thrown.outcomes[0])?.code).toBe('adapter_fault');
    const short = await send(
      open({}, async () => []),
      freely,
      [preparedOf()],
    ).sent;
    expect(errorOf(short.outcomes[0])?.code).toBe('adapter_fault');
  });
});

describe('doubt', () => {
  const failing = (error: ProviderError) => open({}, async (calls) => calls.map(() => ({ status: 'failed', error })));
  const doubted = [preparedOf({ isInDoubt: true }), preparedOf()];

  it.each(['rate_limited', 'transient', 'auth', 'ambiguous'] as const)(
    'is kept by a failure of the kind %s, and never made',
    async (kind) => {
      const error: ProviderError = { kind, code: 'x', message: '' };
      const { outcomes } = await send(failing(error), freely, doubted).sent;
      expect(outcomes.map((outcome) => errorOf(outcome)?.isInDoubt)).toEqual([true, undefined]);
    },
  );

  it('ends with a final failure, or where the dialect has found out', async () => {
    const final = await send(failing({ kind: 'invalid', code: 'x', message: '' }), freely, doubted).sent;
    expect(errorOf(final.outcomes[0])?.isInDoubt).toBeUndefined();
    const known = await send(failing({ kind: 'transient', code: 'x', message: '', isInDoubt: false }), freely, doubted).sent;
    expect(errorOf(known.outcomes[0])?.isInDoubt).toBe(false);
  });
});

it('tells the last that answers said of each limit', async () => {
  let left = 10;
  const { url } = await receive(() => {
    left -= 1;
    return { status: left === 7 ? 401 : 200, headers: { left: String(left) } };
  });
  const budgetsOf = (answer: ExchangeAnswer): Budget[] => [
    { perMs: answer.header('left') === '9' ? 1_000 : 60_000, requests: undefined, remaining: Number(answer.header('left')), resetInMs: 5 },
  ];
  const { budgets } = await send(open({ baseUrl: url }, oneByOne(get(), get(), get()), { budgetsOf })).sent;
  expect(budgets?.map(({ perMs, remaining }) => [perMs, remaining])).toEqual([
    [1_000, 9],
    [60_000, 7],
  ]);
});

describe('credentials', () => {
  it('that are fixed and answered 401 are refused for good', async () => {
    const { url } = await receive(() => ({ status: 401, body: 'static-token?' }));
    const reply = await asking({ baseUrl: url }, get());
    const error = { kind: 'auth', code: 'unauthorized', message: 'the provider answered 401', providerStatus: 401, answer: '***?' };
    expect(reply).toEqual({ status: 'ended', outcome: { status: 'failed', error } });
  });

  /** A provider whose tokens say where its API is; those in `valid` are taken. */
  async function startOrg(api: (index: number) => string) {
    const valid = new Set<string>();
    const tokens = await receive((call) => {
      valid.add(`token-${call.index}`);
      return { body: { access_token: `token-${call.index}`, instance_url: api(call.index) } };
    });
    const answer: Answering = (call) => ({ status: valid.has((call.headers['authorization'] ?? '').slice(7)) ? 200 : 401 });
    const auth = {
      type: 'oauth2_client_credentials',
      tokenUrl: `${tokens.url}/services/oauth2/token`,
      clientId: 'c',
      clientSecret: 's3cret',
    } as const;
    return { valid, tokens, answer, auth };
  }

  it('lead to the address that came with them, wherever it moves', async () => {
    const places: string[] = [];
    const org = await startOrg((index) => places[index] as string);
    const [base, first, second] = [await receive(org.answer), await receive(org.answer), await receive(org.answer)];
    places.push(`${first.url}/org/`, second.url);
    const adapter = open({ baseUrl: base.url, auth: org.auth }, oneByOne(get('/a'), get('/b')));
    expect((await send(adapter).sent).outcomes).toEqual([accepted]);
    org.valid.clear();
    expect(errorOf((await send(adapter).sent).outcomes[0])?.code).toBe('token_expired');
    expect((await send(adapter).sent).outcomes).toEqual([accepted]);
    expect(base.calls).toHaveLength(0);
    expect(first.calls.map(({ path }) => path)).toEqual(['/org/a', '/org/b', '/org/a']);
    expect(second.calls.map(({ path }) => path)).toEqual(['/a', '/b']);
  });

  it('that end under many parallel calls of four processes are refreshed once', async () => {
    const org = await startOrg(() => 'not an address');
    const receiver = await receive(org.answer);
    const adapters = Array.from({ length: 4 }, () => open({ baseUrl: receiver.url, auth: org.auth }, oneByOne(post(), post())));
    const round = () => Promise.all(adapters.flatMap((adapter) => Array.from({ length: 8 }, () => send(adapter).sent)));
    for (const { outcomes } of await round()) expect(outcomes).toEqual([accepted]);
    org.valid.clear();
    for (const { outcomes } of await round()) expect(errorOf(outcomes[0])).toMatchObject({ kind: 'auth', code: 'token_expired' });
    for (const { outcomes } of await round()) expect(outcomes).toEqual([accepted]);
    expect(org.tokens.calls).toHaveLength(2);
  });

  it('that cannot be had end the request with the reason', async () => {
    const tokens = await receive(() => ({ status: 400, body: { error: 'invalid_client', error_description: 'wrong s3cret' } }));
    const auth = { type: 'oauth2_client_credentials', tokenUrl: tokens.url, clientId: 'c', clientSecret: 's3cret' } as const;
    expect(await asking({ auth }, get())).toMatchObject({
      outcome: { error: { code: 'credentials_refused', message: 'the token endpoint answered 400 (invalid_client: wrong ***)' } },
    });
  });

  it('are waited for no longer when the call is cut', async () => {
    const tokens = await receive(() => ({ hang: true }));
    const auth = { type: 'oauth2_client_credentials', tokenUrl: tokens.url, clientId: 'c', clientSecret: 's' } as const;
    const { sent, abort } = send(open({ auth }, oneByOne(get())));
    await eventually(() => tokens.calls.length === 1);
    abort('lease lost');
    expect((await sent).outcomes).toEqual([{ status: 'unsent', reason: 'lease lost' }]);
  });
});
