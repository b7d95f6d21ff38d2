/** Which provider is simulated where: kind `http` at the root, the CRMs each below its name. */
import { firstIdAt } from './first-id.ts';
import { createHttpProvider } from './http/http-provider.ts';
import { createHubspotProvider } from './hubspot/hubspot-provider.ts';
import { createOutreachProvider } from './outreach/outreach-provider.ts';
import { createSalesforceProvider } from './salesforce/salesforce-provider.ts';
import type { ProviderDeps, WebhookMessage } from './simulated-provider.ts';
import { createSimulator, type Simulator } from './simulator.ts';

export interface MountsOptions {
  readonly keepCalls: number;
  /** Epoch milliseconds with fractions; never jumps back. */
  readonly now?: () => number;
}

export function createMounts({ keepCalls, now = epochMs }: MountsOptions): ReadonlyMap<string, Simulator> {
  const deps: ProviderDeps & { exchange: typeof exchange } = {
    now,
    random: Math.random,
    idsFrom: firstIdAt(now()),
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
    post: async (message) => (await exchange(message))?.status,
    exchange,
  };
  const providers = {
    '': createHttpProvider(),
    '/salesforce': createSalesforceProvider(deps),
    '/hubspot': createHubspotProvider(deps),
    '/outreach': createOutreachProvider(deps),
  };
  return new Map(Object.entries(providers).map(([mount, provider]) => [mount, createSimulator({ provider, ...deps, keepCalls })]));
}

const epochMs = () => performance.timeOrigin + performance.now();

async function exchange({ url, headers, text, timeoutMs }: WebhookMessage): Promise<{ status: number; text: string } | undefined> {
  try {
    const answer = await fetch(url, { method: 'POST', headers, body: text, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return undefined;
  }
}
