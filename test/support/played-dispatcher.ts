/** A dispatcher on timers that the test passes itself (`vi.useFakeTimers`), with a played gate and adapters whose calls the test ends. */
import { vi } from 'vitest';
import type { ProviderConfig } from '../../src/shared/providers/config.ts';
import { Dispatcher, type DispatcherDeps } from '../../src/worker/engine/dispatcher.ts';
import type { Held, Lane } from '../../src/worker/engine/lane.ts';
import { PermitStock } from '../../src/worker/engine/permit-stock.ts';
import { StartPacer } from '../../src/worker/engine/start-pacer.ts';
import type { Call, CallOutcome, ProviderAdapter, SendGuard } from '../../src/worker/providers/provider.ts';
import { createPlayedGate } from './played-gate.ts';
import { providerConfig } from './provider-config.ts';

export interface Sent {
  readonly calls: readonly Call[];
  readonly guard: SendGuard;
  end(outcomes?: readonly CallOutcome[]): void;
}

/** An adapter that keeps what it was given until the test ends it. */
function recordingAdapter(sent: Sent[], part: Partial<ProviderAdapter> = {}): ProviderAdapter & { closed: number } {
  const adapter = {
    maxBatch: 1,
    batchWaitMs: 20,
    closed: 0,
    canShareBatch: () => true,
    prepare: (call: Call) => ({ status: 'prepared' as const, prepared: { call, body: undefined } }),
    send(prepared: readonly { call: Call }[], guard: SendGuard, done: (outcomes: readonly CallOutcome[]) => void) {
      const calls = prepared.map(({ call }) => call);
      sent.push({ calls, guard, end: (outcomes = calls.map(() => ({ status: 'accepted' as const }))) => done(outcomes) });
      return { abort: () => {} };
    },
    async close() {
      adapter.closed++;
    },
    ...part,
  };
  return adapter;
}

export interface Part extends Partial<DispatcherDeps> {
  readonly adapter?: Partial<ProviderAdapter>;
  /** What the next adapter is like; throws where it cannot be made. */
  readonly nextAdapter?: () => Partial<ProviderAdapter>;
  readonly config?: Partial<ProviderConfig>;
  readonly slots?: number;
  readonly marksWritten?: Promise<void>;
}

/** A dispatcher with one account, whose adapters keep what they were given, and what it told its owner. */
export function startDispatcher(part: Part = {}) {
  const sent: Sent[] = [];
  const adapters: ReturnType<typeof recordingAdapter>[] = [];
  const events: string[] = [];
  const marked: Lane[] = [];
  const rank = ({ waiting }: Lane) => (waiting[0] as Held).rank;
  const gate = createPlayedGate({ now: Date.now });
  gate.slots = part.slots ?? 50;
  const { marksWritten = Promise.resolve() } = part;
  const stock = new PermitStock(providerConfig(), {
    gate,
    account: 'crm',
    holdTtlMs: 10_000,
    now: Date.now,
    onChange: () => dispatcher.pump(),
    onLifted: () => {},
    onGrant: () => {},
    onError: (error) => {
      throw error;
    },
  });
  const dispatcher: Dispatcher = new Dispatcher({
    account: 'crm',
    onRefused: (lane, length, error) => void events.push(`refused ${rank(lane)} x${length} ${error.code}`),
    onTooLate: (lane) => void events.push(`too late ${rank(lane)}`),
    onStale: (lane) => void events.push(`stale ${rank(lane)}`),
    onMark: async (lane, length) => {
      marked.push(lane);
      events.push(`mark ${rank(lane)} x${length}`);
      await marksWritten;
    },
    onEnd: (call, outcomes) => {
      events.push(`end ${call.parts.length} ${outcomes[0]?.status}`);
      for (const { lane } of call.parts) lane.state = 'settling';
    },
    onFault: (lane, error) => {
      lane.state = 'backoff';
      events.push(`fault ${rank(lane)} ${(error as Error).message}`);
    },
    onAdapterFault: (error) => void events.push(`adapter ${(error as Error).message}`),
    createAdapter: () => {
      const adapter = recordingAdapter(sent, part.nextAdapter?.() ?? part.adapter);
      adapters.push(adapter);
      return adapter;
    },
    canKeepAdapter: () => false,
    now: Date.now,
    startMarginMs: 20,
    shareOfShards: () => 1,
    isReading: () => false,
    pacer: new StartPacer(() => {}),
    ...part,
    stock,
  });
  let version = 1;
  const configure = (config: Partial<ProviderConfig> = {}) =>
    dispatcher.setConfig(providerConfig({ ...part.config, ...config, version: version++ }));
  configure();
  return { dispatcher, stock, gate, sent, adapters, events, marked, configure };
}

/** Of each call, which of the operations it carried. */
export const ranksOf = (sent: readonly Sent[]) =>
  sent.map(({ calls }) => calls.map(({ operationId }) => Number.parseInt(operationId.split('.')[2] as string, 36)));

/** What enters now, and has gone as far as it goes without time passing. */
export async function enterAll(dispatcher: Dispatcher, all: readonly Lane[]): Promise<void> {
  for (const lane of all) dispatcher.enter(lane);
  dispatcher.pump();
  await vi.advanceTimersByTimeAsync(0);
}
