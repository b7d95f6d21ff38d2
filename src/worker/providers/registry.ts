/** From a provider's kind to the adapter that speaks its API. */
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { createHttpAdapter } from './http/adapter.ts';
import type { ProviderAdapter } from './provider.ts';

export type AdapterFactory = (config: ProviderConfig, deps: AdapterDeps) => ProviderAdapter;

const factories: ReadonlyMap<string, AdapterFactory> = new Map([['http', createHttpAdapter]]);

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
  const { name, kind, baseUrl, auth, maxConcurrency, timeoutMs, batch, mapping, unknownFields, schema, endpoints } = config;
  return JSON.stringify([name, kind, baseUrl, auth, maxConcurrency, timeoutMs, batch, mapping, unknownFields, schema, endpoints]);
}
