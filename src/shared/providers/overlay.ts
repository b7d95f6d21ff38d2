/** One configuration laid over another: fields over a stored provider (PATCH), and what a tenant has over its provider. Wire forms. */
import { type ProviderWire, readOnlyFields, type TenantWire } from './wire.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** The fields that are given replace those there are; null takes a field back. */
export function patchFields(stored: Fields, given: Fields): Fields {
  const changes = Object.fromEntries(Object.entries(given).filter(([field]) => !readOnlyFields.includes(field)));
  return Object.fromEntries(
    Object.entries({ ...withoutOtherForm(stored, changes), ...changes }).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** What a tenant's calls follow; of `batch` and `options` a tenant may have some members only. */
export function mergeTenant(provider: ProviderWire, own: TenantWire): Fields {
  const { batch, options, ...fields } = own;
  return {
    ...withoutOtherForm(provider, fields),
    ...fields,
    ...(batch ? { batch: { ...provider.batch, ...batch } } : {}),
    ...(options ? { options: { ...provider.options, ...options } } : {}),
  };
}

/** The two forms of limits exclude each other: giving one takes the other back. */
function withoutOtherForm(stored: Fields, given: Fields): Fields {
  const { limits, rate_limit, burst_limit, ...others } = stored;
  const isShortForm = given['rate_limit'] != null || given['burst_limit'] != null;
  if (isShortForm) return { ...others, rate_limit, burst_limit };
  return given['limits'] != null ? { ...others, limits } : stored;
}
