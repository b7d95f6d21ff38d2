import { describe, expect, it } from 'vitest';
import { createProviderKinds } from '../../shared/providers/kinds.ts';
import { parseProvider } from '../../shared/providers/schema.ts';
import type { AdapterDeps } from './adapter-deps.ts';
import { adapterKinds, canKeepAdapter, createAdapter } from './registry.ts';

function configOf(fields: Record<string, unknown> = {}) {
  const input = { name: 'crm', base_url: 'https://api.example.com', ...fields };
  const parsed = parseProvider(input, { kinds: createProviderKinds(), network: { allowPrivateNetworks: false } });
  if (parsed.status === 'invalid') throw new Error(JSON.stringify(parsed.errors));
  return { ...parsed.config, isPaused: false, version: 1, createdAt: '2026-01-01T00:00:00.000Z' };
}

const deps = {
  network: { allowPrivateNetworks: false },
  resolve: async () => [],
  clock: { nowMs: () => 0, monotonicMs: () => 0 },
} as unknown as AdapterDeps;

describe('the registry', () => {
  it('has an adapter for every kind that can be registered, and no other', async () => {
    expect([...adapterKinds].sort()).toEqual([...createProviderKinds().keys()].sort());
    for (const kind of adapterKinds) {
      const needs = kind === 'http' ? {} : { kind, auth_config: { type: 'bearer', token: 't' } };
      const adapter = createAdapter(configOf(needs), deps);
      expect(adapter?.maxBatch, kind).toBeGreaterThanOrEqual(1);
      await adapter?.close();
    }
    expect(createAdapter({ ...configOf(), kind: 'later' }, deps)).toBeUndefined();
  });

  it('knows which changes leave an adapter as it is', () => {
    const before = configOf();
    expect(
      canKeepAdapter(before, { ...configOf({ rate_limit: 5, coalesce: false, retry: { max_attempts: 1 } }), isPaused: true, version: 2 }),
    ).toBe(true);
    for (const fields of [
      { timeout_ms: 1 },
      { base_url: 'https://b.example.com' },
      { mapping: { a: 'b' } },
      { auth_config: { type: 'bearer', token: 't' } },
    ]) {
      expect(canKeepAdapter(before, configOf(fields))).toBe(false);
    }
    expect(canKeepAdapter(before, { ...before, account: 'crm:acme' })).toBe(false);
    expect(canKeepAdapter(before, { ...before, options: { on_duplicate: 'link' } })).toBe(false);
  });
});
