import { describe, expect, it } from 'vitest';
import { canonicalContact, dialectCall, dialectConfig } from '../../../../test/support/dialect-calls.ts';
import type { ProviderConfig } from '../../../shared/providers/config.ts';
import { createHubspotDialect } from './dialect.ts';
import type { Item } from './step.ts';

function properties(data: unknown, part: Partial<ProviderConfig> = {}, entity = 'contact') {
  const dialect = createHubspotDialect(dialectConfig({ options: { default_country: 'DE' }, ...part }));
  const preparation = dialect.prepare(dialectCall({ data, entity }));
  if (preparation.status === 'refused') return preparation.error;
  return { ...(preparation.prepared.body as Item).properties };
}

describe('properties', () => {
  it('of a canonical contact', () => {
    const contact = { ...canonicalContact, email: ' ADA@x.test ', contact_type: 'Prospect' };
    expect(properties(contact)).toEqual({
      firstname: 'Ada King',
      lastname: 'Lovelace',
      email: 'ada@x.test',
      phone: '+4930901820',
      mobilephone: '+4915123456789',
      company: 'Analytical',
      jobtitle: 'Countess',
      website: 'https://x.test',
      address: 'S 1',
      city: 'L',
      state: 'E',
      zip: '123',
      country: 'UK',
      lifecyclestage: 'salesqualifiedlead',
    });
  });

  it('of companies and deals', () => {
    expect(properties({ name: 'A', domain: 'a.test', postal_code: '1' }, {}, 'company')).toEqual({ name: 'A', domain: 'a.test', zip: '1' });
    expect(properties({ name: 'A', amount: 12.5, stage: 's' }, {}, 'deal')).toEqual({ dealname: 'A', amount: '12.5', dealstage: 's' });
  });

  it('are texts, whatever they were', () => {
    const data = { a: true, b: false, c: 1.5, d: null, e: ['x', 2], f: '2026-05-01T00:00:00Z', g: [], h: '' };
    expect(properties(data)).toEqual({ a: 'true', b: 'false', c: '1.5', d: '', e: 'x;2', f: '2026-05-01T00:00:00Z', g: '', h: '' });
  });

  it('that have no text are named', () => {
    expect(properties({ a: {}, b: [[1]], c: 1 })).toMatchObject({ code: 'invalid_payload', message: expect.stringMatching(/^a, b /) });
  });

  it.each([
    ['lead', 'lead'],
    ['customer', 'customer'],
    ['vendor', 'other'],
    ['marketingqualifiedlead', 'marketingqualifiedlead'],
    [null, ''],
  ])('the contact type %s is the stage %s', (type, stage) => {
    expect(properties({ contact_type: type })).toEqual({ lifecyclestage: stage });
  });

  it('follow the provider’s mapping', () => {
    const mapping = { email: 'work_email', contact_type: null, tier: 'customer_tier' };
    expect(properties({ email: 'A@x.test', contact_type: 'lead', tier: 1 }, { mapping })).toEqual({
      work_email: 'a@x.test',
      customer_tier: '1',
    });
  });

  it('may be called anything', () => {
    const preparation = createHubspotDialect(dialectConfig()).prepare({ ...dialectCall(), dataJson: '{"__proto__": "x"}' });
    expect(preparation.status === 'prepared' && JSON.stringify((preparation.prepared.body as Item).properties)).toBe('{"__proto__":"x"}');
  });
});
