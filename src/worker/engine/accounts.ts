/** The dispatcher and the permits of each account that this worker has had to do with: a provider's, or a tenant's own there. */

import { parseQueueName } from '../../shared/domain/operation.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import { Dispatcher, type DispatcherDeps, type DispatcherEvents } from './dispatcher.ts';
import type { EngineDeps } from './engine-deps.ts';
import { PermitStock } from './permit-stock.ts';
import type { ShardState } from './shard-state.ts';
import type { StartPacer } from './start-pacer.ts';
import { Trouble } from './trouble.ts';

/** Until the provider's configuration is here, nothing is called. */
const unconfigured = { limits: [], maxConcurrency: 1, breaker: { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 10_000 } };
/** No call starts when its lease has less than this share left. */
const startMargin = 0.2;

interface Account {
  readonly stock: PermitStock;
  readonly dispatcher: Dispatcher;
  readonly trouble: Trouble;
}

export interface AccountsDeps extends EngineDeps, Pick<DispatcherDeps, 'shareOfShards'> {
  isReading(account: string): boolean;
  readonly pacer: StartPacer;
  /** A pause of the account has ended before its time. */
  onLifted(account: string): void;
}

export class Accounts {
  readonly #deps: AccountsDeps;
  readonly #events: DispatcherEvents;
  readonly #accounts = new Map<string, Account>();

  constructor(deps: AccountsDeps, events: DispatcherEvents) {
    this.#deps = deps;
    this.#events = events;
  }

  of(name: string): Account {
    let account = this.#accounts.get(name);
    if (!account) {
      account = this.#create(name);
      this.#accounts.set(name, account);
      account.dispatcher.setConfig(this.#configOf(name));
    }
    return account;
  }

  dispatcherOf(account: string): Dispatcher {
    return this.of(account).dispatcher;
  }

  /** Whose limits and credentials the calls of a tenant's queue use. */
  nameFor({ provider, tenant }: { provider: string; tenant: string }): string {
    return this.#deps.accountOf(provider, tenant);
  }

  isUnknown(provider: string): boolean {
    return this.dispatcherOf(provider).config === undefined;
  }

  /** Accounts are named like queues; that of a tenant who has none of its own any more has no configuration. */
  #configOf(account: string): ProviderConfig | undefined {
    const { provider, tenant } = parseQueueName(account);
    const config = account === provider ? this.#deps.findProvider(provider) : this.#deps.findProvider(provider, tenant);
    return config?.account === account ? config : undefined;
  }

  /** What a provider's present configuration is to the one followed so far; `another`: it was deleted and registered again unseen. */
  changeOf(provider: string): 'new' | 'same' | 'another' | 'gone' {
    const config = this.#deps.findProvider(provider);
    const before = this.#accounts.get(provider)?.dispatcher.config;
    if (!config) return 'gone';
    if (!before) return 'new';
    return config.createdAt === before.createdAt ? 'same' : 'another';
  }

  /** Also those of its tenants. */
  follow(provider: string): void {
    for (const [name, { dispatcher }] of this.#accounts)
      if (parseQueueName(name).provider === provider) dispatcher.setConfig(this.#configOf(name));
  }

  /** Cuts the calls that carry anything of the shard. */
  abort(shard: ShardState, reason: string): void {
    for (const { dispatcher } of this.#accounts.values()) dispatcher.abort(shard, reason);
  }

  /** Lets go of lanes whose shard or provider is gone. */
  prune(): void {
    for (const { dispatcher } of this.#accounts.values()) dispatcher.prune();
  }

  /** Forgets deleted accounts, but for those that queues still have. */
  forgetDeleted(ofQueues: ReadonlySet<string>): void {
    for (const [name, { dispatcher }] of this.#accounts) {
      if (!dispatcher.isUnused || ofQueues.has(name)) continue;
      this.#accounts.delete(name);
      void dispatcher.close();
    }
  }

  /** The account's permits are void: a pause or a breaker, somewhere in the fleet. */
  gateChanged(account: string): void {
    this.#accounts.get(account)?.stock.revoke();
  }

  /** What the account's slots are divided into has changed, somewhere in the fleet. */
  sharesChanged(account: string): void {
    this.#accounts.get(account)?.stock.sharesChanged();
  }

  /** Announcements of pauses, and of their being lifted, may have been missed. */
  catchUp(): void {
    for (const { stock } of this.#accounts.values()) stock.catchUp();
  }

  checkPauses(): void {
    for (const { stock } of this.#accounts.values()) stock.checkPause();
  }

  /** By provider. */
  get callsInFlight(): ReadonlyMap<string, number> {
    const calls = new Map<string, number>();
    for (const [name, { dispatcher }] of this.#accounts) {
      const { provider } = parseQueueName(name);
      calls.set(provider, (calls.get(provider) ?? 0) + dispatcher.inFlight);
    }
    return calls;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#accounts.values()].map(({ dispatcher }) => dispatcher.close()));
  }

  #create(name: string): Account {
    const { provider } = parseQueueName(name);
    const { gate, limits, now, telemetry, learnRedisNow, createAdapter, canKeepAdapter, shareOfShards, isReading, pacer } = this.#deps;
    /** The newest opening of its breaker that this worker knows of, microseconds by Redis's clock. */
    let openedAt = 0;
    const stock = new PermitStock(unconfigured, {
      gate,
      account: name,
      holdTtlMs: limits.leaseTtlMs,
      now,
      onChange: () => this.#accounts.get(name)?.dispatcher.pump(),
      onLifted: () => this.#deps.onLifted(name),
      onGrant: (grant, asked) => {
        learnRedisNow(grant.nowMs);
        telemetry.granted(provider, grant, asked);
        if (grant.breaker !== 'open' || grant.epoch === openedAt) return;
        openedAt = grant.epoch;
        telemetry.paused(name, { reason: 'breaker', cause: 'too many calls failed', untilMs: openedAt / 1_000 + stock.breakerOpenMs });
      },
      onError: (error) => telemetry.fault('redis', error, { provider }),
    });
    const dispatcher = new Dispatcher({
      account: name,
      createAdapter,
      canKeepAdapter,
      stock,
      now,
      startMarginMs: limits.leaseTtlMs * startMargin,
      shareOfShards,
      isReading: () => isReading(name),
      pacer,
      // Last, here as in whatever lives as long as an account: decision 0019.
      ...this.#events,
    });
    const trouble = new Trouble({
      now,
      onFailing: (error, failures) => telemetry.failing(name, error, failures),
      onOver: () => telemetry.recovered(name),
    });
    return { stock, dispatcher, trouble };
  }
}
