import { describe, expect, it } from 'vitest';
import type { OperationKind } from '../../shared/domain/operation.ts';
import { type CanonicalDefaults, createCanonicalMapper } from './canonical-mapper.ts';
import type { Call } from './provider.ts';

const defaults: CanonicalDefaults = {
  first_name: { field: 'FirstName', type: 'text' },
  last_name: { field: 'LastName', type: 'text' },
  email: { field: 'Email', type: 'email' },
  phone: { field: 'Phone', type: 'phone' },
  mobile_phone: { field: 'Numbers', type: 'phone', isList: true },
  home_phone: { field: 'Numbers', type: 'phone', isList: true },
  company: { field: null, type: 'text', why: 'a reference there' },
};

type Rules = Partial<Parameters<typeof createCanonicalMapper>[0]> & { defaults?: CanonicalDefaults; country?: string };

function map(data: unknown, { defaults: own = defaults, country = 'DE', ...rules }: Rules = {}, kind: OperationKind = 'update') {
  const mapper = createCanonicalMapper({ mapping: undefined, schema: undefined, unknownFields: 'pass', ...rules }, own, { country });
  const dataJson = data === undefined ? undefined : typeof data === 'string' ? data : JSON.stringify(data);
  const mapped = mapper.map({ kind, dataJson } as Call);
  return mapped.status === 'mapped' ? { ...mapped.fields } : mapped.error;
}

describe('the defaults', () => {
  it('name the fields, and only what was given is sent', () => {
    expect(map({ first_name: 'Ada', email: ' ADA@example.com', phone: '030 901820', company: 'Analytical' })).toEqual({
      FirstName: 'Ada',
      Email: 'ada@example.com',
      Phone: '+4930901820',
    });
    expect(map(undefined)).toEqual({});
  });

  it('keep null as null', () => {
    expect(map({ first_name: null, email: null, phone: null, mobile_phone: null })).toEqual({
      FirstName: null,
      Email: null,
      Phone: null,
      Numbers: null,
    });
  });

  it('join the fields that share a list', () => {
    const data = { mobile_phone: ['030 901820', '+4930901820'], home_phone: '030 901821' };
    expect(map(data)).toEqual({ Numbers: ['+4930901820', '+4930901821'] });
    expect(map({ mobile_phone: null, home_phone: '030 901821' })).toEqual({ Numbers: ['+4930901821'] });
    expect(map({ mobile_phone: [] })).toEqual({ Numbers: null });
  });
});

describe('a mapping', () => {
  it('wins over the defaults field by field, and keeps the type', () => {
    const mapping = { email: 'Work_Email__c', first_name: null, company: 'Company__c', stage: 'Stage__c' };
    expect(map({ email: 'A@example.com', first_name: 'Ada', last_name: 'L', company: 'C', stage: 's' }, { mapping })).toEqual({
      Work_Email__c: 'a@example.com',
      LastName: 'L',
      Company__c: 'C',
      Stage__c: 's',
    });
  });

  it('may send a value into a list', () => {
    expect(map({ phone: '030 901820' }, { mapping: { phone: 'Numbers' } })).toEqual({ Numbers: ['+4930901820'] });
  });
});

describe('a field that nobody knows', () => {
  it('is passed as it came, dropped, or refused by name', () => {
    const data = { email: 'a@example.com', Custom__c: [1] };
    expect(map(data)).toEqual({ Email: 'a@example.com', Custom__c: [1] });
    expect(map(data, { unknownFields: 'drop' })).toEqual({ Email: 'a@example.com' });
    expect(map(data, { unknownFields: 'refuse' })).toMatchObject({
      kind: 'invalid',
      code: 'unknown_field',
      message: 'not known: Custom__c',
    });
  });

  it('may be called as the CRM calls it, and never displaces a mapped one', () => {
    expect(map({ Email: 'raw' })).toEqual({ Email: 'raw' });
    expect(map({ Email: 'raw', email: 'a@example.com' })).toEqual({ Email: 'a@example.com' });
    expect(map({ email: 'a@example.com', Email: 'raw' })).toEqual({ Email: 'a@example.com' });
  });

  it('may be called __proto__', () => {
    const mapper = createCanonicalMapper({ mapping: undefined, schema: undefined, unknownFields: 'pass' }, defaults, {
      country: undefined,
    });
    const mapped = mapper.map({ kind: 'update', dataJson: '{"__proto__":1,"constructor":2}' } as Call);
    expect(JSON.stringify(mapped.status === 'mapped' && mapped.fields)).toBe('{"__proto__":1,"constructor":2}');
  });
});

describe('a name', () => {
  it.each([
    ['Ada Lovelace', { FirstName: 'Ada', LastName: 'Lovelace' }],
    ['  Ada  King   Lovelace ', { FirstName: 'Ada  King', LastName: 'Lovelace' }],
    ['Ada', { FirstName: null, LastName: 'Ada' }],
    ['', { FirstName: null, LastName: null }],
    [null, { FirstName: null, LastName: null }],
  ])('%j is split at its last space', (name, expected) => {
    expect(map({ name })).toEqual(expected);
  });

  it('without a space clears nothing in a create', () => {
    expect(map({ name: 'Ada' }, {}, 'create')).toEqual({ LastName: 'Ada' });
  });

  it('gives way to its parts', () => {
    expect(map({ name: 'Ada Lovelace', last_name: 'King' })).toEqual({ LastName: 'King' });
    expect(map({ name: 'Ada Lovelace', first_name: null })).toEqual({ FirstName: null });
  });

  it('is left whole where there is a field for it', () => {
    expect(map({ name: 'Ada Lovelace' }, { mapping: { name: 'FullName__c' } })).toEqual({ FullName__c: 'Ada Lovelace' });
    expect(map({ name: 'Analytical' }, { defaults: { name: { field: 'Name', type: 'text' } } })).toEqual({ Name: 'Analytical' });
  });

  it('follows the mapping of its parts', () => {
    expect(map({ name: 'Ada Lovelace' }, { mapping: { first_name: null, last_name: 'Surname' } })).toEqual({ Surname: 'Lovelace' });
  });
});

describe('what is wrong', () => {
  it('is named, all of it', () => {
    const error = map({ email: 'nobody', phone: 'call me' });
    expect(error).toEqual({
      kind: 'invalid',
      code: 'invalid_payload',
      message: 'email is not an e-mail address; phone is not a valid phone number',
    });
  });

  it('never shows the value', () => {
    expect(JSON.stringify(map({ email: 's3cret' }))).not.toContain('s3cret');
  });

  it.each(['[1]', 'null', '"x"', '{'])('is a payload of %s', (json) => {
    expect(map(json)).toMatchObject({ code: 'invalid_payload', message: 'the payload must be a JSON object' });
  });
});

describe('a schema', () => {
  const schema = { required: ['Email'], properties: { Email: { type: 'string' }, Rank__c: { type: 'integer' } } };

  it('is of the mapped fields, and asks an update for none', () => {
    expect(map({ email: 'a@example.com' }, { schema }, 'create')).toEqual({ Email: 'a@example.com' });
    expect(map({ last_name: 'L' }, { schema }, 'create')).toMatchObject({ code: 'invalid_payload', message: 'Email is required' });
    expect(map({ last_name: 'L' }, { schema }, 'update')).toEqual({ LastName: 'L' });
    expect(map({ Rank__c: 'high' }, { schema })).toMatchObject({ message: 'Rank__c must be integer' });
  });

  it('makes its fields known where there is no mapping', () => {
    expect(map({ Rank__c: 1, email: 'a@example.com' }, { schema, unknownFields: 'refuse' })).toEqual({
      Rank__c: 1,
      Email: 'a@example.com',
    });
  });
});
