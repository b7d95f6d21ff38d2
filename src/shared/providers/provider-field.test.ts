import { expect, it } from 'vitest';
import { isTenantName, parseField, tenantField } from './provider-field.ts';

it.each(['acme', 'Acme GmbH', 'a/b', '{x}', ':version', 'ümläut', '😀'.repeat(64), '%2F', '..'])('comes back as it was: %s', (tenant) => {
  expect(isTenantName(tenant)).toBe(true);
  const field = tenantField('crm', tenant);
  expect(field).toMatch(/^crm\/[\x21-\x7e]+$/);
  expect(parseField(field)).toEqual({ name: 'crm', tenant });
});

it('has no tenant for a provider, and is nothing for the count of changes or a damaged one', () => {
  expect(parseField('crm')).toEqual({ name: 'crm', tenant: undefined });
  for (const field of [':version', 'crm/', '/acme', 'CRM/acme', 'crm/%zz']) expect(parseField(field), field).toBeUndefined();
});

it.each(['', 'a'.repeat(65), '😀'.repeat(65), '\ud800'])('is not for a name no tenant can have: %j', (tenant) => {
  expect(isTenantName(tenant)).toBe(false);
});
