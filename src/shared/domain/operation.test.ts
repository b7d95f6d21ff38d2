import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatEntryId, formatOperationId, type Place, parseEntryId, parseOperationId, parseQueueName, queueName } from './operation.ts';

fc.configureGlobal({ seed: 7 });

const provider = fc.stringMatching(/^[a-z0-9_-]{1,64}$/);
const tenant = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }).filter((text) => !/\p{Surrogate}/u.test(text)),
  fc.constantFrom('default', 'a.b', 'a:b', '~a', '{x}', ' ', 'ü', '__proto__'),
);
const place: fc.Arbitrary<Place> = fc
  .record({
    shard: fc.nat(1_023),
    provider,
    tenant,
    ms: fc.integer({ min: 1, max: 99_999_999_999_999 }),
    rank: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  })
  .map((parts) => ({ shard: parts.shard, queue: queueName(parts.provider, parts.tenant), ms: parts.ms, rank: parts.rank }));

test('a queue name tells its provider and tenant, whatever the tenant', () => {
  fc.assert(
    fc.property(provider, tenant, (provider, tenant) => {
      expect(parseQueueName(queueName(provider, tenant))).toEqual({ provider, tenant });
    }),
  );
});

test('an operation id names its place, and is safe in a URL and a header', () => {
  fc.assert(
    fc.property(place, (place) => {
      const id = formatOperationId(place);
      expect(id).toMatch(/^[A-Za-z0-9._~-]+$/);
      expect(parseOperationId(id)).toEqual(place);
    }),
  );
});

test('an entry id holds milliseconds and rank', () => {
  fc.assert(
    fc.property(place, ({ ms, rank }) => {
      expect(parseEntryId(formatEntryId({ ms, rank }))).toEqual({ ms, rank });
    }),
  );
});

test('text that is no operation id is none, and never throws', () => {
  const odd = ['', '1', '1.2.3', '01.a.b.crm', '1.A.b.crm', '1.a.b.CRM', '1.a.b.crm.', '1.a.b.crm.x.y', '1.a.b.crm\n', '99999.a.b.crm'];
  expect(odd.map(parseOperationId)).toEqual(odd.map(() => undefined));
  expect(parseOperationId('1.a.zzzzzzzzzzz.crm')).toBeUndefined();
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const place = parseOperationId(text);
      expect(place === undefined || Number.isSafeInteger(place.rank)).toBe(true);
    }),
  );
});
