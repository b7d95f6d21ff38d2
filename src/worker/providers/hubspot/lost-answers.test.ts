/** Batches of creates at a HubSpot that loses answers, fails after the fact, and shuffles its results: whatever happens, no second record. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deliverCalls } from '../../../../test/support/deliver-calls.ts';
import { dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import { answered, lost } from '../../../../test/support/played-exchange.ts';
import type { ExchangeReply, ExchangeRequest } from '../exchange.ts';
import { createHubspotDialect } from './dialect.ts';

type Fault = 'none' | 'lost' | 'lost unapplied' | 'gateway' | 'throttled' | 'no traces' | 'refused whole';

interface Input {
  readonly id?: string;
  readonly idProperty?: string;
  readonly properties: Record<string, string>;
  readonly objectWriteTraceId?: string;
}

/** Unique by e-mail and, where it is used, by our record id. */
function createModel(faults: readonly Fault[]) {
  const records = new Map<string, Record<string, string>>();
  const idsInRequests: string[][] = [];
  let turn = 0;

  const owner = (property: string, value: string) => [...records].find(([, properties]) => properties[property] === value)?.[0];
  const view = (id: string, trace?: string) => ({
    id,
    properties: records.get(id),
    ...(trace === undefined ? {} : { objectWriteTraceId: trace }),
  });
  const missing = (id: string) => ({ status: 'error', category: 'OBJECT_NOT_FOUND', message: 'none', context: { ids: [id] } });
  const conflict = (id: string) => ({ status: 'error', category: 'CONFLICT', message: `Contact already exists. Existing ID: ${id}` });

  function write(properties: Record<string, string>, id?: string): { id: string } | { taken: string } {
    const taken = owner('email', properties['email'] ?? '');
    if (taken !== undefined && taken !== id) return { taken };
    const own = id ?? String(1_000 + records.size);
    records.set(own, { ...records.get(own), ...properties });
    return { id: own };
  }

  function single({ method, path, body }: ExchangeRequest): ExchangeReply {
    if (method === 'POST') {
      const made = write((body as Input).properties);
      return 'id' in made ? answered(201, view(made.id)) : answered(409, conflict(made.taken));
    }
    const [name = '', query] = (path.split('/').at(-1) ?? '').split('?');
    const idProperty = new URLSearchParams(query).get('idProperty');
    const id = idProperty === null ? decodeURIComponent(name) : owner(idProperty, decodeURIComponent(name));
    if (id === undefined || !records.has(id)) return answered(404, missing(name));
    if (method === 'PATCH') write((body as Input).properties, id);
    return answered(200, view(id));
  }

  function batch({ path, body }: ExchangeRequest, hasTraces: boolean): ExchangeReply {
    const { inputs, idProperty } = body as { inputs: Input[]; idProperty?: string };
    const results: unknown[] = [];
    const errors: unknown[] = [];
    idsInRequests.push(inputs.map(({ id, properties }) => id ?? properties['email'] ?? ''));
    for (const { id = '', properties, objectWriteTraceId: trace, idProperty: own } of inputs) {
      const property = idProperty ?? own;
      const known = property === undefined ? (records.has(id) ? id : undefined) : owner(property, id);
      if (!/create|upsert/.test(path) && known === undefined) {
        errors.push(missing(id));
        continue;
      }
      const made = path.endsWith('read') ? { id: known ?? '' } : write(properties, known);
      if ('id' in made) results.push(view(made.id, hasTraces ? trace : undefined));
      else errors.push({ ...conflict(made.taken), context: { objectWriteTraceId: [trace] } });
    }
    return answered(errors.length > 0 ? 207 : 200, { status: 'COMPLETE', results: results.reverse(), errors });
  }

  const answer = (request: ExchangeRequest): ExchangeReply => {
    const fault = faults[turn++] ?? 'none';
    const isBatch = request.path.includes('/batch/');
    const isSeveral = isBatch && (request.body as { inputs: unknown[] }).inputs.length > 1;
    if (fault === 'throttled') return answered(429, { policyName: 'TEN_SECONDLY_ROLLING' });
    if (fault === 'refused whole' && isSeveral) return answered(400, { category: 'VALIDATION_ERROR', message: 'no' });
    const reply = fault === 'lost unapplied' ? lost : isBatch ? batch(request, fault !== 'no traces') : single(request);
    if (fault === 'gateway') return answered(502);
    if (fault === 'lost' || fault === 'lost unapplied') return request.isRead ? answered(503) : lost;
    return reply;
  };
  return { answer, records, idsInRequests };
}

const faults = fc.array(
  fc.constantFrom<Fault>('none', 'none', 'none', 'lost', 'lost unapplied', 'gateway', 'throttled', 'no traces', 'refused whole'),
  { maxLength: 12 },
);

describe('creates at a HubSpot that loses answers', () => {
  it.each([{}, { record_id_property: 'sluice_id' }])('make one record for each e-mail, and find it again: %o', async (options) => {
    await fc.assert(
      fc.asyncProperty(faults, fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 8 }), async (plan, emails) => {
        const model = createModel(plan);
        const calls = emails.map((n, index) => dialectCall({ data: { email: `c${n}@x.test` } }, index + 1));
        const finals = await deliverCalls(createHubspotDialect(dialectConfig({ options })), calls, model.answer);
        expect(model.records.size).toBe(new Set(emails).size);
        for (const [index, n] of emails.entries()) {
          const outcome = finals.get(`r${index + 1}`);
          const id = outcome?.status === 'accepted' ? outcome.providerRecordId : undefined;
          expect(model.records.get(id ?? '')?.['email']).toBe(`c${n}@x.test`);
        }
        for (const ids of model.idsInRequests) expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: 300 },
    );
  });
});
