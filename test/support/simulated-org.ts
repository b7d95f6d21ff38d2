/** A simulated Salesforce org without a socket, on a clock of the test's own, called as its clients call it. */
import { expect } from 'vitest';
import { type Faults, faultsSchema } from '../../src/simulator/faults.ts';
import { createSalesforceProvider } from '../../src/simulator/salesforce/salesforce-provider.ts';
import type { Exchange } from '../../src/simulator/salesforce/soap-exchange.ts';
import type { Reply, SimulatedRequest, WebhookMessage } from '../../src/simulator/simulated-provider.ts';
import { createSimulator, type Ending } from '../../src/simulator/simulator.ts';

export interface OrgRequest {
  readonly method?: string;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `exchange` answers outbound messages. */
export function startOrg(exchange: Exchange = async () => undefined) {
  const clock = { nowMs: Date.parse('2026-05-20T12:00:00.250Z'), waits: [] as number[] };
  const now = () => clock.nowMs;
  const random = { next: 0.5 };
  const wait = async (ms: number) => {
    clock.waits.push(ms);
    clock.nowMs += ms;
  };
  const sent: WebhookMessage[] = [];
  const record: Exchange = (message) => {
    sent.push(message);
    return exchange(message);
  };
  const deps = { now, random: () => random.next, idsFrom: 0, wait };
  const provider = createSalesforceProvider({ ...deps, post: async () => undefined }, record);
  const simulator = createSimulator({ provider, ...deps, keepCalls: 1_000 });
  let token = '';

  function request(target: string, { method, body, text, headers }: OrgRequest): SimulatedRequest {
    const { pathname, searchParams } = new URL(target, 'http://org');
    const content = text ?? (body === undefined ? '' : JSON.stringify(body));
    const type = { 'content-type': text === undefined ? 'application/json' : 'text/csv', authorization: `Bearer ${token}` };
    return {
      method: method ?? (content === '' ? 'GET' : 'POST'),
      path: pathname,
      query: searchParams,
      headers: { ...type, ...headers },
      text: content,
      baseUrl: 'http://127.0.0.1:1/salesforce',
    };
  }

  const end = (target: string, asked: OrgRequest = {}): Promise<Ending> => simulator.call(request(target, asked));

  async function raw(target: string, asked: OrgRequest = {}): Promise<Reply> {
    const ending = await end(target, asked);
    if (ending.with !== 'reply') throw new Error(`the call ended with ${ending.with}`);
    return ending.reply;
  }

  async function logIn(form: Readonly<Record<string, string>> = { grant_type: 'client_credentials', client_id: 'a', client_secret: 'b' }) {
    const answer = await raw('/services/oauth2/token', { method: 'POST', text: new URLSearchParams(form).toString() });
    const body = answer.body as Record<string, string>;
    token = body['access_token'] ?? token;
    return { status: answer.status, body };
  }

  return {
    clock,
    random,
    sent,
    provider,
    simulator,
    end,
    raw,
    logIn,
    /** A call below the API's version. */
    api: (path: string, asked: OrgRequest = {}) => raw(`/services/data/v60.0${path}`, asked),
    set(settings: Readonly<Record<string, unknown>>) {
      expect(provider.change({ ...(provider.settings() as object), ...settings })).toEqual({ status: 'changed' });
    },
    fault: (faults: Partial<Faults>) => simulator.setFaults(faultsSchema.parse(faults)),
  };
}

/** The org with a token in hand. */
export async function openOrg(exchange?: Exchange) {
  const org = startOrg(exchange);
  await org.logIn();
  return org;
}
