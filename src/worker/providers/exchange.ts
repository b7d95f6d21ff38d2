/**
 * What an adapter of several requests is made of: a dialect says what is asked and what the answers mean; `exchange-adapter.ts` owns
 * connections, credentials, permits and limits of size and time. A dialect's `carryOut` is plain sequential code: each request waits for
 * a permit of its own (the first has the call's).
 */
import type { ProviderConfig } from '../../shared/providers/config.ts';
import type { Budget, BulkPolicy, Call, CallOutcome, Preparation, PreparedCall } from './provider.ts';

export interface ExchangeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the API's address (`base_url`, or the one that came with the token), with its query. */
  readonly path: string;
  /** Besides authorization and user-agent; names in lower case. `accept` is application/json where it is not given. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown;
  /** Default application/json. */
  readonly contentType?: string;
  /** It changes nothing at the provider: losing its answer leaves nothing in doubt. */
  readonly isRead?: boolean;
}

/** An answer, whatever its status, as it came: of what an outcome says of it, secrets are masked later (kept.ts). */
export interface ExchangeAnswer {
  readonly status: 'answered';
  readonly code: number;
  /** By name in lower case. */
  header(name: string): string | undefined;
  readonly text: string;
  /** False where the text was cut; then it is masked, for the cut may go through a secret. */
  readonly isWhole: boolean;
  /** The text as JSON; undefined where it is none. */
  json(): unknown;
  /** From `Retry-After`: seconds, an HTTP date or an ISO date. */
  readonly retryAfterMs: number | undefined;
}

/**
 * `ended`: there is no answer to interpret. The outcome says why: unsent, not connected, lost (transient for a read, else ambiguous), or 401,
 * which the authentication has judged already. It is what `carryOut` gives for the calls the request was for, unless an earlier request of
 * the same exchange tells more.
 */
export type ExchangeReply = ExchangeAnswer | { readonly status: 'ended'; readonly outcome: Exclude<CallOutcome, { status: 'accepted' }> };

export interface Exchange {
  request(request: ExchangeRequest): Promise<ExchangeReply>;
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Resolves after so long; false where the exchange was cut meanwhile. */
  wait(ms: number): Promise<boolean>;
}

export interface Dialect {
  readonly maxBatch: number;
  readonly batchWaitMs: number;
  readonly bulk?: BulkPolicy | undefined;
  canShareBatch(a: Call, b: Call): boolean;
  /** Pure and synchronous: mapping and validation. */
  prepare(call: Call): Preparation;
  /** One outcome for each call, in order. Rejects only for a bug. */
  carryOut(calls: readonly PreparedCall[], exchange: Exchange): Promise<readonly CallOutcome[]>;
  /** What an answer says of the account's limits; asked of every answer. */
  budgetsOf?(answer: ExchangeAnswer, nowMs: number): readonly Budget[];
}

/** Makes the dialect of a kind for a configuration; throws where that cannot be. */
export type DialectFactory = (config: ProviderConfig) => Dialect;
