/** What the engine is given from outside. */
import type { ProviderError } from '../../shared/domain/provider-error.ts';
import type { Grant } from '../../shared/gate/acquire.ts';
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { QueueReader } from '../../shared/queue/claim.ts';
import type { FinalSettlement, Settle } from '../../shared/queue/settle.ts';
import type { ProviderAdapter } from '../providers/provider.ts';
import type { Gate } from './permit-stock.ts';
import type { QueueState } from './shard-state.ts';

/** Why, and until when, nothing of an account is called. */
export interface Pause {
  readonly reason: 'rate_limited' | 'auth' | 'breaker';
  /** For people. */
  readonly cause: string;
  /** By Redis's clock, epoch milliseconds. */
  readonly untilMs: number;
}

export interface Telemetry {
  final(queue: QueueState, settlement: FinalSettlement): void;
  called(provider: string, outcome: string, seconds: number): void;
  retried(provider: string, kind: string): void;
  granted(provider: string, grant: Grant, asked: number): void;
  paused(account: string, pause: Pause): void;
  /** The account's calls fail and are repeated; `failures`: since this was last told. */
  failing(account: string, error: ProviderError, failures: number): void;
  /** They fail no more. */
  recovered(account: string): void;
  claimed(entries: number): void;
  settled(operations: number): void;
  fault(kind: 'redis' | 'bug', error: unknown, context: object): void;
}

export interface EngineLimits {
  /** Of the whole fleet. */
  readonly shards: number;
  readonly window: number;
  readonly windowBytes: number;
  readonly historyEntries: number;
  readonly historyBytes: number;
  readonly leaseTtlMs: number;
}

export interface EngineDeps {
  readonly reader: QueueReader;
  readonly settle: Settle;
  readonly gate: Gate;
  readonly telemetry: Telemetry;
  /** The configuration that a tenant's operations follow; without a tenant, the provider's own. */
  findProvider(name: string, tenant?: string): ProviderConfig | undefined;
  /** Whose limits and credentials a tenant's operations use; known also where the configuration of the tenant's own account cannot be read. */
  accountOf(provider: string, tenant: string): string;
  /** Undefined for a kind that this worker does not know. */
  createAdapter(config: ProviderConfig): ProviderAdapter | undefined;
  canKeepAdapter(before: ProviderConfig, after: ProviderConfig): boolean;
  readonly limits: EngineLimits;
  /** Monotonic, milliseconds; goes on while the process is frozen. */
  now(): number;
  /** Redis's clock as far as it is known, epoch milliseconds. */
  redisNow(): number;
  learnRedisNow(ms: number): void;
  random(): number;
}

/** Delays that end with the engine. */
export interface Delays {
  /** Returns what calls it off. */
  after(ms: number, run: () => void): () => void;
}
