/**
 * Sealing of credentials at rest: AES-256-GCM under one key for the deployment. A sealed text says which key made it, so that a
 * wrong key is told apart from a damaged text; and it is bound to its place (provider and field), so that a text copied to
 * another place does not open there.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

export type Sealed = { readonly status: 'sealed'; readonly text: string } | { readonly status: 'no_key' };

export type Opened = { readonly status: 'opened'; readonly plain: string } | { readonly status: 'failed'; readonly reason: string };

export interface Sealer {
  /** `place` must be given again, the same, to open the text. */
  seal(plain: string, place: string): Sealed;
  open(text: string, place: string): Opened;
}

/** 96 bits, the size GCM is made for (NIST SP 800-38D, 5.2.1.1); random, so good for 2^32 texts a key. */
const ivBytes = 12;
const tagBytes = 16;

/** `key`: 32 bytes; undefined where none is set: then nothing is sealed and nothing opens. */
export function createSealer(key: Uint8Array | undefined): Sealer {
  if (key && key.length !== 32) throw new Error(`an encryption key has 32 bytes, not ${key.length}`);
  const keyId = key && createHash('sha256').update('sluice key id').update(key).digest('hex').slice(0, 12);
  return {
    seal(plain, place) {
      if (!key) return { status: 'no_key' };
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(place));
      const body = Buffer.concat([iv, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return { status: 'sealed', text: `sealed:1:${keyId}:${body.toString('base64url')}` };
    },
    open(text, place) {
      const parts = /^sealed:1:([0-9a-f]{12}):([A-Za-z0-9_-]+)$/.exec(text);
      if (!parts) return failed('the stored credential is damaged');
      if (!key) return failed('SLUICE_ENCRYPTION_KEY is not set, and the credential is sealed');
      if (parts[1] !== keyId) return failed('the credential was sealed with another SLUICE_ENCRYPTION_KEY');
      return decrypt(Buffer.from(parts[2] as string, 'base64url'), key, place);
    },
  };
}

function decrypt(body: Buffer, key: Uint8Array, place: string): Opened {
  if (body.length < ivBytes + tagBytes) return failed('the stored credential is damaged');
  const tagAt = body.length - tagBytes;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, ivBytes), { authTagLength: tagBytes })
      .setAAD(Buffer.from(place))
      .setAuthTag(body.subarray(tagAt));
    const plain = Buffer.concat([decipher.update(body.subarray(ivBytes, tagAt)), decipher.final()]);
    return { status: 'opened', plain: plain.toString('utf8') };
  } catch {
    return failed('the stored credential is damaged, or belongs to another provider or field');
  }
}

function failed(reason: string): Opened {
  return { status: 'failed', reason };
}
