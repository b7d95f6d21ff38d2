/** Creates that may make a record twice. */
import { describe, expect, it } from 'vitest';
import { answered, unsent } from '../../../../test/support/played-exchange.ts';
import { carryOutOne, created, external, fields, id, openSalesforce, otherId, refusal } from '../../../../test/support/salesforce-calls.ts';

describe('a create in doubt', () => {
  const inDoubt = { isInDoubt: true };
  const found = (...ids: string[]) => answered(200, { totalSize: ids.length, done: true, records: ids.map((Id) => ({ Id })) });

  it('is linked to what it made', async () => {
    const { outcome, requests } = await carryOutOne(openSalesforce(), inDoubt, [found(id), answered(204)]);
    const soql = "SELECT Id FROM Contact WHERE Email = 'ada@example.com' AND CreatedDate >= 2026-05-01T11:49:00Z LIMIT 2";
    expect(requests[0]?.[1]).toBe(`/query?q=${encodeURIComponent(soql)}`);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, fields]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('is made where nothing is found', async () => {
    const { outcome } = await carryOutOne(openSalesforce(), inDoubt, [found(), created]);
    expect(outcome).toMatchObject({ status: 'accepted', providerRecordId: id });
  });

  it('is not made a third time where several are found', async () => {
    const { outcome } = await carryOutOne(openSalesforce(), inDoubt, [found(id, otherId)]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'create_in_doubt', message: expect.stringContaining(otherId) } });
  });

  it('without a value to look for says what to configure', async () => {
    const { outcome } = await carryOutOne(openSalesforce(), { ...inDoubt, dataJson: '{"last_name":"L"}' }, []);
    expect(outcome).toMatchObject({
      error: { kind: 'invalid', code: 'create_in_doubt', message: expect.stringContaining('external_id_field') },
    });
  });

  it('stays undone where the question fails', async () => {
    expect((await carryOutOne(openSalesforce(), inDoubt, [unsent])).outcome).toMatchObject({ status: 'unsent' });
    expect((await carryOutOne(openSalesforce(), inDoubt, [answered(503, '')])).outcome).toMatchObject({ error: { kind: 'transient' } });
    expect((await carryOutOne(openSalesforce(), inDoubt, [answered(200, '{}')])).outcome).toMatchObject({ error: { kind: 'transient' } });
  });

  const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: x duplicates value on record with id: ${id}`));
  const madeAt = (time: string) => answered(200, { Id: id, CreatedDate: `2026-05-01T${time}.000+0000` });

  it('meets itself where the lookup is late', async () => {
    const { outcome, requests } = await carryOutOne(openSalesforce(), inDoubt, [found(), value, madeAt('12:00:01'), answered(204)]);
    expect(requests[2]).toEqual(['GET', `/sobjects/Contact/${id}?fields=Id,CreatedDate`, undefined]);
    expect(requests[3]).toEqual(['PATCH', `/sobjects/Contact/${id}`, fields]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('leaves alone what was there before its change was made, unless that is to be linked', async () => {
    const reported = await carryOutOne(openSalesforce(), inDoubt, [found(), value, madeAt('11:48:59')]);
    expect(reported.outcome).toMatchObject({ error: { code: 'duplicate_record', message: expect.stringContaining(id) } });
    const linked = await carryOutOne(openSalesforce({ on_duplicate: 'link' }), inDoubt, [
      found(),
      value,
      madeAt('11:48:59'),
      answered(204),
    ]);
    expect(linked.outcome).toMatchObject({ providerRecordId: id });
    const later = await carryOutOne(openSalesforce(), inDoubt, [found(), value, answered(503, '')]);
    expect(later.outcome).toMatchObject({ error: { kind: 'transient' } });
  });

  it('that is an upsert takes what has its e-mail, whenever that was made', async () => {
    const { requests } = await carryOutOne(openSalesforce(), { ...inDoubt, kind: 'upsert' }, [found(id), answered(204)]);
    expect(requests[0]?.[1]).not.toContain('CreatedDate');
  });

  it('by external id is simply repeated', async () => {
    expect((await carryOutOne(openSalesforce(external), inDoubt, [created])).outcome).toMatchObject({ providerRecordId: id });
  });
});

describe('a duplicate', () => {
  const detected = (name: string, ...found: readonly (readonly [string, string])[]) =>
    answered(400, [
      {
        errorCode: 'DUPLICATES_DETECTED',
        message: 'Use one of these records?',
        [name]: { matchResults: [{ matchRecords: found.map(([Id, type]) => ({ record: { Id, attributes: { type } } })) }] },
      },
    ]);

  it('is reported by default, naming the record', async () => {
    const { outcome } = await carryOutOne(openSalesforce(), {}, [detected('duplicateResut', [id, 'Contact'])]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record', message: expect.stringContaining(id) } });
  });

  it.each(['duplicateResut', 'duplicateResult'])('is linked where that is wanted (%s)', async (name) => {
    const { outcome, requests } = await carryOutOne(openSalesforce({ on_duplicate: 'link' }), {}, [
      detected(name, [id, 'Contact']),
      answered(204),
    ]);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, fields]);
    expect(outcome).toEqual({ status: 'accepted', providerStatus: 204, providerRecordId: id });
  });

  it('that is linked gets our id as well', async () => {
    const value = answered(400, refusal('DUPLICATE_VALUE', `duplicate value found: Key__c duplicates value on record with id: ${id}`));
    const { requests } = await carryOutOne(openSalesforce({ ...external, on_duplicate: 'link' }), {}, [value, answered(204)]);
    expect(requests[1]).toEqual(['PATCH', `/sobjects/Contact/${id}`, { ...fields, Ext__c: 'r/1' }]);
  });

  it('of two records, or of another sObject, is never linked', async () => {
    const dialect = openSalesforce({ on_duplicate: 'link' });
    const two = detected('duplicateResult', [id, 'Contact'], [otherId, 'Contact']);
    expect((await carryOutOne(dialect, {}, [two])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
    const lead = detected('duplicateResult', ['00Q000000000001AAA', 'Lead']);
    expect((await carryOutOne(dialect, {}, [lead])).outcome).toMatchObject({ error: { code: 'duplicate_record' } });
  });

  it('that an update would make is reported', async () => {
    const dialect = openSalesforce({ on_duplicate: 'link' });
    const call = { kind: 'update', providerRecordId: otherId } as const;
    const { outcome } = await carryOutOne(dialect, call, [detected('duplicateResult', [id, 'Contact'])]);
    expect(outcome).toMatchObject({ error: { kind: 'conflict', code: 'duplicate_record' } });
  });
});
