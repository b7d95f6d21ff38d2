/** The fields of the hash `providers`: `<name>` for a provider, `<name>/<tenant, percent-encoded>` for what a tenant has of its own there. */
import { providerNameShape } from '../domain/operation.ts';
import { changesField } from '../redis/versioned-records.ts';

const maxTenantLength = 64;

/** As operations have them: 1 to 64 characters. A lone surrogate would reach Redis as another character. */
export function isTenantName(tenant: string): boolean {
  return tenant !== '' && tenant.length <= 2 * maxTenantLength && [...tenant].length <= maxTenantLength && !/\p{Surrogate}/u.test(tenant);
}

/** What the fields of a provider's tenants begin with. */
export function tenantFieldStart(name: string): string {
  return `${name}/`;
}

export function tenantField(name: string, tenant: string): string {
  return tenantFieldStart(name) + encodeURIComponent(tenant);
}

/** Undefined for what is no such field; `tenant` undefined for a provider's own. */
export function parseField(field: string): { readonly name: string; readonly tenant: string | undefined } | undefined {
  const slash = field.indexOf('/');
  if (slash < 0) return field === changesField ? undefined : { name: field, tenant: undefined };
  const name = field.slice(0, slash);
  const tenant = decode(field.slice(slash + 1));
  return providerNameShape.test(name) && tenant !== undefined && isTenantName(tenant) ? { name, tenant } : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
