/** The Salesforce dialect and calls that it carries out at a played provider. */
import { expect } from 'vitest';
import { salesforceOptions } from '../../src/shared/providers/kinds/salesforce-options.ts';
import type { Dialect, ExchangeReply } from '../../src/worker/providers/exchange.ts';
import type { Call } from '../../src/worker/providers/provider.ts';
import { createSalesforceDialect } from '../../src/worker/providers/salesforce/dialect.ts';
import { carryOut, dialectCall } from './dialect-calls.ts';
import { type Answering, answered } from './played-exchange.ts';
import { providerConfig } from './provider-config.ts';

const base = '/services/data/v62.0';
export const id = '003000000000001AAA';
export const otherId = '003000000000002AAA';

export function openSalesforce(options: Record<string, unknown> = {}, part: Parameters<typeof providerConfig>[0] = {}): Dialect {
  return createSalesforceDialect(providerConfig({ kind: 'salesforce', options: salesforceOptions.parse(options), ...part }));
}

export const callOf = (part: Partial<Call> = {}): Call =>
  dialectCall({
    recordId: 'r/1',
    timestampMs: Date.parse('2026-05-01T11:59:00.900Z'),
    data: { last_name: 'Lovelace', email: 'ADA@example.com', title: null },
    ...part,
  });

/** `requests`: method, path below the API's version, body; `sent`: as they were. */
export async function carryOutAll(dialect: Dialect, calls: readonly Partial<Call>[], answers: readonly ExchangeReply[] | Answering) {
  const { outcomes, requests: sent } = await carryOut(dialect, calls.map(callOf), answers);
  return { outcomes, requests: sent.map(({ method, path, body }) => [method, path.replace(base, ''), body]), sent };
}

/** Of one call, with as many requests as there are answers. */
export async function carryOutOne(dialect: Dialect, call: Partial<Call>, answers: readonly ExchangeReply[]) {
  const { outcomes, ...rest } = await carryOutAll(dialect, [call], answers);
  expect(outcomes).toHaveLength(1);
  expect(rest.requests).toHaveLength(answers.length);
  return { outcome: outcomes[0], ...rest };
}

export const refusal = (errorCode: string, message = 'text') => [{ errorCode, message }];
export const fields = { LastName: 'Lovelace', Email: 'ada@example.com', Title: null };
export const created = answered(201, { id, success: true, errors: [] });
export const deleted = answered(404, refusal('ENTITY_IS_DELETED'));
export const external = { external_id_field: 'Ext__c' };
