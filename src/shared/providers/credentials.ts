/** Credentials at rest: each secret of an `auth_config` sealed by itself, bound to the field of the hash it lies in and to its own name. */
import { type AuthWire, mapSecrets, secretFields } from './auth-wire.ts';
import type { Sealer } from './seal.ts';

export interface Credentials {
  /** Undefined where there are secrets and no key to seal them with. */
  seal(auth: AuthWire, field: string): AuthWire | undefined;
  /** In the clear, or why not. */
  open(auth: AuthWire, field: string): AuthWire | string;
}

export function createCredentials(sealer: Sealer): Credentials {
  const place = (field: string, name: string) => `${field}/auth_config.${name}`;
  return {
    seal(auth, field) {
      let isSealed = true;
      const sealed = mapSecrets(auth, (secret, name) => {
        const result = sealer.seal(secret, place(field, name));
        if (result.status === 'sealed') return result.text;
        isSealed = false;
        return '';
      });
      return isSealed ? sealed : undefined;
    },
    open(auth, field) {
      if (!Object.hasOwn(secretFields, auth?.type)) return 'the stored configuration is damaged';
      let problem: string | undefined;
      const opened = mapSecrets(auth, (sealed, name) => {
        const result = sealer.open(sealed, place(field, name));
        if (result.status === 'opened') return result.plain;
        problem ??= result.reason;
        return '';
      });
      return problem ?? opened;
    },
  };
}
