/**
 * The id of an operation that routes sent to several providers. It is made of its children's ids, which lie in one shard and belong to one
 * tenant, so nothing has to be stored for it: `auto.<shard>.<ms>.<rank>.<provider>[.<ms>.<rank>.<provider> ...][.<tenant>]`, the parts
 * written as in the children's own ids.
 */
import { formatOperationId, type Place, parseOperationId } from './operation.ts';

/** In place of a provider's name: routes choose. */
export const autoProvider = 'auto';
/** Of one operation. With names of 64 characters each the id stays under `maxParentIdLength`. */
export const maxChildren = 16;
export const maxParentIdLength = 2_048;

/** At least one place, all of one shard and tenant, each of another provider. */
export function formatParentId(places: readonly Place[]): string {
  const ids = places.map((place) => formatOperationId(place).split('.'));
  const [shard, , , , tenant] = ids[0] as string[];
  const parts = [autoProvider, shard, ...ids.flatMap(([, ms, rank, provider]) => [ms, rank, provider])];
  return (tenant === undefined ? parts : [...parts, tenant]).join('.');
}

/** Undefined when the text is no parent's id, as `formatParentId` would write it. */
export function parseParentId(id: string): readonly Place[] | undefined {
  if (id.length > maxParentIdLength || !id.startsWith(`${autoProvider}.`)) return undefined;
  const [, shard, ...parts] = id.split('.');
  const hasTenant = parts.length % 3 === 1;
  const tenant = hasTenant ? `.${parts.pop()}` : '';
  if (parts.length === 0 || parts.length % 3 !== 0 || parts.length > 3 * maxChildren) return undefined;
  const places: Place[] = [];
  for (let at = 0; at < parts.length; at += 3) {
    const place = parseOperationId(`${shard}.${parts.slice(at, at + 3).join('.')}${tenant}`);
    if (!place) return undefined;
    places.push(place);
  }
  const isDistinct = new Set(places.map(({ queue }) => queue)).size === places.length;
  return isDistinct && formatParentId(places) === id ? places : undefined;
}
