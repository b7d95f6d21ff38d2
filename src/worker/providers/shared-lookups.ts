/**
 * Lookups of names, one under way for each name, its outcome shared by all who asked meanwhile. `getaddrinfo` takes a thread for as long as the
 * name servers keep silent, ten seconds and more, and there are few (`scripts/node-flags.mjs`): with one for each connection, a provider whose
 * name servers are dead would take them all, and cut off every other. Nothing is kept once it has come, so that the resolver alone says how long
 * a name is good.
 */
import type { Resolve } from './ssrf-guard.ts';

export function shareLookups(resolve: Resolve): Resolve {
  const underWay = new Map<string, ReturnType<Resolve>>();
  return (hostname) => {
    const begun = underWay.get(hostname);
    if (begun) return begun;
    const lookup = resolve(hostname).finally(() => underWay.delete(hostname));
    underWay.set(hostname, lookup);
    return lookup;
  };
}
