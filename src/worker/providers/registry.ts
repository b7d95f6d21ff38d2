/** From a provider's kind to the adapter that speaks its API. */
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import type { DialectFactory } from './exchange.ts';
import { createExchangeAdapter } from './exchange-adapter.ts';
import { createHttpAdapter } from './http/adapter.ts';
import { createHubspotDialect } from './hubspot/dialect.ts';
import { createOutreachDialect } from './outreach/dialect.ts';
import type { ProviderAdapter } from './provider.ts';
import { createSalesforceDialect } from './salesforce/dialect.ts';

export type AdapterFactory = (config: ProviderConfig, deps: AdapterDeps) => ProviderAdapter;

const speaking =
  (createDialect: DialectFactory): AdapterFactory =>
  (config, deps) =>
    createExchangeAdapter(config, deps, createDialect);

const factories: ReadonlyMap<string, AdapterFactory> = new Map([
  ['http', createHttpAdapter],
  ['salesforce', speaking(createSalesforceDialect)],
  ['hubspot', speaking(createHubspotDialect)],
  ['outreach', speaking(createOutreachDialect)],
]);

export const adapterKinds: readonly string[] = [...factories.keys()];

/** Undefined for a kind this worker does not know: one of a newer version may have registered it. */
export function createAdapter(config: ProviderConfig, deps: AdapterDeps): ProviderAdapter | undefined {
  return factories.get(config.kind)?.(config, deps);
}

/** Whether an adapter made for one configuration serves the other as well, so that its connections can be kept. */
export function canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean {
  return adapterPart(before) === adapterPart(after);
}

function adapterPart(config: ProviderConfig): string {
  const { name, account, kind, baseUrl, auth, maxConcurrency, timeoutMs, batch, mapping, unknownFields, schema, endpoints, options } =
    config;
  const parts = [name, account, kind, baseUrl, auth, maxConcurrency, timeoutMs, batch, mapping, unknownFields, schema, endpoints, options];
  return JSON.stringify(parts);
}
