import { describe, expect, it } from 'vitest';
import { createSealer, type Sealed } from './seal.ts';

const key = Buffer.alloc(32, 1);
const sealer = createSealer(key);

function textOf(sealed: Sealed): string {
  if (sealed.status !== 'sealed') throw new Error('not sealed');
  return sealed.text;
}

describe('createSealer', () => {
  it('opens what it sealed, for any text', () => {
    for (const plain of ['', 'secret', 'pässword 🔑', 'x'.repeat(8_192)]) {
      expect(sealer.open(textOf(sealer.seal(plain, 'crm/token')), 'crm/token')).toEqual({ status: 'opened', plain });
    }
  });

  it('never seals twice to the same text, and shows nothing of the plain one', () => {
    const [a, b] = [textOf(sealer.seal('secret', 'p')), textOf(sealer.seal('secret', 'p'))];
    expect(a).not.toBe(b);
    expect(a + b).not.toContain('secret');
  });

  it('does not open at another place', () => {
    const text = textOf(sealer.seal('secret', 'crm/auth_config.token'));
    expect(sealer.open(text, 'other/auth_config.token')).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('another provider'),
    });
  });

  it('says that the key is another', () => {
    const text = textOf(sealer.seal('secret', 'p'));
    expect(createSealer(Buffer.alloc(32, 2)).open(text, 'p')).toMatchObject({
      reason: expect.stringContaining('another SLUICE_ENCRYPTION_KEY'),
    });
  });

  it('does not open a text that was changed or cut, wherever', () => {
    const text = textOf(sealer.seal('secret', 'p'));
    const at = text.lastIndexOf(':') + 1;
    for (const index of [at, at + 10, at + 20, text.length - 4]) {
      const changed = `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`;
      expect(sealer.open(changed, 'p').status).toBe('failed');
      expect(sealer.open(text.slice(0, index), 'p').status).toBe('failed');
    }
    expect(sealer.open('secret', 'p').status).toBe('failed');
  });

  it('neither seals nor opens without a key, and says which setting is missing', () => {
    const keyless = createSealer(undefined);
    expect(keyless.seal('secret', 'p')).toEqual({ status: 'no_key' });
    const opened = keyless.open(textOf(sealer.seal('secret', 'p')), 'p');
    expect(opened).toMatchObject({ status: 'failed', reason: expect.stringContaining('SLUICE_ENCRYPTION_KEY is not set') });
  });

  it('takes no key of another length', () => {
    expect(() => createSealer(Buffer.alloc(16))).toThrow('32 bytes');
  });
});
