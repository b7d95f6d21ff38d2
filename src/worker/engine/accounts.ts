/** The dispatcher and the permits of each provider that this worker has had to do with. */

import { Dispatcher, type DispatcherEvents } from './dispatcher.ts';
import type { EngineDeps } from './engine-deps.ts';
import { PermitStock } from './permit-stock.ts';

/** Until the provider's configuration is here, nothing is called. */
const unconfigured = { limits: [], maxConcurrency: 1, breaker: { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 10_000 } };
/** No call starts when its lease has less than this share left. */
const startMargin = 0.2;

interface Account {
  readonly stock: PermitStock;
  readonly dispatcher: Dispatcher;
}

export class Accounts {
  readonly #deps: EngineDeps;
  readonly #events: DispatcherEvents;
  readonly #accounts = new Map<string, Account>();

  constructor(deps: EngineDeps, events: DispatcherEvents) {
    this.#deps = deps;
    this.#events = events;
  }

  of(provider: string): Account {
    let account = this.#accounts.get(provider);
    if (!account) {
      account = this.#create(provider);
      this.#accounts.set(provider, account);
      account.dispatcher.setConfig(this.#deps.findProvider(provider));
    }
    return account;
  }

  dispatcherOf(provider: string): Dispatcher {
    return this.of(provider).dispatcher;
  }

  /** What a provider's present configuration is to the one followed so far; `another`: it was deleted and registered again unseen. */
  changeOf(provider: string): 'new' | 'same' | 'another' | 'gone' {
    const config = this.#deps.findProvider(provider);
    const before = this.#accounts.get(provider)?.dispatcher.config;
    if (!config) return 'gone';
    if (!before) return 'new';
    return config !== before && config.version <= before.version ? 'another' : 'same';
  }

  follow(provider: string): void {
    this.#accounts.get(provider)?.dispatcher.setConfig(this.#deps.findProvider(provider));
  }

  /** Lets go of lanes whose shard or provider is gone. */
  prune(): void {
    for (const { dispatcher } of this.#accounts.values()) dispatcher.prune();
  }

  /** The account's permits are void: a pause or a breaker, somewhere in the fleet. */
  gateChanged(provider: string): void {
    this.#accounts.get(provider)?.stock.revoke();
  }

  get callsInFlight(): ReadonlyMap<string, number> {
    return new Map([...this.#accounts].map(([name, { dispatcher }]) => [name, dispatcher.inFlight]));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#accounts.values()].map(({ dispatcher }) => dispatcher.close()));
  }

  #create(provider: string): Account {
    const { gate, limits, now, telemetry, learnRedisNow, createAdapter, canKeepAdapter } = this.#deps;
    const stock = new PermitStock(unconfigured, {
      gate,
      account: provider,
      holdTtlMs: limits.leaseTtlMs,
      now,
      onChange: () => this.#accounts.get(provider)?.dispatcher.pump(),
      onGrant: (grant, asked) => {
        learnRedisNow(grant.nowMs);
        telemetry.granted(provider, grant, asked);
      },
      onError: (error) => telemetry.fault('redis', error, { provider }),
    });
    const dispatcher = new Dispatcher({
      ...this.#events,
      createAdapter,
      canKeepAdapter,
      stock,
      now,
      startMarginMs: limits.leaseTtlMs * startMargin,
    });
    return { stock, dispatcher };
  }
}
