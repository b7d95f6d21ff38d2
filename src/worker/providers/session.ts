/** What follows from credentials, made once for as long as somebody has them. */
import type { Credentials } from './auth.ts';
import { createMask, type Mask } from './masking.ts';

export interface Session {
  /** Of every call; names and values in turn. */
  readonly headers: readonly string[];
  /** Of calls with a body. */
  readonly bodyHeaders: readonly string[];
  readonly mask: Mask;
}

export function createSessions(): (credentials: Credentials) => Session {
  const sessions = new WeakMap<Credentials, Session>();
  return (credentials) => {
    let session = sessions.get(credentials);
    if (!session) {
      const headers = ['accept', 'application/json', 'user-agent', 'sluice', ...credentials.headers];
      session = { headers, bodyHeaders: ['content-type', 'application/json', ...headers], mask: createMask(credentials.secrets) };
      sessions.set(credentials, session);
    }
    return session;
  };
}
