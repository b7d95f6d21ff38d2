import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxDataBytes, maxDataDepth, operationSchema, readOperation } from './operation-input.ts';

const rules = {
  nowMs: 1_800_000_000_000,
  maxFutureSkewMs: 1_000,
  boundTenant: undefined,
  makeRecordId: () => 'made',
  isExact: () => false,
};
const good = { operation: 'update', provider: 'crm', record_id: 'c1', data: { a: 1 } };

function read(input: unknown, changed: Partial<Parameters<typeof readOperation>[1]> = {}) {
  const outcome = readOperation(input, { ...rules, ...changed });
  return outcome.status === 'valid' ? { ...outcome.operation, problem: undefined } : { problem: outcome.problem };
}

function errorsOf(input: unknown): Record<string, string> {
  const { problem } = read(input);
  return Object.fromEntries((problem?.errors ?? []).map(({ path, message }) => [path, message]));
}

describe('readOperation', () => {
  it('fills in what is left out', () => {
    expect(read(good)).toMatchObject({
      change: {
        kind: 'update',
        provider: 'crm',
        tenant: 'default',
        entity: 'contact',
        recordId: 'c1',
        source: 'api',
        timestampMs: rules.nowMs,
        dataJson: '{"a":1}',
      },
      hasTimestamp: false,
      isRecordIdGenerated: false,
    });
  });

  it('takes the word of the operation in any case', () => {
    for (const operation of ['CREATE', 'Create', 'cReAtE'])
      expect(read({ ...good, operation }), operation).toMatchObject({ change: { kind: 'create' } });
  });

  it('makes a record id for a create only', () => {
    const { record_id: _, ...anonymous } = good;
    expect(read({ ...anonymous, operation: 'create' })).toMatchObject({ change: { recordId: 'made' }, isRecordIdGenerated: true });
    for (const operation of ['update', 'upsert']) expect(errorsOf({ ...anonymous, operation })).toHaveProperty('record_id');
    for (const operation of ['delete', 'read']) expect(errorsOf({ operation, provider: 'crm' })).toHaveProperty('record_id');
  });

  it('asks for data where a change needs it, and refuses it elsewhere', () => {
    const { data: _, ...bare } = good;
    for (const operation of ['create', 'update', 'upsert']) expect(errorsOf({ ...bare, operation })).toHaveProperty('data');
    for (const operation of ['delete', 'read']) {
      expect(errorsOf({ ...good, operation })).toHaveProperty('data');
      expect(read({ ...bare, operation })).toMatchObject({ change: { dataJson: undefined } });
    }
  });

  it('tells all that is wrong at once, by name', () => {
    const wrong = {
      operation: 'jump',
      provider: 'CRM',
      record_id: '',
      entity: 5,
      data: [],
      timestamp: 'today',
      tenant: 'x'.repeat(65),
      colour: 'red',
    };
    expect(Object.keys(errorsOf(wrong)).sort()).toEqual([
      'colour',
      'data',
      'entity',
      'operation',
      'provider',
      'record_id',
      'tenant',
      'timestamp',
    ]);
  });

  it('refuses fields that an object has by inheritance or by trick', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'prototype']) {
      expect(errorsOf(JSON.parse(`{"operation":"read","provider":"crm","record_id":"c1","${name}":{}}`)), name).toHaveProperty([name]);
    }
    expect(errorsOf(JSON.parse('{"__proto__":{"operation":"read","provider":"crm","record_id":"c1"}}'))).toMatchObject({
      operation: 'required',
    });
  });

  it('keeps a field called __proto__ inside the data', () => {
    const operation = read(JSON.parse('{"operation":"update","provider":"crm","record_id":"c1","data":{"__proto__":1,"a":2}}'));
    expect(operation).toMatchObject({ change: { dataJson: '{"__proto__":1,"a":2}' } });
  });

  it('counts characters, not UTF-16 units, and refuses lone surrogates', () => {
    expect(read({ ...good, record_id: '😀'.repeat(255) }).problem).toBeUndefined();
    expect(errorsOf({ ...good, record_id: '😀'.repeat(256) })).toHaveProperty('record_id');
    for (const field of ['record_id', 'entity', 'tenant', 'source', 'idempotency_key']) {
      expect(errorsOf({ ...good, [field]: 'a\ud800' }), field).toHaveProperty(field);
      expect(read({ ...good, [field]: 'a\u0000b' }).problem, field).toBeUndefined();
    }
  });

  it('bounds data in UTF-8 bytes', () => {
    const fitting = { a: 'é'.repeat((maxDataBytes - '{"a":""}'.length) / 2) };
    expect(read({ ...good, data: fitting }).problem).toBeUndefined();
    expect(errorsOf({ ...good, data: { a: `${fitting.a}x` } })).toHaveProperty('data');
  });

  it('bounds the depth of data, however it is nested', () => {
    const nested = (levels: number, open: string, close: string) =>
      JSON.parse(`{"a":${open.repeat(levels - 1)}1${close.repeat(levels - 1)}}`);
    expect(read({ ...good, data: nested(maxDataDepth, '[', ']') }).problem).toBeUndefined();
    expect(errorsOf({ ...good, data: nested(maxDataDepth + 1, '[', ']') })).toHaveProperty('data');
    expect(errorsOf({ ...good, data: nested(20_000, '{"a":', '}') })).toHaveProperty('data');
  });

  it('refuses numbers that would reach the provider as other numbers, each by its path', () => {
    const data = JSON.parse('{"n":12345678901234567890,"m":1e400,"list":[1,{"id":-9007199254740992}],"half":9007199254740992.5,"ok":1}');
    expect(errorsOf({ ...good, data })).toEqual(
      Object.fromEntries(
        ['data.n', 'data.m', 'data.list.1.id', 'data.half'].map((path) => [path, expect.stringContaining('send it as text')]),
      ),
    );
    const exact = { most: 9_007_199_254_740_991, least: -9_007_199_254_740_991, small: 5e-324, money: 0.1, text: '12345678901234567890' };
    expect(read({ ...good, data: exact })).toMatchObject({ change: { dataJson: JSON.stringify(exact) } });
    const isExact = (value: number) => value === 1e300;
    expect(read({ ...good, data: { n: 1e300 } }, { isExact })).toMatchObject({ change: { dataJson: '{"n":1e+300}' } });
    const tooDeep = JSON.parse(`{"n":1e300,"a":${'['.repeat(maxDataDepth)}1${']'.repeat(maxDataDepth)}}`);
    expect(read({ ...good, data: tooDeep }, { isExact }).problem?.errors).toMatchObject([{ path: 'data' }]);
  });

  it('tells of many such numbers, and of long names, within bounds', () => {
    const data = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}${'x'.repeat(500)}`, 1e300]));
    const { problem } = read({ ...good, data });
    expect(problem?.errors).toHaveLength(20);
    for (const { path } of problem?.errors ?? []) expect(path.length).toBeLessThanOrEqual(200);
  });

  it('refuses a timestamp ahead of the clock by more than is allowed', () => {
    expect(read({ ...good, timestamp: rules.nowMs + 1_000 })).toMatchObject({
      hasTimestamp: true,
      change: { timestampMs: rules.nowMs + 1_000 },
    });
    expect(read({ ...good, timestamp: rules.nowMs + 1_001 }).problem).toMatchObject({ code: 'timestamp_in_future', status: 422 });
    expect(read({ ...good, timestamp: '9999-12-31T23:59:59Z' }).problem).toMatchObject({ code: 'timestamp_in_future' });
  });

  it('gives a bound key its tenant, and refuses another', () => {
    expect(read(good, { boundTenant: 'acme' })).toMatchObject({ change: { tenant: 'acme' } });
    expect(read({ ...good, tenant: 'acme' }, { boundTenant: 'acme' })).toMatchObject({ change: { tenant: 'acme' } });
    expect(read({ ...good, tenant: 'other' }, { boundTenant: 'acme' }).problem).toMatchObject({ code: 'forbidden', status: 403 });
  });

  it('has its bounds in the published schema and on the page of errors', () => {
    const page = readFileSync(new URL('../../docs/api-errors.md', import.meta.url), 'utf8');
    expect(operationSchema.properties.data.description).toContain(`${maxDataDepth} levels`);
    expect(operationSchema.properties.timestamp.description).toContain('from 1970 to 9999');
    expect(page).toContain(`${maxDataDepth} levels`);
  });

  it('never throws, and what it takes is valid by the published schema', () => {
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(operationSchema);
    const field = fc.oneof(fc.jsonValue(), fc.constantFrom('update', 'crm', 'create', 1_700_000_000_000, '2026-01-01T00:00:00Z', {}));
    const operation = fc.record(
      {
        operation: field,
        provider: field,
        record_id: field,
        entity: field,
        data: field,
        timestamp: field,
        tenant: field,
        idempotency_key: field,
      },
      { requiredKeys: [] },
    );
    const nearly = fc.tuple(operation, fc.boolean()).map(([fields, isGood]) => (isGood ? { ...good, ...fields } : fields));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearly), (input) => {
        const { problem } = read(input);
        if (problem === undefined)
          expect(validate({ ...(input as object), operation: String((input as typeof good).operation).toLowerCase() })).toBe(true);
        else expect(problem.status).toBe(422);
      }),
      { numRuns: 2_000 },
    );
  });
});
