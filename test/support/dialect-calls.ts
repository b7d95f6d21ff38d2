/** Lets a dialect carry out calls at a played provider. */
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import type { Dialect, ExchangeReply, ExchangeRequest } from '../../src/worker/providers/exchange.ts';
import type { Call, CallOutcome, PreparedCall } from '../../src/worker/providers/provider.ts';
import { type Answering, createPlayedExchange } from './played-exchange.ts';

/** What a dialect reads of a configuration. */
export function dialectConfig(part: Partial<ProviderConfig> = {}): ProviderConfig {
  return {
    name: 'crm',
    account: 'crm',
    baseUrl: 'https://api.example.com',
    unknownFields: 'pass',
    options: {},
    ...part,
  } as ProviderConfig;
}

/** Accepted on 2026-05-01 at noon, UTC. */
export const acceptedAtMs = Date.parse('2026-05-01T12:00:00Z');

/** The nth operation of a queue. `data` becomes its text. */
export function dialectCall(fields: Partial<Call> & { readonly data?: unknown } = {}, n = 1): Call {
  const { data, ...part } = fields;
  const kind = part.kind ?? 'create';
  const operationId = `3.${acceptedAtMs.toString(36)}.${n.toString(36)}.crm`;
  return {
    operationId,
    idempotencyKey: operationId,
    kind,
    tenant: 'default',
    entity: 'contact',
    recordId: `r${n}`,
    timestampMs: acceptedAtMs,
    dataJson: kind === 'delete' || kind === 'read' ? undefined : JSON.stringify(data ?? {}),
    providerRecordId: undefined,
    isInDoubt: false,
    ...part,
  };
}

/** All that a canonical contact has. */
export const canonicalContact = {
  name: 'Ada King Lovelace',
  email: 'ADA@x.test',
  phone: '030 901820',
  mobile_phone: '+49 1512 3456789',
  company: 'Analytical',
  title: 'Countess',
  website: 'https://x.test',
  street: 'S 1',
  city: 'L',
  state: 'E',
  postal_code: '123',
  country: 'UK',
};

export interface Carried {
  readonly outcomes: readonly CallOutcome[];
  readonly requests: readonly ExchangeRequest[];
}

export async function carryOut(dialect: Dialect, calls: readonly Call[], answers: readonly ExchangeReply[] | Answering): Promise<Carried> {
  const exchange = createPlayedExchange(answers, acceptedAtMs);
  const outcomes = await dialect.carryOut(
    calls.map((call) => prepare(dialect, call)),
    exchange,
  );
  return { outcomes, requests: exchange.requests };
}

/** Of one call. */
export async function carryOutOne(dialect: Dialect, call: Call, answers: readonly ExchangeReply[] | Answering) {
  const { outcomes, requests } = await carryOut(dialect, [call], answers);
  return { outcome: outcomes[0] as CallOutcome, requests };
}

/** What a dialect or an adapter prepares; throws where it refuses. */
export function prepare(preparing: Pick<Dialect, 'prepare'>, call: Call): PreparedCall {
  const preparation = preparing.prepare(call);
  if (preparation.status === 'refused') throw new Error(`${preparation.error.code}: ${preparation.error.message}`);
  return preparation.prepared;
}
