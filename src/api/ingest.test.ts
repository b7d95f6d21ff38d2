/** What a request is answered where Redis takes a part of it only. */
import { expect, test } from 'vitest';
import type { Submission, Submitted } from '../shared/queue/submit.ts';
import { createIngest } from './ingest.ts';

const operation = { operation: 'upsert', provider: 'auto', record_id: 'r', data: { a: 1 } };

/** Each operation goes to two providers; `outcomes`: of all their submissions, in order. */
function ask(body: unknown, outcomes: readonly Submitted['status'][]) {
  const change = {
    provider: 'a',
    tenant: 'default',
    entity: 'contact',
    source: 'api',
    kind: 'upsert',
    recordId: 'r',
    timestampMs: undefined,
  };
  const submission = { change: { ...change, dataJson: '{}' } } as unknown as Submission;
  const ingest = createIngest({
    submit: async () => outcomes.map((status) => ({ status, operationId: '1.mwrlzl85.1.a', recordId: 'r' }) as Submitted),
    providers: { has: () => true, lookUp: async () => {} },
    route: async (operations) => operations.map(() => ({ status: 'routed', submissions: [submission, submission] }) as never),
    nowMs: Date.now,
    maxFutureSkewMs: 1_000,
    makeRecordId: () => 'x',
    count: () => {},
  });
  const caller = { id: 'anonymous', tenant: undefined } as never;
  return ingest({ caller, idempotencyKey: undefined, body: Buffer.from(JSON.stringify(body)) });
}

test('an array of which nothing was accepted as a whole is to be sent again where Redis failed for a part', async () => {
  const { status, headers, body } = await ask([operation, operation], ['queued', 'unavailable', 'unavailable', 'queued']);
  expect([status, headers]).toEqual([503, expect.objectContaining({ 'retry-after': '1' })]);
  expect(JSON.parse(body)).toMatchObject({
    code: 'unavailable',
    accepted: 0,
    rejected: 2,
    results: [{ error: { code: 'unavailable' } }, {}],
  });
});

test('one of which something was accepted is not', async () => {
  const { status, body } = await ask([operation, operation], ['queued', 'queued', 'unavailable', 'queued']);
  expect([status, JSON.parse(body)]).toEqual([202, expect.objectContaining({ accepted: 1, rejected: 1 })]);
});
