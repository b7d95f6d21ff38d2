/** The simulators of all kinds of providers, in the test's own process, and adapters that call them. */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import { createProviderKinds } from '../../src/shared/providers/kinds.ts';
import { parseProvider } from '../../src/shared/providers/schema.ts';
import type { Sealer } from '../../src/shared/providers/seal.ts';
import type { RedisClient } from '../../src/shared/redis/connection.ts';
import type { Keys } from '../../src/shared/redis/keys.ts';
import { createMounts } from '../../src/simulator/mounts.ts';
import { createSimulatorServer } from '../../src/simulator/server.ts';
import type { Call, CallGuard, CallOutcome, ProviderAdapter } from '../../src/worker/providers/provider.ts';
import { createAdapter } from '../../src/worker/providers/registry.ts';

export interface SimulatorMount {
  readonly url: string;
  /** Its control routes. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape of an answer is what the tests are about.
  control(method: string, path: string, body?: unknown): Promise<any>;
  /** Replaces its faults. */
  faults(faults: Readonly<Record<string, unknown>>): Promise<void>;
}

export interface Simulators {
  at(mount: string): SimulatorMount;
  stop(): Promise<void>;
}

export async function startSimulators(): Promise<Simulators> {
  const server = createSimulatorServer(createMounts({ keepCalls: 10_000 }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    at(mount) {
      const url = `http://127.0.0.1:${port}${mount}`;
      const control = (method: string, path: string, body?: unknown) => askControl(url, method, path, body);
      return { url, control, faults: async (faults) => void (await control('PUT', '/faults', faults)) };
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function askControl(url: string, method: string, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(`${url}/_control${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

export interface AdapterParts {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly sealer: Sealer;
}

/** A configuration as the API would accept it. */
export function parseConfig(wire: Readonly<Record<string, unknown>>): ProviderConfig {
  const parsed = parseProvider(wire, { kinds: createProviderKinds(), network: { allowPrivateNetworks: true } });
  if (parsed.status === 'invalid') throw new Error(JSON.stringify(parsed.errors));
  return { ...parsed.config, isPaused: false, version: 1, createdAt: '2026-01-01T00:00:00.000Z' };
}

/** One worker's adapter. */
export function openAdapter(config: ProviderConfig, { redis, keys, sealer }: AdapterParts): ProviderAdapter {
  const adapter = createAdapter(config, {
    network: { allowPrivateNetworks: true },
    resolve: async () => [],
    clock: { nowMs: Date.now, monotonicMs: () => performance.now() },
    createId: randomUUID,
    redis,
    keys,
    sealer,
  });
  if (!adapter) throw new Error(`no adapter for the kind ${config.kind}`);
  return adapter;
}

export function aCall(part: Partial<Call> & Pick<Call, 'kind' | 'recordId'> & { data?: unknown }): Call {
  const { data, ...rest } = part;
  const operationId = randomUUID();
  return {
    operationId,
    idempotencyKey: operationId,
    tenant: 'default',
    entity: 'contact',
    timestampMs: Date.now(),
    dataJson: data === undefined ? undefined : JSON.stringify(data),
    providerRecordId: undefined,
    isInDoubt: false,
    ...rest,
  };
}

const always: CallGuard = { mayStart: () => true };
const everyRequest = { ...always, nextRequest: async () => always };

/** One `send` of all the calls; those that the adapter refuses before it calls are `failed` as they would end. */
export async function perform(adapter: ProviderAdapter, calls: readonly Call[]): Promise<readonly CallOutcome[]> {
  const preparations = calls.map((call) => adapter.prepare(call));
  const prepared = preparations.flatMap((each) => (each.status === 'prepared' ? [each.prepared] : []));
  const sent =
    prepared.length === 0 ? [] : await new Promise<readonly CallOutcome[]>((resolve) => void adapter.send(prepared, everyRequest, resolve));
  const outcomes = [...sent];
  return preparations.map((each) =>
    each.status === 'prepared' ? (outcomes.shift() as CallOutcome) : { status: 'failed', error: each.error },
  );
}
