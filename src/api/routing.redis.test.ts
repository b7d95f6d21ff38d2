/** Operations addressed to `auto`: where they go, now and later. */
import { describe, expect, it } from 'vitest';
import { crm } from '../../test/support/api-bodies.ts';
import { startTestApi } from '../../test/support/in-process-api.ts';
import { auto, both, customers, leads, newRecord, providers, providersOf, useRoutes } from '../../test/support/use-routes.ts';
import { parseOperationId } from '../shared/domain/operation.ts';
import { parseParentId } from '../shared/domain/parent-id.ts';

const routed = useRoutes();
const { api, addRoutes, queued, send } = routed;

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
    await api.ask('POST', '/providers', { ...crm, name: 'gone' });
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
    const small = await startTestApi(api.redis.url, { SLUICE_MAX_BACKLOG: '2', SLUICE_KEY_PREFIX: 'small:' });
    for (const name of ['crm', 'erp']) await small.ask('POST', '/providers', { ...crm, name });
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

  it.each(['given', 'made here'])('remembers what it chose, where it was cut off before that, for a record id that was %s', async (id) => {
    await addRoutes(leads, customers);
    const { record_id: given, ...rest } = auto('lead', { operation: 'create', idempotency_key: newRecord() });
    const create = id === 'given' ? { ...rest, record_id: given } : rest;
    const { record_id } = (await send(create)).body;
    const { keys, redis } = routed.bench;
    await redis.del(...(await redis.keys(`${keys.prefix}*:routed`)));
    const update = { operation: 'update', provider: 'auto', record_id, data: { title: 'x' } };
    expect((await send(update)).body.code).toBe('no_route');
    await send(create);
    expect(providersOf((await send(update)).body)).toEqual(['crm']);
  });

  it('remembers nothing of reads and deletions that are repeated', async () => {
    await addRoutes(leads);
    for (const operation of ['read', 'delete']) {
      const asking = { operation, provider: 'auto', record_id: newRecord(), idempotency_key: newRecord() };
      for (let time = 0; time < 2; time += 1) expect(providersOf((await send(asking)).body)).toEqual(['crm']);
      const update = { operation: 'update', provider: 'auto', record_id: asking.record_id, data: {} };
      expect((await send(update)).body.code).toBe('no_route');
    }
  });

  it('adds what is missing of an operation that was cut off', async () => {
    await addRoutes({ name: 'all', providers: ['crm', 'erp'] });
    const operation = auto('x', { idempotency_key: newRecord() });
    const { body } = await send(operation);
    const [place] = parseParentId(body.operation_id) ?? [];
    const marks = await routed.bench.redis.keys(`${routed.bench.keys.prefix}{0${place?.shard}}:idem:*.erp`);
    await routed.bench.redis.del(...marks);
    const again = await send(operation);
    expect(again.body.operations[0]).toEqual(body.operations[0]);
    expect(again.body.operations[1]).not.toEqual(body.operations[1]);
  });
});
