import { describe, expect, it } from 'vitest';
import { checkPayloadSchema, compilePayloadSchema } from './payload-schema.ts';

const contact = {
  type: 'object',
  required: ['email'],
  properties: {
    email: { type: 'string', format: 'email' },
    stage: { enum: ['lead', 'customer'] },
    code: { type: 'string', pattern: '^[a-z]+$' },
    address: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } },
  },
  additionalProperties: false,
};

describe('checkPayloadSchema', () => {
  it('takes an ordinary schema, with references into itself and any $schema', () => {
    expect(checkPayloadSchema(contact)).toEqual([]);
    const referring = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $defs: { city: { type: 'string' } },
      properties: { city: { $ref: '#/$defs/city' }, pattern: { type: 'string' } },
    };
    expect(checkPayloadSchema(referring)).toEqual([]);
  });

  it.each([
    ['a reference to another host', { properties: { a: { $ref: 'https://example.com/schema.json' } } }, 'properties.a.$ref'],
    ['a dangerous pattern', { properties: { a: { pattern: '(a+)+$' } } }, 'properties.a.pattern'],
    ['a dangerous pattern of names', { patternProperties: { '(a+)+$': {} } }, 'patternProperties'],
    ['an asynchronous schema', { $async: true }, '$async'],
    ['what is no schema', { type: 'text' }, ''],
    ['a reference to nowhere', { $ref: '#/$defs/missing' }, ''],
    ['more than 64 KiB', { description: 'x'.repeat(70_000) }, ''],
  ])('refuses %s and says where', (_, schema, path) => {
    expect(checkPayloadSchema(schema)).toEqual([{ path, message: expect.any(String) }]);
  });

  it('refuses a schema nested without end', () => {
    let schema: Record<string, unknown> = {};
    for (let depth = 0; depth < 40; depth += 1) schema = { not: schema };
    expect(checkPayloadSchema(schema)[0]?.message).toContain('nested');
  });
});

describe('compilePayloadSchema', () => {
  it('names every bad field', () => {
    const errors = compilePayloadSchema(contact).check({ stage: 'x', code: 'A1', colour: 1, address: {} });
    const byPath = Object.fromEntries(errors.map(({ path, message }) => [path, message]));
    expect(byPath).toEqual({
      email: 'is required',
      stage: 'must be one of ["lead","customer"]',
      code: 'must match pattern "^[a-z]+$"',
      colour: 'is not a known field',
      'address.city': 'is required',
    });
  });

  it('asks a partial payload for no fields of its own, but nested ones for theirs', () => {
    const check = compilePayloadSchema(contact, { isPartial: true });
    expect(check.check({ stage: 'lead' })).toEqual([]);
    expect(check.check({ address: {} })).toEqual([{ path: 'address.city', message: 'is required' }]);
  });

  it('does not try a pattern on a long text', () => {
    const check = compilePayloadSchema({ properties: { a: { pattern: '^a+$' } } });
    expect(check.check({ a: 'a'.repeat(1_000) })).toEqual([]);
    expect(check.check({ a: 'a'.repeat(1_001) })).toHaveLength(1);
  });

  it('takes the same $id twice', () => {
    const named = { $id: 'contact', type: 'object' };
    expect(compilePayloadSchema(named).check({})).toEqual([]);
    expect(compilePayloadSchema(named).check({})).toEqual([]);
  });

  it('names at most ten errors', () => {
    const properties = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, { type: 'string' }]));
    const payload = Object.fromEntries(Object.keys(properties).map((name) => [name, 1]));
    expect(compilePayloadSchema({ properties }).check(payload)).toHaveLength(10);
  });
});
