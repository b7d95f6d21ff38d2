/**
 * Access tokens: opaque, and each good for `session_ms` after its last use. That they have ended is told to nobody until they are used.
 */
import { randomHex } from '../random-ids.ts';
import { headerOf } from '../request-reading.ts';
import type { SimulatedRequest } from '../simulated-provider.ts';
import type { Org } from './org.ts';
import { errors, type SalesforceError } from './salesforce-errors.ts';

export interface Sessions {
  issue(): string;
  /** Why the request's token is not taken; undefined for a good one, whose life begins anew. */
  refuse(request: SimulatedRequest): SalesforceError | undefined;
  end(token: string): void;
  endAll(): void;
}

/** Tokens remembered; the oldest are forgotten first. */
const maxRemembered = 10_000;

export function createSessions(org: Org): Sessions {
  const endsMs = new Map<string, number>();
  return {
    issue() {
      // Begins with the organization's id, as the real ones do.
      const token = `${org.settings.organization_id.slice(0, 15)}!${randomHex(40, org.random)}`;
      endsMs.set(token, org.now() + org.settings.session_ms);
      if (endsMs.size > maxRemembered) endsMs.delete(endsMs.keys().next().value as string);
      return token;
    },
    refuse(request) {
      const header = headerOf(request, 'authorization');
      if (header === '') return errors.sessionExpired;
      const token = /^(?:Bearer|OAuth) +(\S+)$/i.exec(header)?.[1];
      if (token === undefined) return errors.badAuthHeader;
      if ((endsMs.get(token) ?? 0) <= org.now()) return errors.sessionExpired;
      endsMs.set(token, org.now() + org.settings.session_ms);
      return undefined;
    },
    end: (token) => void endsMs.delete(token),
    endAll: () => endsMs.clear(),
  };
}
