import { describe, expect, it } from 'vitest';
import { readFieldValue } from './field-values.ts';

const read = (value: unknown) => ({ status: 'read', value });

describe('an e-mail', () => {
  it('is trimmed and lower-cased', () => {
    expect(readFieldValue('email', '  Ada.Lovelace+X@Example.COM ', undefined)).toEqual(read('ada.lovelace+x@example.com'));
  });

  it.each(['ada', 'ada@', '@example.com', 'ada@example', 'a b@example.com', `${'a'.repeat(250)}@example.com`])('%s is none', (text) => {
    expect(readFieldValue('email', text, undefined)).toEqual({ status: 'unreadable', message: 'is not an e-mail address' });
  });

  it.each([[42], [['a@example.com']], [{}], [true]])('%j is none', (value) => {
    expect(readFieldValue('email', value, undefined)).toMatchObject({ message: expect.stringContaining('must be a text') });
  });
});

describe('a phone number', () => {
  it.each([
    ['+49 (0)30 901820', undefined, '+4930901820'],
    ['030 901820', 'DE', '+4930901820'],
    ['(212) 555-0123', 'US', '+12125550123'],
    ['+44 20 7946 0958', 'DE', '+442079460958'],
    ['+1 212 555 0123 x77', undefined, '+12125550123 ext. 77'],
  ])('%s in %s becomes %s', (value, country, expected) => {
    expect(readFieldValue('phone', value, country)).toEqual(read(expected));
  });

  it.each([
    ['call me', 'DE'],
    ['+1 212 555', undefined],
    ['+49 30 901820 and more', undefined],
    ['+999 123456789', undefined],
    ['12', 'DE'],
  ])('%s in %s cannot be read', (text, country) => {
    expect(readFieldValue('phone', text, country)).toEqual({ status: 'unreadable', message: 'is not a valid phone number' });
  });

  it('needs a country from somewhere', () => {
    expect(readFieldValue('phone', '030 901820', undefined)).toMatchObject({ message: expect.stringContaining('default_country') });
  });

  it('given as a JSON number is read as its digits', () => {
    expect(readFieldValue('phone', 2125550123, 'US')).toEqual(read('+12125550123'));
  });
});

it('null and empty texts clear', () => {
  for (const type of ['email', 'phone', 'text'] as const) expect(readFieldValue(type, null, undefined)).toEqual(read(null));
  expect(readFieldValue('email', ' ', undefined)).toEqual(read(null));
  expect(readFieldValue('phone', '', undefined)).toEqual(read(null));
});

it('a text is passed as it came', () => {
  for (const value of [' a ', '', 1, false, ['x'], { y: 1 }]) expect(readFieldValue('text', value, undefined)).toEqual(read(value));
});
