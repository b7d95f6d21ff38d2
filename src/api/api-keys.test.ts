import { describe, expect, it } from 'vitest';
import { createKey } from '../../scripts/key.mjs';
import { hashOf } from '../../test/support/api-keys.ts';
import { ApiKeysError, anonymous, createAuthenticate, parseApiKeys } from './api-keys.ts';

const noFile = () => {
  throw new Error('no file is read here');
};

function problemOf(entries: unknown): string {
  try {
    parseApiKeys(JSON.stringify(entries), noFile);
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(ApiKeysError);
    return (error as Error).message;
  }
}

describe('createAuthenticate', () => {
  const entries = [
    { id: 'one', hash: hashOf('key-one'), scopes: ['ingest'] },
    { id: 'two', hash: hashOf('key-two'), scopes: ['read', 'admin'], tenant: 'acme' },
  ];
  const authenticate = createAuthenticate(parseApiKeys(JSON.stringify(entries), noFile));
  const by = (authorization?: string, apiKey?: string) => authenticate({ authorization, apiKey })?.id;

  it('recognizes a key in either header', () => {
    expect(by('Bearer key-one')).toBe('one');
    expect(by('bearer  key-two')).toBe('two');
    expect(by(undefined, 'key-two')).toBe('two');
    expect(authenticate({ authorization: undefined, apiKey: 'key-two' })).toMatchObject({
      tenant: 'acme',
      scopes: new Set(['read', 'admin']),
    });
  });

  it('recognizes nobody else', () => {
    for (const text of ['Bearer key-onE', 'Bearer ', 'Bearer', 'Basic key-one', 'key-one', `Bearer ${hashOf('key-one')}`])
      expect(by(text), text).toBeUndefined();
    expect(by(undefined, '')).toBeUndefined();
    expect(by()).toBeUndefined();
  });

  it('does not fall back to the other header where Authorization is wrong', () => {
    expect(by('Bearer wrong', 'key-one')).toBeUndefined();
  });

  it('lets everybody in where no keys are set', () => {
    expect(createAuthenticate([])({ authorization: undefined, apiKey: undefined })).toBe(anonymous);
  });

  it('recognizes what `npm run key` prints', () => {
    const { key, entry } = createKey({ id: 'made', scopes: ['read'], tenant: 'acme' });
    const made = createAuthenticate(parseApiKeys(JSON.stringify([entry]), noFile));
    expect(made({ authorization: `Bearer ${key}`, apiKey: undefined })).toMatchObject({ id: 'made', tenant: 'acme' });
    expect(JSON.stringify(entry)).not.toContain(key);
  });
});

describe('parseApiKeys', () => {
  const entry = { id: 'one', hash: hashOf('key-one'), scopes: ['ingest'] };

  it('reads a file where the text is a path', () => {
    const read = parseApiKeys('/etc/keys.json', (path) => (path === '/etc/keys.json' ? JSON.stringify([entry]) : ''));
    expect(read.map(({ caller }) => caller.id)).toEqual(['one']);
  });

  it.each([
    ['no list', { id: 'x' }],
    ['no hash', [{ ...entry, hash: 'key-one' }]],
    ['no scope', [{ ...entry, scopes: [] }]],
    ['an unknown scope', [{ ...entry, scopes: ['write'] }]],
    ['an unknown member', [{ ...entry, key: 'key-one' }]],
    ['an id twice', [entry, entry]],
    ['an empty tenant', [{ ...entry, tenant: '' }]],
    ['no object', [null]],
  ])('refuses %s', (_, entries) => {
    expect(problemOf(entries)).toMatch(/^SLUICE_API_KEYS: /);
  });

  it('shows no key in a problem', () => {
    expect(problemOf([{ ...entry, hash: 'hunter2' }, { hunter2: 1 }])).not.toContain('hunter2');
    expect(() => parseApiKeys('[{"key": hunter2}]', noFile)).toThrow(/^SLUICE_API_KEYS: expected JSON$/);
  });
});
