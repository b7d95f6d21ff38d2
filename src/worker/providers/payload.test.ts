import { describe, expect, it } from 'vitest';
import type { OperationKind } from '../../shared/domain/operation.ts';
import { createPayloadMapper } from './payload.ts';

type Rules = Partial<Parameters<typeof createPayloadMapper>[0]>;

function map(rules: Rules, data: unknown, kind: OperationKind = 'update', recordId?: string) {
  const mapper = createPayloadMapper({ mapping: undefined, schema: undefined, unknownFields: 'pass', ...rules });
  const result = mapper.map(kind, typeof data === 'string' ? data : JSON.stringify(data), recordId);
  return result.status === 'mapped' ? JSON.parse(result.json) : result.error;
}

const mapping = { email: 'emailAddress', name: 'fullName', internal: null };

describe('without rules', () => {
  const mapper = createPayloadMapper({ mapping: undefined, schema: undefined, unknownFields: 'pass' });

  it('the text goes through as it came', () => {
    const json = '{ "b": 1.0, "a":1e3,"é":"\\u00e9" }';
    expect(mapper.map('update', json, undefined)).toEqual({ status: 'mapped', json });
  });

  it.each([
    ['{"a":1}', '{"id":"r\\"1","a":1}'],
    ['{}', '{"id":"r\\"1"}'],
    ['{ }', '{"id":"r\\"1"}'],
    ['{"a":"\\u0041"}', '{"id":"r\\"1","a":"\\u0041"}'],
    [' {"a":{"id":2}}', '{"id":"r\\"1","a":{"id":2}}'],
    ['{"a":"the \\"id\\" of"}', '{"id":"r\\"1","a":"the \\"id\\" of"}'],
  ])('a create of %s gets its id', (data, json) => {
    expect(mapper.map('create', data, 'r"1')).toEqual({ status: 'mapped', json });
  });

  it.each(['{"id":7}', '{"id":null}', '{"\\u0069d":"mine"}'])('a create of %s keeps the id it has', (json) => {
    expect(mapper.map('create', json, 'r1')).toEqual({ status: 'mapped', json });
  });

  it.each(['[1]', 'null', '"id"', '{"id"', 'x'])('a create of %s is refused', (json) => {
    expect(mapper.map('create', json, 'r1')).toMatchObject({ status: 'refused', error: { kind: 'invalid', code: 'invalid_payload' } });
  });
});

describe('mapping', () => {
  it('renames fields, leaves out what is mapped to null, and passes on the rest', () => {
    expect(map({ mapping }, { email: 'a@b.c', name: null, internal: 1, other: 2 })).toEqual({
      emailAddress: 'a@b.c',
      fullName: null,
      other: 2,
    });
  });

  it('drops or refuses unknown fields where it is told to', () => {
    expect(map({ mapping, unknownFields: 'drop' }, { email: 'e', other: 2 })).toEqual({ emailAddress: 'e' });
    const refused = map({ mapping, unknownFields: 'refuse' }, { email: 'e', other: 2, more: 3 });
    expect(refused).toMatchObject({ kind: 'invalid', code: 'unknown_field', message: 'not known: other, more' });
  });

  it('never lets a passed field displace a mapped one', () => {
    expect(map({ mapping }, { email: 'mapped', emailAddress: 'passed' })).toEqual({ emailAddress: 'mapped' });
  });

  it('passes a field that is called as the provider calls it, where no other took its place', () => {
    expect(map({ mapping }, { emailAddress: 'passed', other: 2 })).toEqual({ emailAddress: 'passed', other: 2 });
    expect(map({ mapping }, { emailAddress: 'passed', email: 'mapped' })).toEqual({ emailAddress: 'mapped' });
  });

  it('gives a create its id after mapping, unless the mapped data has one', () => {
    expect(map({ mapping }, { email: 'e' }, 'create', 'r1')).toEqual({ emailAddress: 'e', id: 'r1' });
    expect(map({ mapping: { key: 'id' } }, { key: 'k' }, 'create', 'r1')).toEqual({ id: 'k' });
  });

  it('treats a field called __proto__ as any other', () => {
    const result = createPayloadMapper({ mapping, schema: undefined, unknownFields: 'pass' }).map(
      'update',
      '{"__proto__":{"x":1}}',
      undefined,
    );
    expect(result).toEqual({ status: 'mapped', json: '{"__proto__":{"x":1}}' });
  });
});

describe('schema', () => {
  const schema = {
    type: 'object',
    required: ['emailAddress'],
    properties: { emailAddress: { type: 'string', format: 'email' }, id: { type: 'number' } },
  };

  it('is of the mapped payload, and names what is wrong', () => {
    const error = map({ mapping, schema }, { email: 'nobody' }, 'upsert');
    expect(error).toMatchObject({ kind: 'invalid', code: 'invalid_payload', message: 'emailAddress must match format "email"' });
    expect(map({ mapping, schema }, { email: 'a@example.com' }, 'upsert')).toEqual({ emailAddress: 'a@example.com' });
  });

  it('asks an update for no required field, but a create and an upsert', () => {
    expect(map({ schema }, { other: 1 }, 'update')).toEqual({ other: 1 });
    for (const kind of ['create', 'upsert'] as const) {
      expect(map({ schema }, { other: 1 }, kind)).toMatchObject({ message: 'emailAddress is required' });
    }
  });

  it('is not asked about the id that Sluice adds', () => {
    expect(map({ schema }, { emailAddress: 'a@example.com' }, 'create', 'r1')).toMatchObject({ id: 'r1' });
  });

  it('knows the known fields where there is no mapping', () => {
    expect(map({ schema, unknownFields: 'drop' }, { emailAddress: 'a@example.com', x: 1 })).toEqual({ emailAddress: 'a@example.com' });
  });
});
