/** API keys for tests: the key of `id` is `key-<id>`. */
import { createHash } from 'node:crypto';

/** The SHA-256 of a key, as settings hold it. */
export const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;

export const keyEntry = (id: string, scopes: readonly string[], tenant?: string) => ({
  id,
  hash: hashOf(`key-${id}`),
  scopes,
  ...(tenant ? { tenant } : {}),
});

/** The headers of a request with that key. */
export const by = (id: string) => ({ authorization: `Bearer key-${id}` });
