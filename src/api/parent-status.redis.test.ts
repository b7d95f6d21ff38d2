/** The status of an operation that went to several providers; the worker is played by the test. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { deadOf, entriesOf, finalOf, settlementOf } from '../../test/support/queue.ts';
import { auto, useRoutes } from '../../test/support/use-routes.ts';
import { parseOperationId } from '../shared/domain/operation.ts';

const routed = useRoutes();
const { api, addRoutes, send } = routed;

describe('the status of the whole', () => {
  /** Ends everything that waits in a provider's queue of a shard. */
  async function end(provider: string, operationId: string, finish: typeof finalOf | typeof deadOf = finalOf) {
    const { shard, queue } = parseOperationId(operationId) ?? { shard: -1, queue: '' };
    expect(queue).toBe(provider);
    const owner = await routed.bench.own('w', shard);
    const entries = entriesOf((await routed.bench.reader('w').claim([{ ...owner, queue, count: 500 }]))[0]);
    const finals = entries.map((entry) => (finish === deadOf ? deadOf(entry, 'refused', queue, shard) : finalOf(entry, {}, queue, shard)));
    await routed.bench.settler('w')([settlementOf(owner, { queue, finals })]);
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
    await eventually(async () => (await routed.bench.redis.scard(routed.bench.keys.waiting(shard))) === 2);
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
    await routed.bench.redis.del(routed.bench.keys.results(shard, 'crm', rank));
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({
      status: 'queued',
      operations: [{ operation_id: body.operations[0].operation_id, provider: 'crm', status: 'expired' }, { status: 'queued' }],
    });
    await end('erp', body.operations[1].operation_id);
    expect((await api.ask('GET', body.status_url)).body).toMatchObject({ status: 'succeeded' });
    await routed.bench.redis.del(routed.bench.keys.results(shard, 'erp', parseOperationId(body.operations[1].operation_id)?.rank ?? -1));
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
