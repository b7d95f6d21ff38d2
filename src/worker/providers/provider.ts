/**
 * What an adapter is: the part that speaks one kind of provider's API. The engine hands it calls whose order, permits and
 * idempotency are already settled; the adapter maps, validates, sends, and classifies the answer.
 */
import type { OperationKind } from '../../shared/domain/operation.ts';
import type { ProviderError } from '../../shared/domain/provider-error.ts';

/** What is to be done at the provider for one operation, or for several folded into one. */
export interface Call {
  /** The id of the operation that the call carries out: the last of a folded group. */
  readonly operationId: string;
  /** Sent as the idempotency key: stays the same for every repetition of a call that is not idempotent by nature. */
  readonly idempotencyKey: string;
  readonly kind: OperationKind;
  readonly tenant: string;
  readonly entity: string;
  readonly recordId: string;
  readonly timestampMs: number;
  /** A JSON object's text; undefined for delete and read. */
  readonly dataJson: string | undefined;
  /** The provider's own id for the record, once known. */
  readonly providerRecordId: string | undefined;
  /**
   * An earlier attempt may have been carried out: its answer was lost, or its worker died. A call that is not idempotent by nature
   * has to find out first.
   */
  readonly isInDoubt: boolean;
}

/** A call mapped, validated and ready to be written; made before a permit is spent on it. `body` is the adapter's own. */
export interface PreparedCall {
  readonly call: Call;
  readonly body: unknown;
}

export type Preparation =
  | { readonly status: 'prepared'; readonly prepared: PreparedCall }
  | { readonly status: 'refused'; readonly error: ProviderError };

export type CallOutcome =
  | { readonly status: 'accepted'; readonly providerStatus?: number; readonly providerRecordId?: string; readonly result?: unknown }
  | { readonly status: 'failed'; readonly error: ProviderError }
  /** Not one byte was written: the guard said no, or the call was cut before it began. Charges nobody. */
  | { readonly status: 'unsent'; readonly reason: string };

/** Asked at the last moment before the first byte is written: false leaves the call unsent (lease or permit run out). */
export interface CallGuard {
  mayStart(): boolean;
}

/** The guard of a `send`: its own permit is for the first request. */
export interface SendGuard extends CallGuard {
  /**
   * Waits for a further permit of the account, for adapters that need several requests for one call. Undefined: no further request may be
   * made (the lease ends, the worker stops, the provider is gone). The guard it gives is asked right before that request's first byte.
   */
  nextRequest(): Promise<CallGuard | undefined>;
}

/** What answers said of what is left of one of the account's limits. */
export interface Budget {
  /** Length of the window it speaks of: that of a limit the provider is configured with, or of another that nobody configured. */
  readonly perMs: number;
  /** Requests that everybody together may make in that window, where the provider says so. */
  readonly requests: number | undefined;
  readonly remaining: number;
  /** Until the window begins anew; undefined where it rolls, or nobody says. */
  readonly resetInMs: number | undefined;
}

/** `budgets`: what the answers said of the account's limits, if they did. */
export type Done = (outcomes: readonly CallOutcome[], budgets?: readonly Budget[]) => void;

/** A call under way. */
export interface InFlight {
  /** Cuts the call; its outcome is then `unsent` or an `ambiguous` failure. Harmless once it has ended. */
  abort(reason: string): void;
}

/** A call that takes very many records at once, for backlogs. */
export interface BulkPolicy {
  /** So many calls that may share a batch have to be waiting in the whole fleet; a worker goes by its share of the shards. */
  readonly minRecords: number;
  readonly maxRecords: number;
  /** Whether a backlog that begins with this call can go so. */
  takes(call: Call): boolean;
}

export interface ProviderAdapter {
  /** Most calls in one `send`: 1 where the provider has no batch call. */
  readonly maxBatch: number;
  /** Undefined where there is no such call: then no `send` gets more than `maxBatch`. */
  readonly bulk?: BulkPolicy | undefined;
  /** How long an incomplete batch may wait for company, milliseconds. */
  readonly batchWaitMs: number;
  /** Whether two calls may share a batch; always true for equal entities and kinds. */
  canShareBatch(a: Call, b: Call): boolean;
  /** Pure and synchronous: mapping and validation. */
  prepare(call: Call): Preparation;
  /**
   * Sends one call, or a batch of at most `maxBatch` (or `bulk.maxRecords`). `done` is called exactly once, never before `send` has
   * returned, with one outcome for each call in order. It never throws: a bug is reported as an outcome by the caller of last resort,
   * not here.
   */
  send(calls: readonly PreparedCall[], guard: SendGuard, done: Done): InFlight;
  /** Closes the connections; calls in flight are cut. */
  close(): Promise<void>;
}
