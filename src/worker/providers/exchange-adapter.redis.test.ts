import { describe, expect, it } from 'vitest';
import { accepted } from '../../../test/support/engine.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { type Answering, receive } from '../../../test/support/receiver.ts';
import { errorOf, get, oneByOne, post, preparedOf, send, useExchangeAdapters, yes } from '../../../test/support/use-exchange-adapters.ts';
import type { ExchangeAnswer } from './exchange.ts';
import type { Budget, SendGuard } from './provider.ts';

const { open, asking } = useExchangeAdapters();

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

  it('hands answers over as they came, and masks secrets in what an outcome keeps of them', async () => {
    const { url } = await receive((call) => ({ status: 400, headers: { 'x-echo': 'static-token' }, body: call.headers['authorization'] }));
    const adapter = open({ baseUrl: url }, async (calls, exchange) => {
      const reply = (await exchange.request(get())) as ExchangeAnswer;
      const { text } = reply;
      expect([text, reply.header('x-echo')]).toEqual(['Bearer static-token', 'static-token']);
      const error = { kind: 'invalid', code: 'rejected', message: `said ${text}`, answer: text } as const;
      return calls.map((_, n) => (n === 0 ? { status: 'failed', error } : { status: 'unsent', reason: text }));
    });
    expect((await send(adapter, undefined, [preparedOf(), preparedOf()]).sent).outcomes).toEqual([
      { status: 'failed', error: { kind: 'invalid', code: 'rejected', message: 'said Bearer ***', answer: 'Bearer ***' } },
      { status: 'unsent', reason: 'Bearer ***' },
    ]);
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
    const { outcomes } = await send(open({ baseUrl: url }, oneByOne(get()))).sent;
    const error = { kind: 'auth', code: 'unauthorized', message: 'the provider answered 401', providerStatus: 401, answer: '***?' };
    expect(outcomes).toEqual([{ status: 'failed', error }]);
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
