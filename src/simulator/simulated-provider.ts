/** What the simulator of one kind of provider is. Faults, limits, the log of calls and the control routes are the same for all kinds. */

export interface SimulatedRequest {
  readonly method: string;
  /** Below the provider's mount, without the query; still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; undefined sends no body. */
  readonly body?: unknown;
}

/** One of the changes that a request asks for: a single call holds one, a batch many. */
export interface SimulatedItem {
  readonly operationId: string;
  readonly operation: string;
  readonly entity: string;
  readonly recordId: string;
  readonly timestamp: string;
}

export interface SimulatedProvider {
  readonly kind: string;
  /** What the request asks for, as far as it can be read; for the log and for faults that strike single records. */
  contentsOf(request: SimulatedRequest): { readonly isBatch: boolean; readonly items: readonly SimulatedItem[] };
  /** Carries the request out. `failItem` gives the status with which an item has to fail, or undefined. */
  answer(request: SimulatedRequest, failItem: (item: SimulatedItem) => number | undefined): Reply;
  /** What it holds, as JSON. */
  records(entity: string | undefined): Readonly<Record<string, unknown>>;
  /** Ends with nothing held. */
  clear(): void;
  /** Its own settings, as JSON. */
  settings(): unknown;
  change(settings: unknown): { readonly status: 'changed' } | { readonly status: 'refused'; readonly reason: string };
}
