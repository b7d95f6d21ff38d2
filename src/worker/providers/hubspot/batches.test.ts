import { describe, expect, it } from 'vitest';
import { carryOut, dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import { answered, lost } from '../../../../test/support/played-exchange.ts';
import type { BatchPolicy } from '../../../shared/providers/config.ts';
import type { ExchangeRequest } from '../exchange.ts';
import type { Call } from '../provider.ts';
import { createHubspotDialect } from './dialect.ts';

const contacts = '/crm/v3/objects/contacts';

function open(options: Record<string, unknown> = {}, batch?: BatchPolicy) {
  return createHubspotDialect(dialectConfig({ kind: 'hubspot', options, batch }));
}

const email = (n: number) => `c${n}@x.test`;
const creates = (count: number, part: Partial<Call> = {}) =>
  Array.from({ length: count }, (_, i) => dialectCall({ data: { email: email(i + 1) }, ...part }, i + 1));
const updates = (count: number, part: Partial<Call> = {}) =>
  Array.from({ length: count }, (_, i) =>
    dialectCall({ kind: 'update', data: { title: 't' }, providerRecordId: `${100 + i}`, ...part }, i + 1),
  );

interface Input {
  readonly id?: string;
  readonly idProperty?: string;
  readonly properties?: Record<string, string>;
  readonly objectWriteTraceId?: string;
}
const inputsOf = (request: ExchangeRequest | undefined) => (request?.body as { inputs: Input[] } | undefined)?.inputs ?? [];
const batch = (code: number, results: unknown[], errors: unknown[] = []) =>
  answered(code, { status: 'COMPLETE', results, ...(errors.length > 0 ? { numErrors: errors.length, errors } : {}) });
const shapeOf = (requests: readonly ExchangeRequest[]) => requests.map(({ method, path }) => `${method} ${path.slice(contacts.length)}`);
const refused = answered(400, { status: 'error', message: 'Invalid input', category: 'VALIDATION_ERROR' });

describe('which calls share a batch', () => {
  const [create, update] = [dialectCall(), dialectCall({ kind: 'update', providerRecordId: '1' })];
  it.each<[string, boolean, Call, Call, Record<string, unknown>]>([
    ['equal kinds', true, create, { ...create, isInDoubt: true, providerRecordId: '1' }, {}],
    ['other entities', false, create, { ...create, entity: 'company' }, {}],
    ['a create and an update', false, create, update, {}],
    ['an update and an upsert of known records', true, update, { ...update, kind: 'upsert' }, {}],
    ['a create and an upsert by our record id', true, create, { ...create, kind: 'upsert' }, { record_id_property: 'sluice_id' }],
    ['a create and an upsert by e-mail', false, create, { ...create, kind: 'upsert' }, {}],
  ])('%s: %s', (_, isShared, a, b, options) => {
    expect(open(options).canShareBatch(a, b)).toBe(isShared);
  });

  it('has at most as many as HubSpot takes', () => {
    expect(open().maxBatch).toBe(100);
    expect(open({}, { maxRecords: 500, maxWaitMs: 7 })).toMatchObject({ maxBatch: 100, batchWaitMs: 7 });
    expect(open({}, { maxRecords: 10, maxWaitMs: 7 }).maxBatch).toBe(10);
  });
});

describe('results are told apart', () => {
  it('by trace id, in any order, bad records among them', async () => {
    const calls = creates(3);
    const [one, two, three] = calls.map(({ operationId }) => operationId);
    const error = { status: 'error', category: 'VALIDATION_ERROR', message: 'bad', context: { objectWriteTraceId: [two] } };
    const results = [
      { id: '13', objectWriteTraceId: three },
      { id: '11', objectWriteTraceId: one },
    ];
    const { outcomes, requests } = await carryOut(open(), calls, [batch(207, results, [error])]);
    expect(outcomes).toMatchObject([
      { status: 'accepted', providerRecordId: '11' },
      { status: 'failed', error: { kind: 'invalid', code: 'invalid_field' } },
      { status: 'accepted', providerRecordId: '13' },
    ]);
    expect(shapeOf(requests)).toEqual(['POST /batch/create']);
    expect(inputsOf(requests[0])[1]).toEqual({ properties: { email: email(2) }, associations: [], objectWriteTraceId: two });
  });

  it('by a unique property', async () => {
    const results = [
      { id: '12', properties: { email: email(2) } },
      { id: '11', properties: { email: email(1) } },
    ];
    const { outcomes } = await carryOut(open(), creates(2), [batch(201, results)]);
    expect(outcomes).toMatchObject([{ providerRecordId: '11' }, { providerRecordId: '12' }]);
    const upserts = await carryOut(open(), creates(2, { kind: 'upsert' }), [batch(200, results)]);
    expect(upserts.outcomes).toMatchObject([{ providerRecordId: '11' }, { providerRecordId: '12' }]);
  });

  it('by HubSpot’s id, errors as well', async () => {
    const error = { status: 'error', category: 'OBJECT_NOT_FOUND', message: 'gone', context: { ids: ['100', '102'] } };
    const { outcomes, requests } = await carryOut(open(), updates(3), [batch(207, [{ id: '101' }], [error])]);
    expect(outcomes).toMatchObject([
      { status: 'failed', error: { kind: 'gone' } },
      { status: 'accepted', providerRecordId: '101' },
      { status: 'failed', error: { kind: 'gone' } },
    ]);
    expect(shapeOf(requests)).toEqual(['POST /batch/update']);
  });

  it('the last by elimination, never by order', async () => {
    const known = { id: '11', properties: { email: email(1) } };
    expect((await carryOut(open(), creates(2), [batch(201, [{ id: '12' }, known])])).outcomes).toMatchObject([
      { providerRecordId: '11' },
      { providerRecordId: '12' },
    ]);
    const { outcomes } = await carryOut(open(), creates(3), [batch(201, [known, { id: '12' }, { id: '13' }])]);
    const ambiguous = { status: 'failed', error: { kind: 'ambiguous', code: 'malformed_batch_answer' } };
    expect(outcomes).toMatchObject([{ providerRecordId: '11' }, ambiguous, ambiguous]);
  });

  it('or not at all: then they are ambiguous', async () => {
    for (const calls of [creates(2), updates(2)])
      for (const answer of [answered(200, '<html>'), batch(200, []), answered(202)]) {
        const { outcomes } = await carryOut(open(), calls, [answer]);
        expect(outcomes).toMatchObject([{ error: { kind: 'ambiguous' } }, { error: { kind: 'ambiguous' } }]);
      }
  });

  it('an update that the answer left out is asked for alone', async () => {
    const { outcomes, requests } = await carryOut(open(), updates(2), [batch(200, [{ id: '101' }]), answered(200, { id: '900' })]);
    expect(shapeOf(requests)).toEqual(['POST /batch/update', 'PATCH /100']);
    expect(outcomes).toMatchObject([
      { status: 'accepted', providerRecordId: '900' },
      { status: 'accepted', providerRecordId: '101' },
    ]);
  });
});

describe('conflicts within a batch of creates', () => {
  const conflict = (call: Call | undefined, extra: Record<string, unknown> = {}, message = 'Contact already exists') => ({
    status: 'error',
    category: 'CONFLICT',
    message,
    context: { objectWriteTraceId: [call?.operationId], ...extra },
  });

  it('are linked together, by the ids that the answer names', async () => {
    const calls = creates(3);
    const errors = [conflict(calls[0], { existingId: ['71'] }), conflict(calls[1], {}, 'Contact already exists. Existing ID: 72')];
    const made = batch(207, [{ id: '13', objectWriteTraceId: calls[2]?.operationId }], errors);
    const { outcomes, requests } = await carryOut(open(), calls, [made, batch(200, [{ id: '72' }, { id: '71' }])]);
    expect(shapeOf(requests)).toEqual(['POST /batch/create', 'POST /batch/update']);
    expect(outcomes).toMatchObject([{ providerRecordId: '71' }, { providerRecordId: '72' }, { providerRecordId: '13' }]);
  });

  it('are asked for alone where it names none', async () => {
    const calls = creates(2);
    const made = batch(207, [{ id: '12', objectWriteTraceId: calls[1]?.operationId }], [conflict(calls[0])]);
    const named = answered(409, { message: 'Contact already exists. Existing ID: 71', category: 'CONFLICT' });
    const { outcomes, requests } = await carryOut(open(), calls, [made, named, answered(200, { id: '71' })]);
    expect(shapeOf(requests)).toEqual(['POST /batch/create', 'POST ', 'PATCH /71']);
    expect(outcomes).toMatchObject([{ providerRecordId: '71' }, { providerRecordId: '12' }]);
  });

  it('are reported where nothing is to be linked', async () => {
    const calls = creates(2);
    const made = batch(207, [{ id: '12', objectWriteTraceId: calls[1]?.operationId }], [conflict(calls[0], { existingId: ['71'] })]);
    const { outcomes, requests } = await carryOut(open({ on_duplicate: 'report' }), calls, [made]);
    expect(requests).toHaveLength(1);
    expect(outcomes).toMatchObject([{ error: { kind: 'conflict', code: 'duplicate_record' } }, { status: 'accepted' }]);
  });
});

describe('one record is never named twice in a request', () => {
  it.each<[string, readonly Call[], number]>([
    ['updates of one id', updates(3, { providerRecordId: '5' }), 3],
    ['upserts of one e-mail', creates(2, { kind: 'upsert', dataJson: '{"email":"A@x.test"}' }), 2],
    ['creates of one e-mail', creates(2, { dataJson: '{"email":"a@x.test"}' }), 2],
    ['deletes of one id', updates(2, { kind: 'delete', dataJson: undefined, providerRecordId: '5' }), 2],
  ])('%s', async (_, calls, count) => {
    const { outcomes, requests } = await carryOut(open(), calls, () => answered(200, { id: '5', results: [{ id: '5' }] }));
    expect(requests).toHaveLength(count);
    expect(outcomes.every(({ status }) => status === 'accepted')).toBe(true);
  });

  it('while the others stay together, in order where it matters', async () => {
    const calls = [...updates(3), dialectCall({ kind: 'update', data: { title: 'later' }, providerRecordId: '101' }, 4)];
    const { requests } = await carryOut(open(), calls, ({ body, path }) =>
      path.endsWith('/update')
        ? batch(
            200,
            (body as { inputs: Input[] }).inputs.map(({ id }) => ({ id })),
          )
        : answered(200, { id: '101' }),
    );
    expect(shapeOf(requests)).toEqual(['POST /batch/update', 'PATCH /101']);
    expect(requests[1]?.body).toEqual({ properties: { jobtitle: 'later' } });
  });
});

describe('a batch that is refused whole', () => {
  it('is the engine’s to halve where it was all there is', async () => {
    for (const answer of [refused, answered(409, { message: 'Contact already exists', category: 'CONFLICT' }), answered(404)]) {
      const { outcomes, requests } = await carryOut(open(), creates(4), [answer]);
      expect(requests).toHaveLength(1);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'failed', error: { isWholeBatch: true } });
    }
  });

  it('is halved here where other calls are done already, so that none is repeated', async () => {
    const calls = [dialectCall({ data: { email: email(9) }, providerRecordId: '9' }, 9), ...creates(4)];
    const bad = email(3);
    const { outcomes, requests } = await carryOut(open(), calls, (request) => {
      if (request.method === 'PATCH') return answered(200, { id: '9' });
      const inputs = request.path.endsWith('/batch/create') ? inputsOf(request) : [request.body as Input];
      if (inputs.some(({ properties }) => properties?.['email'] === bad)) return refused;
      const made = inputs.map(({ properties }) => ({ id: `of ${properties?.['email']}`, properties }));
      return request.path.endsWith('/batch/create') ? batch(201, made) : answered(201, made[0]);
    });
    expect(shapeOf(requests)).toEqual(['PATCH /9', 'POST /batch/create', 'POST /batch/create', 'POST /batch/create', 'POST ', 'POST ']);
    expect(outcomes).toMatchObject([
      { providerRecordId: '9' },
      { providerRecordId: `of ${email(1)}` },
      { providerRecordId: `of ${email(2)}` },
      { status: 'failed', error: { kind: 'invalid' } },
      { providerRecordId: `of ${email(4)}` },
    ]);
    expect(outcomes.some((outcome) => outcome.status === 'failed' && outcome.error.isWholeBatch)).toBe(false);
  });

  it('for a passing reason is not taken apart; creates are then in doubt', async () => {
    const { outcomes } = await carryOut(open(), creates(2), [answered(502)]);
    expect(outcomes).toMatchObject([{ error: { kind: 'transient', isInDoubt: true } }, { error: { kind: 'transient', isInDoubt: true } }]);
    const safe = await carryOut(open(), updates(2), [answered(502)]);
    expect(safe.outcomes.some((outcome) => outcome.status === 'failed' && outcome.error.isInDoubt)).toBe(false);
  });
});

it('creates answered with a pause by a gateway that had passed them on are in doubt, and the pause holds', async () => {
  const { outcomes } = await carryOut(open(), creates(2), [answered(504, '<html>', { retryAfterMs: 3_000 })]);
  const paused = { error: { kind: 'rate_limited', retryAfterMs: 3_000, isInDoubt: true } };
  expect(outcomes).toMatchObject([paused, paused]);
  const alone = await carryOut(open(), creates(1), [answered(502, '<html>', { retryAfterMs: 3_000 })]);
  expect(alone.outcomes).toMatchObject([paused]);
  const throttled = await carryOut(open(), creates(2), [answered(429, {}, { retryAfterMs: 3_000 })]);
  for (const outcome of throttled.outcomes) expect(outcome).not.toHaveProperty('error.isInDoubt');
});

describe('creates in doubt', () => {
  it('look together; what is found is linked, what is missing is made', async () => {
    const calls = creates(4, { isInDoubt: true });
    const error = { status: 'error', category: 'OBJECT_NOT_FOUND', message: 'none', context: { ids: [email(2), email(4)] } };
    const found = [
      { id: '33', properties: { email: email(3) } },
      { id: '31', properties: { email: email(1).toUpperCase() } },
    ];
    const answers = [
      batch(207, found, [error]),
      batch(200, [{ id: '31' }, { id: '33' }]),
      batch(
        201,
        [2, 4].map((n) => ({ id: `3${n}`, properties: { email: email(n) } })),
      ),
    ];
    const { outcomes, requests } = await carryOut(open(), calls, answers);
    expect(shapeOf(requests)).toEqual(['POST /batch/read', 'POST /batch/update', 'POST /batch/create']);
    expect(requests[0]).toMatchObject({ isRead: true, body: { idProperty: 'email', propertiesWithHistory: [] } });
    expect(inputsOf(requests[0])).toEqual([1, 2, 3, 4].map((n) => ({ id: email(n) })));
    expect(outcomes).toMatchObject([1, 2, 3, 4].map((n) => ({ providerRecordId: `3${n}` })));
  });

  it('are looked up alone where the answer does not speak of them', async () => {
    const calls = creates(2, { isInDoubt: true });
    const { requests, outcomes } = await carryOut(open(), calls, ({ method, path }) => {
      if (path.endsWith('/batch/read')) return batch(200, []);
      if (method === 'GET') return answered(404);
      return batch(
        201,
        [1, 2].map((n) => ({ id: `3${n}`, properties: { email: email(n) } })),
      );
    });
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'GET', 'POST']);
    expect(outcomes).toMatchObject([{ providerRecordId: '31' }, { providerRecordId: '32' }]);
  });

  it('are unharmed by others that are not', async () => {
    const calls = [...creates(1), dialectCall({ data: { email: email(2) }, isInDoubt: true }, 2)];
    const { requests } = await carryOut(open(), calls, [answered(201, { id: '1' }), answered(404), answered(201, { id: '2' })]);
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'GET', 'POST']);
  });
});

describe('deletes and reads', () => {
  const deletes = updates(3, { kind: 'delete', dataJson: undefined });
  const reads = updates(2, { kind: 'read', dataJson: undefined });

  it('archive together; what is missing is done', async () => {
    const plain = await carryOut(open(), deletes, [answered(204)]);
    expect(plain.outcomes).toEqual(deletes.map(() => ({ status: 'accepted', providerStatus: 204 })));
    expect(inputsOf(plain.requests[0])).toEqual([{ id: '100' }, { id: '101' }, { id: '102' }]);
    const errors = [
      { category: 'OBJECT_NOT_FOUND', message: 'none', context: { ids: ['101'] } },
      { category: 'VALIDATION_ERROR', message: 'bad', context: { ids: ['102'] } },
    ];
    const partial = await carryOut(open(), deletes, [batch(207, [], errors)]);
    expect(partial.outcomes).toMatchObject([
      { status: 'accepted' },
      { status: 'accepted' },
      { status: 'failed', error: { kind: 'invalid' } },
    ]);
  });

  it('read together', async () => {
    const error = { category: 'OBJECT_NOT_FOUND', message: 'none', context: { ids: ['101'] } };
    const { outcomes, requests } = await carryOut(open(), reads, [batch(207, [{ id: '100', properties: { email: 'a' } }], [error])]);
    expect(shapeOf(requests)).toEqual(['POST /batch/read']);
    expect(outcomes).toMatchObject([
      { status: 'accepted', result: { id: '100', properties: { email: 'a' } } },
      { error: { kind: 'gone' } },
    ]);
  });
});

describe('after an answer that will be the next one’s, too', () => {
  const calls = [...creates(2), ...creates(4, { isInDoubt: true }).slice(2)];
  it.each([
    ['throttled', answered(429, { policyName: 'TEN_SECONDLY_ROLLING' }), 'rate_limited'],
    ['not allowed', answered(403, { category: 'MISSING_SCOPES' }), 'auth'],
    ['lost', lost, 'ambiguous'],
  ])('%s: nothing more is sent, and the rest is charged nothing', async (_, answer, kind) => {
    const { outcomes, requests } = await carryOut(open(), calls, [answer]);
    expect(requests).toHaveLength(1);
    expect(outcomes).toMatchObject([{ error: { kind } }, { error: { kind } }, { status: 'unsent' }, { status: 'unsent' }]);
  });
});
