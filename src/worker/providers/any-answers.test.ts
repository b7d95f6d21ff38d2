/** Whatever a CRM answers, a dialect ends with one outcome for each call, in a bounded number of requests, and never throws. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dialectCall, dialectConfig } from '../../../test/support/dialect-calls.ts';
import { answered, createPlayedExchange, lost, unsent } from '../../../test/support/played-exchange.ts';
import type { Dialect, ExchangeReply } from './exchange.ts';
import { createHubspotDialect } from './hubspot/dialect.ts';
import { createOutreachDialect } from './outreach/dialect.ts';
import type { Call } from './provider.ts';
import { createSalesforceDialect } from './salesforce/dialect.ts';

const bulk = { external_id_field: 'X__c', on_duplicate: 'link', bulk_threshold: 3, bulk_poll_ms: 100 };
const dialects: readonly (readonly [string, () => Dialect])[] = [
  ['hubspot', () => createHubspotDialect(dialectConfig())],
  ['hubspot by our id', () => createHubspotDialect(dialectConfig({ options: { record_id_property: 'our_id' } }))],
  ['outreach', () => createOutreachDialect(dialectConfig())],
  ['salesforce', () => createSalesforceDialect(dialectConfig())],
  ['salesforce with jobs', () => createSalesforceDialect(dialectConfig({ options: bulk, batch: { maxRecords: 2, maxWaitMs: 1 } }))],
  ['salesforce with conditions', () => createSalesforceDialect(dialectConfig({ options: { protect_foreign_edits: true } }))],
];

/** Names and values that the dialects look for, in places where they are not expected as well. */
const words =
  'id Id success created errors errorCode statusCode code message fields results category context existingId objectWriteTraceId ids data ' +
  'attributes emails externalId type state Open JobComplete Failed numberRecordsFailed errorMessage InvalidBatch records duplicateResut ' +
  'matchResults matchRecords record DUPLICATES_DETECTED UNABLE_TO_LOCK_ROW REQUEST_LIMIT_EXCEEDED NOT_FOUND CONFLICT VALIDATION_ERROR ' +
  'OBJECT_NOT_FOUND CONFLICTING_UNIQUE_VALUE validationDuplicateValueError rateLimitExceeded policyName DAILY createdAt properties ' +
  'r1 r2 5 __proto__ constructor';
const word = fc.constantFrom(...words.split(' '), '7 already has that value.', 'Existing ID: 5');
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(word, fc.constantFrom(null, true, false, 0, -1, 1e99, '')),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(word, tie('value'), { maxKeys: 5 }),
  ),
})).value;
const status = fc.constantFrom(200, 201, 204, 207, 300, 304, 400, 403, 404, 409, 410, 412, 420, 422, 423, 429, 477, 500, 502, 503, 521);
const body = fc.oneof(
  { weight: 8, arbitrary: json },
  { weight: 1, arbitrary: fc.constantFrom('', '"a', '<p>', 'sf__Id,sf__Created\n5,true\n') },
);
const reply: fc.Arbitrary<ExchangeReply> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(status, body).map(([code, text]) => answered(code, text)) },
  { weight: 1, arbitrary: fc.constantFrom(lost, unsent) },
);
const asked = fc.record({
  kind: fc.constantFrom<Call['kind']>('create', 'upsert', 'update', 'delete', 'read'),
  count: fc.integer({ min: 1, max: 5 }),
  isKnown: fc.boolean(),
  isInDoubt: fc.boolean(),
});

/** Jobs are looked at until they are over, failed looks five times in a row; the other ways have a handful of steps for each call. */
const mostRequests = 400;

test.each(dialects)('%s: one outcome for each call, whatever is answered', async (_, open) => {
  const replies = fc.array(reply, { minLength: 60, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(asked, replies, async ({ kind, count, isKnown, isInDoubt }, answers) => {
      const dialect = open();
      const prepared = Array.from({ length: count }, (_each, n) => {
        const known = { providerRecordId: isKnown ? String(5 + n) : undefined };
        return dialect.prepare(dialectCall({ kind, isInDoubt, ...known, data: { last_name: 'x', email: `a${n}@example.com` } }, n + 1));
      }).flatMap((preparation) => (preparation.status === 'prepared' ? [preparation.prepared] : []));
      const exchange = createPlayedExchange((_request, index) => answers[index % answers.length] as ExchangeReply);
      const outcomes = await dialect.carryOut(prepared, exchange);
      expect(outcomes).toHaveLength(prepared.length);
      for (const outcome of outcomes) {
        expect(['accepted', 'failed', 'unsent']).toContain(outcome.status);
        if (outcome.status === 'failed') expect(outcome.error).toMatchObject({ kind: expect.any(String), message: expect.any(String) });
      }
      expect(exchange.requests.length).toBeLessThan(mostRequests);
    }),
    { numRuns: 300 },
  );
});
