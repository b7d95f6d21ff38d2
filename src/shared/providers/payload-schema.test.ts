import { formatNames } from 'ajv-formats/dist/formats.js';
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
    ['a pattern that cannot be run', { properties: { a: { pattern: '(?=a)b' } } }, 'properties.a.pattern'],
    ['a pattern that cannot be run of names', { patternProperties: { '(?=a)b': {} } }, 'patternProperties'],
    ['an asynchronous schema', { $async: true }, '$async'],
    ['what is no schema', { type: 'text' }, ''],
    ['a reference to nowhere', { $ref: '#/$defs/missing' }, ''],
    ['more than 64 KiB', { description: 'x'.repeat(70_000) }, ''],
  ])('refuses %s and says where', (_, schema, path) => {
    expect(checkPayloadSchema(schema)).toEqual([{ path, message: expect.any(String) }]);
  });

  it.each([40, 100_000])('refuses a schema nested %i deep', (levels) => {
    const schema = JSON.parse(`${'{"not":'.repeat(levels)}{}${'}'.repeat(levels)}`);
    expect(checkPayloadSchema(schema)).toEqual([{ path: '', message: 'is nested more than 32 deep' }]);
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

  it('tries patterns on texts of any length', () => {
    const whole = 'a'.repeat(65_000);
    const check = compilePayloadSchema({
      properties: { is: { pattern: '^a+$' }, not: { not: { pattern: 'b' } } },
      patternProperties: { '^a+$': { type: 'number' } },
    });
    expect(check.check({ is: whole, not: whole, [whole]: 1 })).toEqual([]);
    expect(check.check({ is: `${whole}b` })).toEqual([{ path: 'is', message: expect.stringContaining('pattern') }]);
    expect(check.check({ not: `${whole}b` })).toEqual([{ path: 'not', message: expect.any(String) }]);
    expect(check.check({ [whole]: 'text' })).toEqual([{ path: whole, message: 'must be number' }]);
  });

  it('says so where texts are too long for a pattern, whether it is to match or not', () => {
    const tooMuch = [{ path: '', message: 'has texts too long to try the schema’s patterns on' }];
    const check = compilePayloadSchema({
      properties: { is: { pattern: 'x.{1000}' }, not: { not: { pattern: 'x.{1000}' } }, list: { items: { pattern: 'x.{1000}' } } },
    });
    expect(check.check({ is: `x${'a'.repeat(40_000)}` })).toEqual(tooMuch);
    expect(check.check({ not: 'a'.repeat(40_000) })).toEqual(tooMuch);
    expect(check.check({ list: Array.from({ length: 40 }, () => 'a'.repeat(1_000)) })).toEqual(tooMuch);
    // Each payload anew.
    for (let times = 0; times < 3; times += 1) expect(check.check({ not: 'a'.repeat(20_000) })).toEqual([]);
  });

  it('takes a long text of any format in its stride', () => {
    // Of the format `url` as the plugin has it, a dozen of them take seconds each.
    const starts = [
      '',
      'http://',
      'https://',
      'ftp://',
      'http://a@',
      'https://a@',
      'P',
      '/',
      'a@',
      '{',
      'urn:',
      'a://[',
      '2020-01-01T',
      '::',
    ];
    const units = ['a', '1', ':', '@', '/', '.', '-', 'a.', 'a@', 'a@b.cc/', '%aa', '{a}', '1.', '~0', 'A+/='];
    const { check } = compilePayloadSchema({ properties: Object.fromEntries(formatNames.map((format) => [format, { format }])) });
    for (const start of starts) {
      for (const unit of units) {
        const text = `${start}${unit.repeat(60_000 / unit.length)} `;
        check(Object.fromEntries(formatNames.map((format) => [format, text])));
      }
    }
  });

  it('knows the same URLs as the plugin, but for a slash before the host’s @', () => {
    const { check } = compilePayloadSchema({ properties: { a: { format: 'url' } } });
    const isUrl = (a: string) => check({ a }).length === 0;
    const good = [
      'http://a.cc',
      'https://u:p@a.cc:8080/x?y#z',
      'ftp://ü.example',
      'http://u@v@a.cc',
      'http://a.cc/x@10.0.0.1',
      'http://8.8.8.8/',
    ];
    const bad = [
      '',
      'a.cc',
      'http://',
      'http://localhost',
      'http://10.0.0.1',
      'http://u:p@127.0.0.1',
      'http://a.cc/x y',
      'http://@a.cc',
      'http://a..cc',
    ];
    expect(good.filter((url) => !isUrl(url))).toEqual([]);
    expect(bad.filter(isUrl)).toEqual([]);
    expect(isUrl('http://localhost/x@a.cc')).toBe(false);
  });

  it('makes one check of a schema, however often it is read', () => {
    const again = () => JSON.parse(JSON.stringify(contact));
    const whole = compilePayloadSchema(contact);
    expect(checkPayloadSchema(again())).toEqual([]);
    expect(compilePayloadSchema(again())).toBe(whole);
    const partial = compilePayloadSchema(again(), { isPartial: true });
    expect(partial).not.toBe(whole);
    expect(compilePayloadSchema(again(), { isPartial: true })).toBe(partial);
    expect(compilePayloadSchema({ ...contact, title: 'another' })).not.toBe(whole);
  });

  it('forgets the one that was read longest ago', () => {
    const first = compilePayloadSchema({ title: 'first' });
    const second = compilePayloadSchema({ title: 'second' });
    for (let index = 0; index < 20; index += 1) {
      checkPayloadSchema({ title: `refused ${index}`, description: 'x'.repeat(60_000), $async: true });
      expect(compilePayloadSchema({ title: 'first' })).toBe(first);
    }
    expect(compilePayloadSchema({ title: 'second' })).not.toBe(second);
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
