/** A simulated provider without a socket, on a clock of the test's own, called as its clients call it. */
import { expect } from 'vitest';
import { faultsSchema } from '../../src/simulator/faults.ts';
import type { ProviderDeps, Reply, SimulatedProvider, WebhookMessage } from '../../src/simulator/simulated-provider.ts';
import { createSimulator, type Ending } from '../../src/simulator/simulator.ts';

export interface CrmAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the shape of an answer is what the tests are about.
  readonly body: any;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string | undefined;
}

export interface CrmOptions {
  readonly token: string;
  readonly contentType: string;
  /** Answers webhooks; undefined is no answer. Default: 200. */
  readonly receive?: (message: WebhookMessage) => number | undefined;
}

export function startCrm(create: (deps: ProviderDeps) => SimulatedProvider, { token, contentType, receive = () => 200 }: CrmOptions) {
  const clock = { nowMs: Date.parse('2026-05-20T12:00:00Z'), waits: [] as number[] };
  const sent: WebhookMessage[] = [];
  const deps: ProviderDeps = {
    now: () => clock.nowMs,
    random: seeded(),
    idsFrom: 0,
    async wait(ms) {
      clock.waits.push(ms);
    },
    async post(message) {
      sent.push(message);
      return receive(message);
    },
  };
  const provider = create(deps);
  const simulator = createSimulator({ provider, ...deps, keepCalls: 1_000 });

  /** A body that is text goes as it is, another as JSON. */
  function end(method: string, target: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Ending> {
    const { pathname, searchParams } = new URL(target, 'http://crm');
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    return simulator.call({
      method,
      path: pathname,
      query: searchParams,
      headers: { authorization: `Bearer ${token}`, 'content-type': contentType, ...headers },
      text,
      baseUrl: 'http://127.0.0.1:1/crm',
    });
  }

  return {
    clock,
    sent,
    provider,
    simulator,
    end,
    async call(...asked: Parameters<typeof end>): Promise<CrmAnswer> {
      const ending = await end(...asked);
      if (ending.with !== 'reply') throw new Error(`the call ended with ${ending.with}`);
      const { status, body, headers = {}, text }: Reply = ending.reply;
      return { status, body: body === undefined ? undefined : JSON.parse(JSON.stringify(body)), headers, text };
    },
    set(settings: Readonly<Record<string, unknown>>) {
      expect(provider.change({ ...(provider.settings() as object), ...settings })).toEqual({ status: 'changed' });
    },
    fault: (faults: Readonly<Record<string, unknown>>) => simulator.setFaults(faultsSchema.parse(faults)),
  };
}

/** Numbers in [0, 1), the same in every run. */
function seeded(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
