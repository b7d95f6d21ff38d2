/** Provider configurations as the engine and the adapters get them. */
import type { ProviderConfig } from '../../src/shared/providers/config.ts';

/** A provider configuration with nothing in the way; a test says what it is about. */
export function providerConfig(part: Partial<ProviderConfig> = {}): ProviderConfig {
  return {
    name: 'crm',
    account: part.name ?? 'crm',
    kind: 'http',
    baseUrl: 'http://127.0.0.1:1',
    auth: { type: 'none' },
    limits: [],
    maxConcurrency: 50,
    timeoutMs: 10_000,
    retry: retrying(),
    breaker: { failureRate: 1, minCalls: 1_000_000, windowMs: 10_000, openMs: 1_000 },
    batch: undefined,
    coalesce: true,
    conflict: 'record',
    mapping: undefined,
    unknownFields: 'pass',
    schema: undefined,
    endpoints: undefined,
    options: {},
    isPaused: false,
    version: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...part,
  };
}

/** Retries that follow at once and hardly ever give up. */
export function retrying(part: Partial<ProviderConfig['retry']> = {}): ProviderConfig['retry'] {
  return { maxAttempts: 8, baseMs: 1, maxMs: 5, maxAgeMs: 86_400_000, ...part };
}
