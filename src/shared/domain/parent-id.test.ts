import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Place, queueName } from './operation.ts';
import { formatParentId, maxChildren, maxParentIdLength, parseParentId } from './parent-id.ts';

const tenant = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 64 }).filter((text) => !/\p{Surrogate}/u.test(text)),
  fc.constantFrom('default', 'a.b', 'a:b', '~a', 'ü', '🙂'.repeat(64)),
);
const child = fc.record({
  provider: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
  ms: fc.integer({ min: 1, max: 99_999_999_999_999 }),
  rank: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
});
const places: fc.Arbitrary<readonly Place[]> = fc
  .record({
    shard: fc.nat(1_023),
    tenant,
    children: fc.uniqueArray(child, { minLength: 1, maxLength: maxChildren, selector: ({ provider }) => provider }),
  })
  .map(({ shard, tenant, children }) =>
    children.map(({ provider, ms, rank }) => ({ shard, queue: queueName(provider, tenant), ms, rank })),
  );

test('a parent’s id names its children, and is safe in a URL and a header', () => {
  fc.assert(
    fc.property(places, (children) => {
      const id = formatParentId(children);
      expect(id).toMatch(/^auto\.[A-Za-z0-9._~-]+$/);
      expect(parseParentId(id)).toEqual(children);
    }),
    { seed: 7 },
  );
});

test('the longest id is within the bound', () => {
  const children = Array.from({ length: maxChildren }, (_, at) => ({
    shard: 9_999,
    queue: queueName(`${at}`.padStart(64, 'x'), '🙂'.repeat(64)),
    ms: 99_999_999_999_999,
    rank: Number.MAX_SAFE_INTEGER,
  }));
  const id = formatParentId(children);
  expect(id.length).toBeLessThan(maxParentIdLength);
  expect(parseParentId(id)).toEqual(children);
});

test.each([
  'auto',
  'auto.',
  'auto.1',
  'auto.1.tenant',
  'auto.1.a.1',
  'auto.1.a.1.crm.x.y',
  'auto.01.a.1.crm',
  'auto.1.a.1.CRM',
  'auto.1.0a.1.crm',
  'auto.1.a.1.crm.b.2.crm',
  'auto.1.a.1.crm.default',
  'auto.1.a.1.crm.~ZGVmYXVsdA',
  'auto.1.a.1.crm\n',
  'Auto.1.a.1.crm',
  '1.a.1.crm',
  `auto.1${'.a.1.crm'.repeat(maxChildren + 1)}`,
  `auto.1.a.1.crm.${'x'.repeat(3_000)}`,
])('no parent’s id: %j', (id) => {
  expect(parseParentId(id)).toBeUndefined();
});

test('any text is a parent’s id written as we write it, or none', () => {
  const part = fc.constantFrom('auto', '1', 'a', 'crm', '~YQ', '~', '', 'x y', '0', '-', 'zzzzzzzzzzzz');
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(part, { maxLength: 60 }).map((parts) => ['auto', ...parts].join('.')),
  );
  fc.assert(
    fc.property(text, (id) => {
      const children = parseParentId(id);
      expect(children === undefined || formatParentId(children) === id).toBe(true);
    }),
    { seed: 7, numRuns: 1_000 },
  );
});
