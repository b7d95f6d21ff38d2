/** Redis has no memory left (noeviction): the door closes with 503, the workers go on, and the door opens again by itself. */
import { afterEach, expect, test } from 'vitest';
import { deliveriesOf } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import type { Answer } from '../support/receiver.ts';
import { type Service, startService } from '../support/service.ts';
import { type Accepted, expectKept, mixOf } from '../support/workload.ts';

let sluice: Service | undefined;
afterEach(async () => {
  await sluice?.stop();
  sluice = undefined;
});

const roomBytes = 3 * 1024 * 1024;
const filler = 'x'.repeat(4_000);

test('when Redis is full operations get 503, what is queued is delivered all the same, and then operations are accepted again', {
  timeout: 120_000,
}, async () => {
  const held: ((answer: Answer | undefined) => void)[] = [];
  const service = await startService({
    env: { SLUICE_SHARDS: '2', SLUICE_HISTORY_ENTRIES: '0' },
    redis: { args: ['--maxmemory-policy', 'noeviction'] },
    answer: () => new Promise((resolve) => held.push(resolve)),
  });
  sluice = service;
  await service.register({ name: 'crm', max_concurrency: 16, timeout_ms: 120_000 });
  const used = Number(/used_memory:(\d+)/.exec(await service.redis.ask('INFO', 'memory'))?.[1]);
  await service.redis.ask('CONFIG', 'SET', 'maxmemory', String(used + roomBytes));

  const accepted: Accepted[] = [];
  const submit = async () => {
    const [mixed] = mixOf({ provider: 'crm', count: 1, records: 100, from: accepted.length });
    const operation = { ...(mixed as NonNullable<typeof mixed>), data: { written_by: accepted.length, filler } };
    const reply = await service.request('POST', '/sync', operation);
    if (reply.status === 202) accepted.push({ operation, operationId: reply.json.operation_id });
    return reply;
  };
  let refusal = await submit();
  while (refusal.status === 202 && accepted.length < 10_000) refusal = await submit();
  expect(refusal).toMatchObject({ status: 503, json: { code: 'unavailable' } });
  expect(refusal.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  expect(accepted.length).toBeGreaterThan(100);
  // An array fails as a whole where nothing of it can be held.
  const many = await service.request(
    'POST',
    '/sync',
    mixOf({ provider: 'crm', count: 3, records: 3 }).map((each) => ({ ...each, data: { filler } })),
  );
  expect(many).toMatchObject({ status: 503, json: { code: 'unavailable' } });

  await eventually(() => held.length > 0);
  service.receiver.answerWith(() => undefined);
  for (const answer of held) answer(undefined);
  await service.drained('crm');
  await eventually(async () => (await submit()).status === 202);
  await service.drained('crm');

  const statuses = await service.statusesOf(accepted.map(({ operationId }) => operationId));
  expectKept({ accepted, statuses, deliveries: deliveriesOf(service.receiver.calls), maxRepeated: 0 });
});
