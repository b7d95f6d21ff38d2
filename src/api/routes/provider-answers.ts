/** What the routes of providers and of their tenants answer alike. */
import { ProblemError } from '../../shared/domain/problem.ts';
import type { StoredProvider, Written } from '../../shared/providers/store.ts';
import type { Caller } from '../api-keys.ts';
import { invalid } from '../route.ts';
import { etagOf } from '../versions.ts';

export function describeProvider(stored: StoredProvider) {
  return stored.status === 'ready' ? stored.view : { name: stored.name, unreadable: stored.reason };
}

export function unknownProvider(name: string): ProblemError {
  return new ProblemError('unknown_provider', { status: 404, detail: `no provider ${name.slice(0, 64)} is registered` });
}

export function found<T>(stored: T | undefined, name: string): T {
  if (stored === undefined) throw unknownProvider(name);
  return stored;
}

export function noKey(): ProblemError {
  return invalid([{ path: 'auth_config', message: 'credentials cannot be stored: SLUICE_ENCRYPTION_KEY is not set' }]);
}

/** Where there is none, a version was asked for all the same. */
export function changedMeanwhile(what: string, version: number): ProblemError {
  return new ProblemError('conflict', { detail: version === 0 ? `there is no ${what}` : `${what} exists, at version ${version}` });
}

/** None where what is stored cannot be read. */
export function etagHeader(stored: StoredProvider): Record<string, string> {
  return stored.status === 'ready' ? { etag: etagOf(stored.view.version) } : {};
}

/** The stored provider. Throws the problem where it was not written. */
export function written(outcome: Written, name: string): StoredProvider {
  switch (outcome.status) {
    case 'created':
    case 'replaced':
      return outcome.provider;
    case 'invalid':
      throw invalid(outcome.errors);
    case 'not_found':
      throw unknownProvider(name);
    case 'no_key':
      throw noKey();
    case 'conflict':
      throw changedMeanwhile(`provider ${name}`, outcome.version);
  }
}

/** Providers are everybody's: a key of one tenant must not change them. */
export function mayChangeProviders(caller: Caller): void {
  if (caller.tenant !== undefined) throw new ProblemError('forbidden', { detail: 'a key bound to a tenant cannot change providers' });
}
