/** Adapters of the kind `http`, and calls through them. */
import { onTestFinished } from 'vitest';
import type { AdapterDeps } from '../../src/worker/providers/adapter-deps.ts';
import { createHttpAdapter } from '../../src/worker/providers/http/adapter.ts';
import type { Call, CallOutcome, ProviderAdapter, SendGuard } from '../../src/worker/providers/provider.ts';
import { dialectCall, prepare } from './dialect-calls.ts';
import { parseConfig } from './simulators.ts';

/** None of these adapters has a token to share. */
const deps = {
  network: { allowPrivateNetworks: true },
  resolve: async (): Promise<never> => {
    throw Object.assign(new Error('no names here'), { code: 'ENOTFOUND' });
  },
  clock: { nowMs: () => Date.parse('2026-05-01T12:00:00Z'), monotonicMs: () => performance.now() },
} as unknown as AdapterDeps;

/** An adapter that closes with the test. */
export function openHttpAdapter(baseUrl: string, fields: Record<string, unknown> = {}, more: Partial<AdapterDeps> = {}): ProviderAdapter {
  const adapter = createHttpAdapter(parseConfig({ name: 'crm', base_url: baseUrl, ...fields }), { ...deps, ...more });
  onTestFinished(() => adapter.close());
  return adapter;
}

export function callOf(fields: Partial<Call> = {}): Call {
  const kind = fields.kind ?? 'update';
  return dialectCall({
    operationId: '3.abc.1.crm',
    idempotencyKey: '3.abc.1.crm',
    kind,
    timestampMs: Date.parse('2026-05-01T11:59:00Z'),
    dataJson: kind === 'delete' || kind === 'read' ? undefined : '{"a": 1}',
    ...fields,
  });
}

export const yes: SendGuard = { mayStart: () => true, nextRequest: async () => undefined };

export function send(adapter: ProviderAdapter, calls: readonly Call[], guard = yes): Promise<readonly CallOutcome[]> {
  const prepared = calls.map((call) => prepare(adapter, call));
  return new Promise((done) => {
    adapter.send(prepared, guard, done);
  });
}

export async function sendOne(adapter: ProviderAdapter, fields: Partial<Call> = {}): Promise<CallOutcome> {
  const [outcome, ...others] = await send(adapter, [callOf(fields)]);
  if (!outcome || others.length > 0) throw new Error('not one outcome');
  return outcome;
}
