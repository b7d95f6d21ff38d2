/** Operations addressed to `auto`, on a real Redis; the worker is played by the test. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { startTestApi, type TestApi } from '../../test/support/in-process-api.ts';
import { createQueueBench, deadOf, entriesOf, finalOf, type QueueBench, settlementOf } from '../../test/support/queue.ts';
import { type RedisServer, startRedis } from '../../test/support/redis.ts';
import { parseOperationId } from '../shared/domain/operation.ts';
import { parseParentId } from '../shared/domain/parent-id.ts';
import { connectRedis, disconnectRedis, type RedisClient } from '../shared/redis/connection.ts';

let server: RedisServer;
let redis: RedisClient;
let api: TestApi;
let bench: QueueBench;
const prefix = 'routing:';
const env = { SLUICE_KEY_PREFIX: prefix };
const providers = ['crm', 'erp', 'shop'];

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'test' });
  api = await startTestApi(server.url, env);
  bench = await createQueueBench(redis, prefix, { shards: 4 });
  for (const name of providers) await api.ask('POST', '/providers', { name, base_url: 'http://127.0.0.1:9' });
});
afterAll(async () => {
  await api?.api.stop();
  await disconnectRedis(redis);
  await server?.stop();
});
beforeEach(async () => {
  for (const { name } of (await api.ask('GET', '/routes?limit=500')).body.items) await api.ask('DELETE', `/routes/${name}`);
});

const leads = { name: 'leads', entity: 'contact', filter: 'data.contact_type in ["lead", "prospect", "employee"]', providers: ['crm'] };
const customers = { name: 'customers', entity: 'contact', filter: 'data.contact_type in ["customer", "both"]', providers: ['erp'] };
const both = { name: 'both', filter: 'data.contact_type == "both"', providers: ['shop', 'crm'] };

async function addRoutes(...routes: object[]) {
  for (const route of routes) expect((await api.ask('POST', '/routes', route)).status).toBe(201);
}

let records = 0;
const newRecord = () => `r${records++}`;
const auto = (contact_type: unknown, part: object = {}) => ({
  operation: 'upsert',
  provider: 'auto',
  record_id: newRecord(),
  data: { contact_type },
  ...part,
});
const send = (body: unknown, headers?: Record<string, string>, to = api) => to.ask('POST', '/sync', body, headers);
const providersOf = (body: { operations?: { provider: string }[] }) => body.operations?.map(({ provider }) => provider);

/** What the queue of a provider holds of a record. */
async function queued(provider: string, recordId: string): Promise<number> {
  let count = 0;
  for (let shard = 0; shard < 4; shard += 1) {
    for (const [, fields] of await redis.xrange(bench.keys.queue(shard, provider), '-', '+')) {
      if ((JSON.parse(fields[1] as string) as string[])[1] === recordId) count += 1;
    }
  }
  return count;
}

describe('/routes', () => {
  it('are added, shown, replaced and removed, each with a version', async () => {
    const added = await api.ask('POST', '/routes', leads);
    expect(added).toMatchObject({
      status: 201,
      body: { ...leads, enabled: true, position: 100, version: 1, created_at: expect.stringMatching(/^20/) },
    });
    expect(added.headers.get('location')).toBe('/routes/leads');
    expect(added.headers.get('etag')).toBe('"1"');
    expect(await api.ask('POST', '/routes', leads)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    // What an answer shows may be sent back.
    expect(await api.ask('PUT', '/routes/leads', { ...added.body, enabled: false })).toMatchObject({
      status: 200,
      body: { enabled: false, version: 2 },
    });
    expect((await api.ask('GET', '/routes/leads')).body).toMatchObject({ version: 2, created_at: added.body.created_at });
    expect((await api.ask('PUT', '/routes/other', { providers: ['crm'] })).body).toMatchObject({ name: 'other', entity: '*', version: 1 });
    expect((await api.ask('DELETE', '/routes/leads')).status).toBe(204);
    for (const method of ['GET', 'DELETE']) expect((await api.ask(method, '/routes/leads')).body.code).toBe('not_found');
  });

  it('are not written over a version the writer has not seen', async () => {
    await addRoutes(leads);
    const put = (ifMatch: string) => api.ask('PUT', '/routes/leads', leads, { 'if-match': ifMatch });
    expect(await put('"1"')).toMatchObject({ status: 200, body: { version: 2 } });
    expect(await put('"1"')).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect((await put('1')).status).toBe(422);
    expect((await api.ask('DELETE', '/routes/leads', undefined, { 'if-match': '"1"' })).status).toBe(409);
    expect((await api.ask('DELETE', '/routes/leads', undefined, { 'if-match': '"2"' })).status).toBe(204);
    expect((await put('"2"')).status).toBe(409);
    expect(await Promise.all([1, 2, 3, 4].map(() => api.ask('POST', '/routes', leads).then(({ status }) => status)))).toContain(409);
  });

  it('are listed in the order they are asked, in pages', async () => {
    await addRoutes(
      { ...leads, name: 'c', position: 5 },
      { ...leads, name: 'b' },
      { ...leads, name: 'a' },
      { ...leads, name: 'd', position: 500 },
    );
    const names: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/routes?limit=1${cursor && `&cursor=${cursor}`}`);
      names.push(...body.items.map(({ name }: { name: string }) => name));
      cursor = body.next_cursor ?? '';
    } while (cursor !== '');
    expect(names).toEqual(['c', 'a', 'b', 'd']);
  });

  it.each([
    ['an unknown provider', { providers: ['crm', 'nobody'] }, 'providers.1'],
    ['auto as a provider', { providers: ['auto'] }, 'providers'],
    ['a provider twice', { providers: ['crm', 'crm'] }, 'providers'],
    ['no provider', { providers: [] }, 'providers'],
    ['a bad filter', { filter: 'data.a ==' }, 'filter'],
    ['a hostile filter', { filter: 'data.a.matches("(a+)+$")' }, 'filter'],
    ['a bad name', { name: 'Bad Name' }, 'name'],
    ['a reserved name', { name: 'try' }, 'name'],
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a position that is no number', { position: 1.5 }, 'position'],
  ])('refuse %s by path', async (_, part, path) => {
    const { status, body } = await api.ask('POST', '/routes', { ...leads, ...part });
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'invalid', errors: [{ path }] });
  });

  it('say where a filter is wrong', async () => {
    const { body } = await api.ask('POST', '/routes', { ...leads, filter: 'data.a == 1 &&\n  dat.b == 2' });
    expect(body.errors).toEqual([{ path: 'filter', message: 'line 2, column 3: Unknown variable: dat' }]);
  });

  it('are bounded in number', async () => {
    const version = await redis.hget(bench.keys.routes, ':version');
    const fields = Array.from({ length: 200 }, (_, at) => [`bound-${at}`, '{"version":1}']).flat();
    await redis.hset(bench.keys.routes, ...fields);
    expect(await api.ask('POST', '/routes', leads)).toMatchObject({ status: 409, body: { detail: 'there are 200 routes already' } });
    expect(await api.ask('PUT', '/routes/bound-7', leads)).toMatchObject({ status: 200, body: { version: 2 } });
    await redis.del(bench.keys.routes);
    await redis.hset(bench.keys.routes, ':version', Number(version) + 2);
  });

  it('that cannot be read are shown with the reason, and match nothing', async () => {
    await redis.hset(bench.keys.routes, 'damaged', '{"version":3,"route":{"name":"damaged","providers":["crm"],"filter":"data ="}}');
    await redis.hincrby(bench.keys.routes, ':version', 1);
    expect((await api.ask('GET', '/routes/damaged')).body).toMatchObject({ name: 'damaged', unreadable: expect.stringMatching(/filter/) });
    expect((await api.ask('POST', '/routes/try', auto('lead'))).body).toMatchObject({
      providers: [],
      routes: [{ name: 'damaged', matches: false, because: 'unreadable' }],
    });
    expect((await api.ask('PUT', '/routes/damaged', { providers: ['crm'] })).body).toMatchObject({ version: 4 });
  });

  it('written through one process are followed by another', async () => {
    const other = await startTestApi(server.url, env);
    await addRoutes(leads);
    await eventually(async () => (await send(auto('lead'), {}, other)).status === 202);
    expect((await other.ask('PUT', '/routes/leads', { ...leads, providers: ['shop'] })).status).toBe(200);
    await eventually(async () => providersOf((await send(auto('lead'))).body)?.join() === 'shop');
    expect((await api.ask('DELETE', '/routes/leads')).status).toBe(204);
    await eventually(async () => (await send(auto('lead'), {}, other)).body.code === 'no_route');
    await other.api.stop();
  });
});

describe('POST /routes/try', () => {
  it('tells which routes match, and why the others do not', async () => {
    await addRoutes(
      leads,
      customers,
      { name: 'all', providers: ['shop'], position: 1 },
      { ...leads, name: 'off', enabled: false },
      { ...leads, name: 'deals', entity: 'deal' },
      { ...leads, name: 'acme', tenant: 'acme' },
      { ...leads, name: 'failing', filter: 'data.score > 5' },
    );
    const { status, body } = await api.ask('POST', '/routes/try', auto('lead', { data: { contact_type: 'lead', note: 'x'.repeat(501) } }));
    expect(status).toBe(200);
    expect(body).toEqual({
      providers: ['shop', 'crm'],
      remembered: [],
      unseen: ['data.note'],
      routes: [
        { name: 'all', matches: true, providers: ['shop'] },
        { name: 'acme', matches: false, providers: ['crm'], because: 'other_tenant' },
        { name: 'customers', matches: false, providers: ['erp'], because: 'filter' },
        { name: 'deals', matches: false, providers: ['crm'], because: 'other_entity' },
        { name: 'failing', matches: false, providers: ['crm'], because: 'filter', detail: 'No such key: score' },
        { name: 'leads', matches: true, providers: ['crm'] },
        { name: 'off', matches: false, providers: ['crm'], because: 'disabled' },
      ],
    });
  });

  it('tries a route that is not saved, and saves nothing', async () => {
    await addRoutes(leads);
    const route = { ...leads, filter: 'data.contact_type == "vip"', providers: ['erp'] };
    const { provider: _, ...sample } = auto('vip');
    expect((await api.ask('POST', '/routes/try', { ...sample, route })).body).toMatchObject({ providers: ['erp'] });
    expect((await api.ask('POST', '/routes/try', { ...sample, route: { ...route, filter: '?' } })).body).toMatchObject({
      code: 'invalid',
      errors: [{ path: 'route.filter' }],
    });
    expect((await api.ask('GET', '/routes/leads')).body).toMatchObject({ version: 1, filter: leads.filter });
    expect(await queued('erp', sample.record_id)).toBe(0);
  });

  it('shows what is remembered of the record', async () => {
    await addRoutes(leads);
    const { record_id } = (await send(auto('lead'))).body;
    const { body } = await api.ask('POST', '/routes/try', { operation: 'update', record_id, data: { email: 'a@example.com' } });
    expect(body).toMatchObject({ providers: ['crm'], remembered: ['crm'], routes: [{ name: 'leads', matches: false }] });
  });
});

describe('an operation addressed to auto', () => {
  it('goes to the providers of every route that matches, in the routes’ order, under one id', async () => {
    await addRoutes(leads, customers, both);
    const { status, body, headers } = await send(auto('both'));
    expect(status).toBe(202);
    expect(Object.keys(body)).toEqual(['operation_id', 'record_id', 'status', 'status_url', 'operations']);
    expect(providersOf(body)).toEqual(['shop', 'crm', 'erp']);
    expect(headers.get('location')).toBe(`/sync/status/${body.operation_id}`);
    expect(parseParentId(body.operation_id)).toEqual(
      body.operations.map(({ operation_id }: { operation_id: string }) => parseOperationId(operation_id)),
    );
    for (const provider of providers) expect(await queued(provider, body.record_id), provider).toBe(1);
  });

  it.each(['/sync', '/sync?by=hono', '/v1/sync'])('is one result of an array at %s', async (path) => {
    await addRoutes(leads, both);
    const { body } = await api.ask('POST', path, [
      auto('lead'),
      { ...auto('x'), provider: 'erp' },
      auto('both'),
      auto('nobody'),
      { ...auto('lead'), operation: 'jump' },
    ]);
    expect(body).toMatchObject({ accepted: 3, rejected: 2 });
    const told = body.results.map((result: { operations?: { provider: string }[]; error?: { code: string }; status?: string }) =>
      result.operations ? providersOf(result) : (result.error?.code ?? result.status),
    );
    expect(told).toEqual([['crm'], 'queued', ['shop', 'crm'], 'no_route', 'invalid']);
  });

  it('is refused where no route chooses', async () => {
    await addRoutes(leads, { ...customers, enabled: false });
    for (const operation of [auto('customer'), auto(5), auto('lead', { entity: 'deal' }), auto('x', { data: {} })]) {
      expect(await send(operation)).toMatchObject({ status: 422, body: { code: 'no_route' } });
    }
    expect((await send([auto('customer')])).body).toMatchObject({ accepted: 0, results: [{ error: { code: 'no_route' } }] });
  });

  it('keeps to routes of its tenant', async () => {
    await addRoutes({ ...leads, tenant: 'acme' });
    expect((await send(auto('lead'))).body.code).toBe('no_route');
    const { body } = await send(auto('lead', { tenant: 'acme' }));
    expect(body.operation_id).toMatch(/\.acme$/);
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({ tenant: 'acme', status: 'queued' });
  });

  it('is refused as a whole where a route names a provider that was removed', async () => {
    await api.ask('POST', '/providers', { name: 'gone', base_url: 'http://127.0.0.1:9' });
    await addRoutes(leads, { name: 'more', providers: ['gone'] });
    const known = auto('lead');
    expect((await send(known)).status).toBe(202);
    expect((await api.ask('DELETE', '/providers/gone?force=true')).status).toBe(204);
    const operation = auto('lead');
    expect(await send(operation)).toMatchObject({ status: 422, body: { code: 'unknown_provider', detail: expect.stringMatching(/gone/) } });
    expect(await queued('crm', operation.record_id)).toBe(0);
    // What was remembered of it does not stand in the way.
    await api.ask('DELETE', '/routes/more');
    expect(providersOf((await send({ ...known, data: {} })).body)).toEqual(['crm']);
  });

  it('is refused as a whole where one provider’s backlog is full', async () => {
    const small = await startTestApi(server.url, { SLUICE_MAX_BACKLOG: '2', SLUICE_KEY_PREFIX: 'small:' });
    for (const name of ['crm', 'erp']) await small.ask('POST', '/providers', { name, base_url: 'http://127.0.0.1:9' });
    await small.ask('POST', '/routes', { name: 'all', providers: ['crm', 'erp'] });
    await send({ ...auto('x'), provider: 'erp' }, {}, small);
    const first = auto('x', { idempotency_key: 'k1' });
    const accepted = await send([first, auto('x')], {}, small);
    expect(accepted.body).toMatchObject({ accepted: 1, rejected: 1, results: [{ status: 'queued' }, { error: { code: 'backlog_full' } }] });
    expect(await send(auto('x'), {}, small)).toMatchObject({ status: 429, body: { code: 'backlog_full' } });
    expect((await small.ask('GET', '/providers/crm/status')).body.backlog).toBe(1);
    // A repetition gets its first answer all the same.
    expect((await send(first, {}, small)).body).toEqual(accepted.body.results[0]);
    await small.api.stop();
  });
});

describe('a record that was routed before', () => {
  it('keeps its providers for updates that do not say what it is, and gains what later ones add', async () => {
    await addRoutes(leads, customers);
    const record_id = newRecord();
    const update = (data: object) => send({ operation: 'update', provider: 'auto', record_id, data }).then(({ body }) => providersOf(body));
    expect(await update({ contact_type: 'lead' })).toEqual(['crm']);
    expect(await update({ email: 'a@example.com' })).toEqual(['crm']);
    expect(await update({ contact_type: 'customer' })).toEqual(['erp', 'crm']);
    expect(await update({ email: 'b@example.com' })).toEqual(['crm', 'erp']);
    await api.ask('DELETE', '/routes/leads');
    expect(await update({ email: 'c@example.com' })).toEqual(['crm', 'erp']);
  });

  it('is deleted and read where it is', async () => {
    await addRoutes(leads, customers, { name: 'deals', entity: 'deal', providers: ['shop'] });
    const { record_id } = (await send(auto('customer'))).body;
    for (const operation of ['read', 'delete']) {
      expect(providersOf((await send({ operation, provider: 'auto', record_id })).body), operation).toEqual(['erp']);
      const stranger = newRecord();
      const first = await send({ operation, provider: 'auto', record_id: stranger });
      expect(providersOf(first.body), operation).toEqual(['erp', 'crm']);
      // Having been asked for is no reason to get its changes.
      expect((await send({ operation: 'update', provider: 'auto', record_id: stranger, data: {} })).body.code).toBe('no_route');
      expect((await send({ operation, provider: 'auto', entity: 'ticket', record_id })).body.code).toBe('no_route');
    }
  });

  it('is known to the later operations of the same request', async () => {
    await addRoutes(leads, customers);
    const record_id = newRecord();
    const { body } = await send([
      auto('lead', { record_id }),
      auto('x', { record_id, data: { a: 1 } }),
      { operation: 'delete', provider: 'auto', record_id },
      auto('x', { data: { a: 1 } }),
    ]);
    expect(body.results.map(providersOf)).toEqual([['crm'], ['crm'], ['crm'], undefined]);
  });

  it('is known for its own tenant and entity alone', async () => {
    await addRoutes(leads);
    const { record_id } = (await send(auto('lead'))).body;
    const update = { operation: 'update', provider: 'auto', record_id, data: { a: 1 } };
    expect((await send({ ...update, tenant: 'acme' })).body.code).toBe('no_route');
    expect((await send({ ...update, entity: 'deal' })).body.code).toBe('no_route');
    expect((await send(update)).status).toBe(202);
  });

  it('loses nothing to another operation at the same time', async () => {
    await addRoutes(leads, customers);
    const record_id = newRecord();
    const types = ['lead', 'customer'];
    await Promise.all(Array.from({ length: 20 }, (_, at) => send(auto(types[at % 2], { record_id }))));
    expect(providersOf((await send(auto('x', { record_id, data: {} }))).body)?.sort()).toEqual(['crm', 'erp']);
  });
});

describe('an idempotency key', () => {
  it('brings the first answer again, whatever the routes say by now', async () => {
    await addRoutes(leads, both);
    const operation = auto('both', { idempotency_key: newRecord() });
    const first = await send(operation);
    await api.ask('DELETE', '/routes/both');
    expect((await send(operation)).body).toEqual(first.body);
    expect((await send([operation, operation])).body.results).toEqual([first.body, first.body]);
    for (const provider of ['shop', 'crm']) expect(await queued(provider, operation.record_id), provider).toBe(1);
  });

  it('covers a record id that is made here, the header, and requests at the same time', async () => {
    await addRoutes(leads, both);
    const { record_id: _, ...create } = auto('both', { operation: 'create' });
    const header = { 'idempotency-key': newRecord() };
    const answers = await Promise.all([1, 2, 3, 4].map(() => send(create, header)));
    for (const { body } of answers) expect(body).toEqual(answers[0]?.body);
    expect((await send([create, create], header)).body.results.map(providersOf)).toEqual([
      ['shop', 'crm'],
      ['shop', 'crm'],
    ]);
  });

  it('stands for one operation only', async () => {
    await addRoutes(leads);
    const operation = auto('lead', { idempotency_key: newRecord() });
    await send(operation);
    expect((await send({ ...operation, data: { contact_type: 'employee' } })).body.code).toBe('idempotency_mismatch');
    expect((await send({ ...operation, provider: 'crm' })).body.code).toBe('idempotency_mismatch');
    const explicit = { ...auto('lead', { idempotency_key: newRecord() }), provider: 'crm' };
    await send(explicit);
    expect((await send({ ...explicit, provider: 'auto' })).body.code).toBe('idempotency_mismatch');
  });

  it('is not used up by a refusal', async () => {
    const operation = auto('lead', { idempotency_key: newRecord() });
    expect((await send(operation)).body.code).toBe('no_route');
    await addRoutes(leads);
    expect((await send(operation)).status).toBe(202);
  });

  it('adds what is missing of an operation that was cut off', async () => {
    await addRoutes({ name: 'all', providers: ['crm', 'erp'] });
    const operation = auto('x', { idempotency_key: newRecord() });
    const { body } = await send(operation);
    const [place] = parseParentId(body.operation_id) ?? [];
    const marks = await redis.keys(`${prefix}{0${place?.shard}}:idem:*.erp`);
    await redis.del(...marks);
    const again = await send(operation);
    expect(again.body.operations[0]).toEqual(body.operations[0]);
    expect(again.body.operations[1]).not.toEqual(body.operations[1]);
  });
});

describe('the status of the whole', () => {
  /** Ends everything that waits in a provider's queue of a shard. */
  async function end(provider: string, operationId: string, finish: typeof finalOf | typeof deadOf = finalOf) {
    const { shard, queue } = parseOperationId(operationId) ?? { shard: -1, queue: '' };
    expect(queue).toBe(provider);
    const owner = await bench.own('w', shard);
    const entries = entriesOf((await bench.reader('w').claim([{ ...owner, queue, count: 500 }]))[0]);
    const finals = entries.map((entry) => (finish === deadOf ? deadOf(entry, 'refused', queue, shard) : finalOf(entry, {}, queue, shard)));
    await bench.settler('w')([settlementOf(owner, { queue, finals })]);
  }

  it('sums up those of its children', async () => {
    await addRoutes({ name: 'all', providers: ['crm', 'erp'] });
    const { body } = await send(auto('x'));
    const [crm, erp] = body.operations;
    const status = async () => (await api.ask('GET', body.status_url)).body;
    expect(await status()).toMatchObject({
      operation_id: body.operation_id,
      status: 'queued',
      operation: 'upsert',
      provider: 'auto',
      tenant: 'default',
      entity: 'contact',
      record_id: body.record_id,
      attempts: 0,
      accepted_at: expect.stringMatching(/^20/),
      operations: [
        { operation_id: crm.operation_id, provider: 'crm', status: 'queued' },
        { operation_id: erp.operation_id, provider: 'erp', status: 'queued' },
      ],
    });
    await end('crm', crm.operation_id);
    expect(await status()).toMatchObject({ status: 'queued', operations: [{ status: 'succeeded' }, { status: 'queued' }] });
    expect((await status()).completed_at).toBeUndefined();
    await end('erp', erp.operation_id);
    const final = await status();
    expect(final).toMatchObject({ status: 'succeeded', attempts: 2 });
    expect(final.completed_at).toBe(final.operations.map(({ completed_at }: { completed_at: string }) => completed_at).sort()[1]);
  });

  it('is waited for until every child is final, and tells of dead letters', async () => {
    await addRoutes({ name: 'all', providers: ['crm', 'erp'] });
    const { body } = await send(auto('x'));
    const [crm, erp] = body.operations;
    const waiting = api.ask('GET', `${body.status_url}?wait=30`);
    const { shard } = parseOperationId(crm.operation_id) ?? { shard: -1 };
    await eventually(async () => (await redis.scard(bench.keys.waiting(shard))) === 2);
    await end('erp', erp.operation_id, deadOf);
    expect(await Promise.race([waiting, api.ask('GET', body.status_url)])).toMatchObject({ body: { status: 'queued' } });
    await end('crm', crm.operation_id);
    expect((await waiting).body).toMatchObject({
      status: 'dead_lettered',
      operations: [{ status: 'succeeded' }, { status: 'dead_lettered', error: { code: 'refused' } }],
    });
    expect((await api.ask('GET', `/dlq/${erp.operation_id}`)).status).toBe(200);
    expect((await api.ask('GET', `/dlq/${body.operation_id}`)).status).toBe(404);
    expect((await api.ask('GET', `${body.status_url}?wait=30`)).body.status).toBe('dead_lettered');
  });

  it('goes on without a child whose status is no longer kept', async () => {
    await addRoutes({ name: 'all', providers: ['crm', 'erp'] });
    const { body } = await send(auto('x'));
    await end('crm', body.operations[0].operation_id);
    const { shard, rank } = parseOperationId(body.operations[0].operation_id) ?? { shard: -1, rank: -1 };
    await redis.del(bench.keys.results(shard, 'crm', rank));
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({
      status: 'queued',
      operations: [{ operation_id: body.operations[0].operation_id, provider: 'crm', status: 'expired' }, { status: 'queued' }],
    });
    await end('erp', body.operations[1].operation_id);
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({ status: 'succeeded' });
    await redis.del(bench.keys.results(shard, 'erp', parseOperationId(body.operations[1].operation_id)?.rank ?? -1));
    expect(await api.ask('GET', `${body.status_url}?wait=30`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it.each([
    'auto',
    'auto.1',
    'auto.9.a.1.crm',
    'auto.1.a.1.crm.a.1.crm',
    'auto.01.a.1.crm',
    `auto.1${'.a.1.crm'.repeat(17)}`,
    'auto.1.zzzzzzzzz.zzzzzzzzzz.crm',
    'auto.1.%zz',
  ])('is 404 for %s', async (id) => {
    expect(await api.ask('GET', `/sync/status/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });
});

describe('a key bound to a tenant', () => {
  const hash = (id: string) => `sha256:${createHash('sha256').update(`key-${id}`).digest('hex')}`;
  const entries = [
    { id: 'boss', hash: hash('boss'), scopes: ['ingest', 'read', 'admin'] },
    { id: 'acme', hash: hash('acme'), scopes: ['ingest', 'read', 'admin'], tenant: 'acme' },
    { id: 'other', hash: hash('other'), scopes: ['ingest', 'read', 'admin'], tenant: 'other' },
  ];
  const by = (id: string) => ({ authorization: `Bearer key-${id}` });

  it('sees and submits its own tenant’s, and changes no route', async () => {
    const locked = await startTestApi(server.url, { SLUICE_API_KEYS: JSON.stringify(entries) });
    const ask = (id: string, method: string, path: string, body?: unknown) => locked.ask(method, path, body, by(id));
    await ask('boss', 'POST', '/providers', { name: 'crm', base_url: 'http://127.0.0.1:9' });
    for (const route of [leads, { ...leads, name: 'acme', tenant: 'acme' }]) await ask('boss', 'POST', '/routes', route);
    expect(await ask('acme', 'POST', '/routes', { ...leads, name: 'mine' })).toMatchObject({ status: 403 });
    expect(await ask('acme', 'PUT', '/routes/acme', leads)).toMatchObject({ status: 403 });
    expect(await ask('acme', 'DELETE', '/routes/acme')).toMatchObject({ status: 403 });
    const namesFor = async (id: string) => (await ask(id, 'GET', '/routes')).body.items.map(({ name }: { name: string }) => name);
    expect(await namesFor('acme')).toEqual(['acme', 'leads']);
    expect(await namesFor('other')).toEqual(['leads']);
    expect((await ask('other', 'GET', '/routes/acme')).status).toBe(404);
    expect((await ask('other', 'POST', '/routes/try', auto('lead'))).body.routes).toHaveLength(1);
    expect((await ask('other', 'POST', '/routes/try', auto('lead', { tenant: 'acme' }))).status).toBe(403);

    const { body } = await ask('acme', 'POST', '/sync', auto('lead'));
    expect((await ask('acme', 'GET', body.status_url)).body).toMatchObject({ tenant: 'acme', status: 'queued' });
    expect((await ask('boss', 'GET', body.status_url)).status).toBe(200);
    expect(await ask('other', 'GET', body.status_url)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    await locked.api.stop();
  });
});

describe('any input', () => {
  const strange = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '*',
      'try',
      'auto',
      '\u0000',
      '\ud800',
      '__proto__',
      'data',
      'data.a',
      '"',
      '((((',
      1e308,
      2 ** 53,
      -0,
      'data.a == 1',
      'true',
    ),
  );
  const changed = (base: object, names: readonly string[]) =>
    fc.array(fc.tuple(fc.constantFrom(...names), strange), { maxLength: 3 }).map((parts) => ({ ...base, ...Object.fromEntries(parts) }));
  const route = changed({ ...leads, name: 'fuzzed' }, [
    'name',
    'entity',
    'filter',
    'providers',
    'enabled',
    'position',
    'tenant',
    'version',
    '__proto__',
  ]);
  const operation = changed(auto('lead'), [
    'operation',
    'record_id',
    'entity',
    'data',
    'tenant',
    'source',
    'timestamp',
    'idempotency_key',
    'x',
  ]);

  it('to /routes and /routes/try gets no 5xx', async () => {
    const request = fc.oneof(
      fc.tuple(
        fc.constantFrom('POST /routes', 'PUT /routes/fuzzed', 'PUT /routes/__proto__', 'PUT /routes/:version'),
        fc.oneof(route, strange),
      ),
      fc.tuple(
        fc.constant('POST /routes/try'),
        fc.oneof(
          operation,
          strange,
          fc.tuple(operation, route).map(([sample, route]) => ({ ...sample, route })),
        ),
      ),
      fc.tuple(
        fc.constantFrom(
          'DELETE /routes/%00',
          'DELETE /routes/:version',
          'GET /routes/%ff',
          'GET /routes?cursor=%00',
          'GET /routes?cursor=__8',
        ),
        fc.constant(undefined),
      ),
    );
    await fc.assert(
      fc.asyncProperty(request, strange, async ([line, body], ifMatch) => {
        const [method, path] = line.split(' ') as [string, string];
        const headers: Record<string, string> =
          typeof ifMatch === 'string' && /^[\x20-\x7e]+$/.test(ifMatch) ? { 'if-match': ifMatch } : {};
        const answer = await api.ask(method, path, body === undefined ? undefined : (JSON.stringify(body) ?? 'null'), headers);
        expect(answer.status, `${line} ${JSON.stringify(body)}`).toBeLessThan(500);
      }),
      { numRuns: 300, seed: 5 },
    );
    expect((await api.ask('GET', '/routes?limit=500')).status).toBe(200);
  });

  it('addressed to auto gets no 5xx, alone and in arrays', async () => {
    await addRoutes(leads, { ...both, filter: 'has(data.contact_type) || operation == "read"' });
    await fc.assert(
      fc.asyncProperty(fc.oneof(operation, fc.array(operation, { maxLength: 4 })), async (body) => {
        const answer = await send(body);
        expect(answer.status, JSON.stringify(body)).toBeLessThan(500);
        if (answer.status === 202 && !Array.isArray(body)) expect((await api.ask('GET', answer.body.status_url)).status).toBe(200);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
