/**
 * Providers that answer with our own credentials, in every place where an adapter looks: none of them gets into what is kept of an outcome, and
 * a short one that is part of an id by chance spoils no link.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dialectCall } from '../../../test/support/dialect-calls.ts';
import { type Answer, receive } from '../../../test/support/receiver.ts';
import { parseConfig } from '../../../test/support/simulators.ts';
import { freely } from '../../../test/support/use-exchange-adapters.ts';
import { useRedis } from '../../../test/support/use-redis.ts';
import { createSealer } from '../../shared/providers/seal.ts';
import type { RedisClient } from '../../shared/redis/connection.ts';
import { createKeys } from '../../shared/redis/keys.ts';
import type { Call, CallOutcome, ProviderAdapter } from './provider.ts';
import { createAdapter } from './registry.ts';

let redis: RedisClient;
useRedis((client) => {
  redis = client;
});

type Fields = Readonly<Record<string, unknown>>;

function open(fields: Fields): ProviderAdapter {
  const adapter = createAdapter(parseConfig({ name: 'crm', ...fields }), {
    network: { allowPrivateNetworks: true },
    resolve: async () => [],
    clock: { nowMs: () => Date.parse('2026-05-01T12:00:00Z'), monotonicMs: () => performance.now() },
    createId: randomUUID,
    redis,
    keys: createKeys('secrets:'),
    sealer: createSealer(randomBytes(32)),
  });
  if (!adapter) throw new Error('no such kind');
  onTestFinished(() => adapter.close());
  return adapter;
}

/** Of those that are not refused before the call. */
function send(adapter: ProviderAdapter, calls: readonly Call[]): Promise<readonly CallOutcome[]> {
  const prepared = calls.flatMap((call) => {
    const preparation = adapter.prepare(call);
    return preparation.status === 'prepared' ? [preparation.prepared] : [];
  });
  if (prepared.length === 0) return Promise.resolve([]);
  return new Promise((done) => void adapter.send(prepared, freely, done));
}

const kinds: readonly (readonly [string, Fields])[] = [
  ['http', { kind: 'http' }],
  ['http in batches', { kind: 'http', batch: { path: '/batch', max_records: 10 } }],
  ['salesforce', { kind: 'salesforce' }],
  ['hubspot', { kind: 'hubspot' }],
  ['outreach', { kind: 'outreach' }],
];

const token = 'f7Qw9ZxK2mLr8TpV4sNcY6bH';
/** Of a beginning as long as this, nothing else is meant. */
const telling = token.slice(0, 6);

const words =
  'id Id success created errors errorCode statusCode code message detail details title fields results result category context existingId ' +
  'objectWriteTraceId ids data attributes emails externalId records error status properties createdAt CONFLICT VALIDATION_ERROR ' +
  'DUPLICATES_DETECTED OBJECT_NOT_FOUND NOT_FOUND validationError';
const padding = fc.constantFrom(0, 1, 380, 390, 395, 4_080, 4_090, 16_370, 65_520).map((length) => 'x'.repeat(length));
const leaking = fc.tuple(padding, fc.constantFrom('', ' ', ': ', '"', '/')).map(([before, mark]) => `${before}${mark}${token}${mark}`);
const text = fc.oneof(leaking, fc.constantFrom(...words.split(' '), '2xx', ''));
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(text, fc.constantFrom(null, true, false, 200, 422)),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...words.split(' ')) }, { weight: 1, arbitrary: leaking }),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value;
const answer = fc.record({
  status: fc.constantFrom(200, 201, 207, 400, 401, 403, 404, 409, 422, 429, 500, 503),
  body: fc.oneof(json, leaking),
});
const kind = fc.constantFrom<Call['kind']>('create', 'upsert', 'update', 'delete', 'read');

describe.each(kinds)('the adapter of the kind %s', (_, fields) => {
  it('keeps no secret that it is answered', async () => {
    let answers: readonly Answer[] = [];
    const receiver = await receive((call) => answers[call.index % answers.length]);
    const adapter = open({ ...fields, base_url: receiver.url, auth_config: { type: 'bearer', token } });
    const plan = fc.tuple(kind, fc.boolean(), fc.integer({ min: 1, max: 3 }), fc.array(answer, { minLength: 1, maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(plan, async ([operation, isKnown, count, told]) => {
        answers = told as readonly Answer[];
        const calls = Array.from({ length: count }, (_each, n) =>
          dialectCall(
            { kind: operation, data: { last_name: 'x', email: `a${n}@x.test` }, providerRecordId: isKnown ? `${5 + n}` : undefined },
            n + 1,
          ),
        );
        for (const outcome of await send(adapter, calls.slice(0, adapter.maxBatch))) expect(JSON.stringify(outcome)).not.toContain(telling);
      }),
      { numRuns: 150 },
    );
  });
});

describe('an id that holds a short secret by chance', () => {
  const short = { auth_config: { type: 'bearer', token: '1234' } };
  const create = (n = 1) => dialectCall({ data: { last_name: 'L', email: `a${n}@x.test` }, entity: 'contact' }, n);
  const replies: Record<string, unknown> = {
    http: { id: '51234001', secret: '1234' },
    'http in batches': {
      results: [
        { status: 201, id: '51234001' },
        { status: 422, error: 'no 1234' },
      ],
    },
    salesforce: { id: '003000001234001AAA', success: true, errors: [] },
    hubspot: { id: '51234001', properties: {} },
    outreach: { data: { type: 'prospect', id: 51_234_001, attributes: {} } },
  };

  it.each(kinds)('is the link all the same (%s)', async (name, fields) => {
    const receiver = await receive(() => ({ status: 200, body: replies[name] }));
    const adapter = open({ ...fields, ...short, base_url: receiver.url });
    const [made, second] = await send(adapter, name === 'http in batches' ? [create(1), create(2)] : [create()]);
    expect(made).toMatchObject({ status: 'accepted', providerRecordId: name === 'salesforce' ? '003000001234001AAA' : '51234001' });
    if (second) expect(second).toMatchObject({ status: 'failed', error: { answer: 'no ***' } });
  });

  it('is where the next request goes, and is masked where it is shown', async () => {
    const taken = { category: 'CONFLICT', message: 'Contact already exists. Existing ID: 51234001' };
    const receiver = await receive(({ method }) => (method === 'POST' ? { status: 409, body: taken } : { body: { id: '51234001' } }));
    const [linked] = await send(open({ kind: 'hubspot', ...short, base_url: receiver.url }), [create()]);
    expect(linked).toMatchObject({ status: 'accepted', providerRecordId: '51234001' });
    expect(receiver.calls.at(-1)).toMatchObject({ method: 'PATCH', path: '/crm/v3/objects/contacts/51234001' });
    const reporting = open({ kind: 'hubspot', ...short, base_url: receiver.url, options: { on_duplicate: 'report' } });
    const [reported] = await send(reporting, [create()]);
    expect(reported).toMatchObject({ error: { code: 'duplicate_record', message: expect.stringContaining('5***001') } });
    expect(JSON.stringify(reported)).not.toContain('1234');
  });
});
