/** Adapters of several requests on a real Redis, with a dialect and a provider that the test plays. */
import { randomBytes, randomUUID } from 'node:crypto';
import { beforeEach, onTestFinished } from 'vitest';
import type { ProviderError } from '../../src/shared/domain/provider-error.ts';
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import { createSealer } from '../../src/shared/providers/seal.ts';
import type { RedisClient } from '../../src/shared/redis/connection.ts';
import { createKeys } from '../../src/shared/redis/keys.ts';
import type { Dialect, Exchange, ExchangeReply, ExchangeRequest } from '../../src/worker/providers/exchange.ts';
import { createExchangeAdapter } from '../../src/worker/providers/exchange-adapter.ts';
import type {
  Budget,
  Call,
  CallGuard,
  CallOutcome,
  PreparedCall,
  ProviderAdapter,
  SendGuard,
} from '../../src/worker/providers/provider.ts';
import { dialectCall } from './dialect-calls.ts';
import { accepted } from './engine.ts';
import { providerConfig } from './provider-config.ts';
import { useRedis } from './use-redis.ts';

export type CarryOut = Dialect['carryOut'];

/** Registers the hooks; what a test opens is closed at its end. */
export function useExchangeAdapters() {
  const keys = createKeys('exchange:');
  const sealer = createSealer(randomBytes(32));
  let redis: RedisClient;
  useRedis(
    (client) => {
      redis = client;
    },
    { commandTimeoutMs: 1_000 },
  );
  beforeEach(async () => {
    await redis.flushall();
  });
  const open = (part: Partial<ProviderConfig>, carryOut: CarryOut, more: Partial<Dialect> = {}): ProviderAdapter => {
    const adapter = createExchangeAdapter(
      providerConfig({ kind: 'salesforce', auth: { type: 'bearer', token: 'static-token' }, ...part }),
      {
        network: { allowPrivateNetworks: true },
        resolve: async () => [],
        clock: { nowMs: () => Date.parse('2026-05-01T12:00:00Z'), monotonicMs: () => performance.now() },
        createId: randomUUID,
        redis,
        keys,
        sealer,
      },
      () => dialectOf(carryOut, more),
    );
    onTestFinished(() => adapter.close());
    return adapter;
  };
  return {
    open,
    /** Of the first request alone, what came back. */
    async asking(part: Partial<ProviderConfig>, request: ExchangeRequest): Promise<ExchangeReply> {
      let reply: ExchangeReply | undefined;
      const adapter = open(part, async (calls, exchange) => {
        reply = await exchange.request(request);
        return calls.map(() => accepted);
      });
      await send(adapter).sent;
      return reply as ExchangeReply;
    },
  };
}

function dialectOf(carryOut: CarryOut, more: Partial<Dialect>): Dialect {
  return {
    maxBatch: 3,
    batchWaitMs: 7,
    canShareBatch: (a, b) => a.entity === b.entity,
    prepare: (call) => ({ status: 'prepared', prepared: { call, body: undefined } }),
    carryOut,
    ...more,
  };
}

export const preparedOf = (part: Partial<Call> = {}): PreparedCall => ({ call: dialectCall(part), body: undefined });

export const yes: CallGuard = { mayStart: () => true };
export const freely: SendGuard = { ...yes, nextRequest: async () => yes };

interface Sent {
  readonly outcomes: readonly CallOutcome[];
  readonly budgets: readonly Budget[] | undefined;
}

export function send(adapter: ProviderAdapter, guard: SendGuard = freely, calls = [preparedOf()]) {
  let dones = 0;
  let hasReturned = false;
  let abort: (reason: string) => void = () => {};
  const sent = new Promise<Sent>((resolve, reject) => {
    const inFlight = adapter.send(calls, guard, (outcomes, budgets) => {
      dones += 1;
      if (!hasReturned) reject(new Error('done came before send had returned'));
      resolve({ outcomes, budgets });
    });
    hasReturned = true;
    abort = (reason) => inFlight.abort(reason);
  });
  return { sent, abort: (reason: string) => abort(reason), dones: () => dones };
}

export const get = (path = '/x') => ({ method: 'GET', path, isRead: true }) as const;
export const post = (path = '/x') => ({ method: 'POST', path, body: { a: 1 } }) as const;

/** The plainest dialect: every request in turn, its end for an outcome. */
export const oneByOne =
  (...requests: readonly Parameters<Exchange['request']>[0][]): CarryOut =>
  async (calls, exchange) => {
    for (const request of requests) {
      const reply = await exchange.request(request);
      if (reply.status === 'ended') return calls.map(() => reply.outcome);
    }
    return calls.map(() => accepted);
  };

export const errorOf = (outcome: CallOutcome | undefined): ProviderError | undefined =>
  outcome?.status === 'failed' ? outcome.error : undefined;
