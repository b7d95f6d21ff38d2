import { describe, expect, it } from 'vitest';
import { canonicalContact, carryOutOne, dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import { answered } from '../../../../test/support/played-exchange.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { createOutreachDialect } from './dialect.ts';

describe('the mapping', () => {
  const attributesOf = async (data: unknown, part: Partial<ProviderConfig> = {}) => {
    const dialect = createOutreachDialect(
      dialectConfig({ kind: 'outreach', options: { external_id: false, default_country: 'DE' }, ...part }),
    );
    const { requests } = await carryOutOne(dialect, dialectCall({ data }), [answered(201, { data: { type: 'prospect', id: 1 } })]);
    return (requests[0]?.body as { data: { attributes: unknown } } | undefined)?.data.attributes;
  };

  it('of a canonical contact', async () => {
    const contact = { ...canonicalContact, mobile_phone: ['+49 1512 3456789'], contact_type: 'lead', tags: 'vip' };
    expect(await attributesOf(contact)).toEqual({
      firstName: 'Ada King',
      lastName: 'Lovelace',
      emails: ['ada@x.test'],
      workPhones: ['+4930901820'],
      mobilePhones: ['+4915123456789'],
      company: 'Analytical',
      title: 'Countess',
      websiteUrl1: 'https://x.test',
      addressStreet: 'S 1',
      addressCity: 'L',
      addressState: 'E',
      addressZip: '123',
      addressCountry: 'UK',
      tags: ['vip'],
    });
  });

  it('takes Outreach’s own names, and the provider’s mapping', async () => {
    expect(await attributesOf({ otherPhones: '+4930901820', custom1: 'x' })).toEqual({ otherPhones: ['+4930901820'], custom1: 'x' });
    expect(await attributesOf({ contact_type: 'lead' }, { mapping: { contact_type: 'custom2' } })).toEqual({ custom2: 'lead' });
  });
});
