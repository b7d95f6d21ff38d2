import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { good, register } from '../../test/support/api-bodies.ts';
import { useTestApi } from '../../test/support/use-test-api.ts';

const api = useTestApi();

/** Dead letters without a worker: what was queued for a provider that is removed. */
async function makeDeadLetters(provider: string, operations: readonly object[]): Promise<string[]> {
  await register(api, provider);
  const { body } = await api.ask(
    'POST',
    '/sync',
    operations.map((operation) => ({ ...good, provider, ...operation })),
  );
  expect((await api.ask('DELETE', `/providers/${provider}?force=true`)).status).toBe(204);
  await register(api, provider);
  return body.results.map((result: { operation_id: string }) => result.operation_id);
}

describe('dead letters', () => {
  it('are listed newest first in pages, by provider, tenant, code and record', async () => {
    const ids = await makeDeadLetters('dead-a', [
      { record_id: 'r1' },
      { record_id: 'r2', tenant: 'acme' },
      { record_id: 'r3', tenant: 'acme' },
    ]);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.ask('GET', `/dlq?provider=dead-a&limit=1${cursor}`);
      seen.push(...body.items.map((item: { operation_id: string }) => item.operation_id));
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`;
    } while (cursor !== '');
    expect(seen.sort()).toEqual(ids.sort());
    const count = async (query: string) => (await api.ask('GET', `/dlq?provider=dead-a&${query}`)).body.items.length;
    expect(await count('tenant=acme')).toBe(2);
    expect(await count('record_id=r1')).toBe(1);
    expect(await count('code=provider_removed')).toBe(3);
    expect(await count('code=other')).toBe(0);
    expect((await api.ask('GET', '/dlq?cursor=nonsense')).status).toBe(422);
    expect((await api.ask('GET', `/dlq/${ids[0]}`)).body).toMatchObject({
      provider: 'dead-a',
      entity: 'contact',
      data: { email: 'ada@example.com' },
      source: 'api',
      timestamp: expect.stringMatching(/Z$/),
      attempts: 0,
    });
  });

  it('go back into their queue as new operations', async () => {
    const [id] = await makeDeadLetters('dead-b', [{}]);
    const retried = await api.ask('POST', `/dlq/${id}/retry`);
    expect(retried).toMatchObject({ status: 202, body: { status: 'queued', operation_id: expect.any(String) } });
    expect(retried.body.operation_id).not.toBe(id);
    expect((await api.ask('GET', retried.body.status_url)).body).toMatchObject({ status: 'queued', record_id: 'c1' });
    expect((await api.ask('GET', `/sync/status/${id}`)).body).toMatchObject({
      status: 'dead_lettered',
      retried_as: retried.body.operation_id,
    });
    expect((await api.ask('POST', `/dlq/${id}/retry`)).status).toBe(404);
  });

  it('go back, or go away, by a filter', async () => {
    await makeDeadLetters('dead-c', [{ record_id: 'r1' }, { record_id: 'r2' }, { record_id: 'r3' }]);
    expect(await api.ask('POST', '/dlq/retry', { provider: 'dead-c', record_id: 'r1' })).toMatchObject({
      status: 202,
      body: { requeued: 1, skipped: 0 },
    });
    expect(await api.ask('DELETE', '/dlq', { provider: 'dead-c', record_id: 'r2' })).toMatchObject({ status: 200, body: { deleted: 1 } });
    const { body } = await api.ask('GET', '/dlq?provider=dead-c');
    expect(body.items.map((item: { record_id: string }) => item.record_id)).toEqual(['r3']);
    expect((await api.ask('DELETE', `/dlq/${body.items[0].operation_id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/dlq/${body.items[0].operation_id}`)).status).toBe(404);
  });

  it('go back, or go away, so many as are asked for, from where a page of the list ended', async () => {
    const provider = 'dead-h';
    await makeDeadLetters(
      provider,
      Array.from({ length: 5 }, (_, i) => ({ record_id: `r${i}` })),
    );
    const list = async (query = '') => {
      const { body } = await api.ask('GET', `/dlq?provider=${provider}${query}`);
      return { records: body.items.map((item: { record_id: string }) => item.record_id), cursor: body.next_cursor };
    };
    const { records } = await list();
    const { cursor } = await list('&limit=1');
    expect((await api.ask('POST', '/dlq/retry', { provider, cursor, limit: 2 })).body).toEqual({ requeued: 2, skipped: 0 });
    expect((await api.ask('DELETE', '/dlq', { provider, cursor })).body).toEqual({ deleted: 2 });
    expect((await list()).records).toEqual(records.slice(0, 1));
    for (const [method, path] of [
      ['POST', '/dlq/retry'],
      ['DELETE', '/dlq'],
    ] as const) {
      expect(await api.ask(method, path, { provider, cursor: 'nonsense' })).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'cursor', message: 'expected the next_cursor of an earlier answer' }] },
      });
    }
    expect((await api.ask('DELETE', '/dlq', { provider, limit: 1 })).body).toEqual({ deleted: 1 });
  });

  it('of a provider that was removed stay when they are retried, one or all, and say why', async () => {
    const ids = await makeDeadLetters('dead-e', [{ record_id: 'shared' }, { record_id: 'own' }]);
    await makeDeadLetters('dead-f', [{ record_id: 'shared' }]);
    expect((await api.ask('DELETE', '/providers/dead-e')).status).toBe(204);
    expect(await api.ask('POST', `/dlq/${ids[0]}/retry`)).toMatchObject({ status: 422, body: { code: 'unknown_provider' } });
    expect((await api.ask('POST', `/dlq/${ids[0]?.replace('.dead-e', '.nobody')}/retry`)).status).toBe(404);
    expect((await api.ask('POST', '/dlq/retry', { provider: 'dead-e' })).body).toEqual({ requeued: 0, skipped: 2 });
    expect((await api.ask('POST', '/dlq/retry', { record_id: 'shared' })).body).toEqual({ requeued: 1, skipped: 1 });
    expect((await api.ask('GET', '/dlq?provider=dead-e')).body.items).toHaveLength(2);
    await register(api, 'dead-e');
    expect((await api.ask('POST', `/dlq/${ids[0]}/retry`)).status).toBe(202);
  });

  it('say of their error what the status says, and leave a cancelled operation when they are dropped', async () => {
    const [one, two, three] = await makeDeadLetters('dead-g', [{ record_id: 'r1' }, { record_id: 'r2' }, { record_id: 'r3' }]);
    const { body: letter } = await api.ask('GET', `/dlq/${one}`);
    const statusOf = async (id = '') => (await api.ask('GET', `/sync/status/${id}?wait=30`)).body;
    expect(await statusOf(one)).toMatchObject({ status: 'dead_lettered', error: { retryable: letter.error.retryable } });
    await api.ask('DELETE', `/dlq/${one}`);
    await api.ask('DELETE', '/dlq', { provider: 'dead-g', record_id: 'r2' });
    for (const id of [one, two]) expect(await statusOf(id)).toMatchObject({ status: 'cancelled', error: { code: 'provider_removed' } });
    expect(await statusOf(three)).toMatchObject({ status: 'dead_lettered' });
    const { text: metrics } = await api.ask('GET', '/metrics');
    for (const [outcome, count] of Object.entries({ dead_lettered: 3, cancelled: 2 }))
      expect(metrics).toContain(`sluice_operations_total{provider="dead-g",operation="update",outcome="${outcome}"} ${count}\n`);
  });

  it('are not touched by a filter that is not one', async () => {
    await makeDeadLetters('dead-d', [{}]);
    for (const filter of [{ providr: 'dead-d' }, { provider: 5 }, { provider: '' }, [], null]) {
      expect((await api.ask('DELETE', '/dlq', filter === null ? 'null' : filter)).status, JSON.stringify(filter)).toBe(422);
      expect((await api.ask('POST', '/dlq/retry', filter === null ? 'null' : filter)).status).toBe(422);
    }
    expect((await api.ask('DELETE', '/dlq')).status).toBe(415);
    expect((await api.ask('GET', '/dlq?provider=dead-d')).body.items).toHaveLength(1);
  });

  it.each([
    ['DELETE', '/dlq'],
    ['POST', '/dlq/retry'],
  ])('are filtered by %s %s as the document says', async (method, path) => {
    const { body: document } = await api.ask('GET', '/openapi.json');
    const { schema } = document.paths[path][method.toLowerCase()].requestBody.content['application/json'];
    const isAllowed = new Ajv2020({ strict: false }).compile(schema);
    const provider = 'nobody';
    for (const filter of [
      { provider },
      { provider: '' },
      { provider, code: 'x'.repeat(1_024) },
      { provider, code: 'x'.repeat(1_025) },
      ...[0, 1, 500, 501, 1.5, '1', null].map((limit) => ({ provider, limit })),
      { provider, cursor: '' },
      { provider, cursor: 'x'.repeat(1_001) },
    ]) {
      const { status } = await api.ask(method, path, filter);
      expect(status !== 422, JSON.stringify(filter)).toBe(isAllowed(filter));
    }
  });
});
