/**
 * What the simulator of one kind of provider is. Faults, the plain limit, the log of calls and the control routes are the same for all
 * kinds; a kind that answers refusals in a form of its own, has limits of its own or gives out tokens says so with the optional members.
 *
 * Order of a call: the plain limit (`throttle`), the kind's own limits (`admit`), latency, told faults (`refuse`), `answer`, and around
 * every reply `after`. Calls that are `isExempt` go straight to `answer`.
 */

/** What every simulated provider is given: nothing of the process's own is reached for. */
export interface ProviderDeps {
  /** Epoch milliseconds with fractions; never jumps back. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Ids and numbers of tokens count up from here: past all that an earlier start has given out (first-id.ts). */
  readonly idsFrom: number;
  readonly wait: (ms: number) => Promise<void>;
  /** Sends a webhook; the status of the answer, or undefined when there was none. Never rejects. */
  readonly post: (message: WebhookMessage) => Promise<number | undefined>;
}

export interface WebhookMessage {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly timeoutMs: number;
}

export interface SimulatedRequest {
  readonly method: string;
  /** Below the provider's mount, without the query; still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The mount's own URL as the caller reached it, such as `http://127.0.0.1:9400/hubspot`; no slash at its end. */
  readonly baseUrl: string;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; undefined sends no body, unless there is `text`. */
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly text?: string;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** One of the changes that a request asks for: a single call holds one, a batch many. */
export interface SimulatedItem {
  readonly operationId: string;
  readonly operation: string;
  readonly entity: string;
  readonly recordId: string;
  readonly timestamp: string;
  /** Further names by which faults may mean this record: its e-mail address, its external id. */
  readonly aliases?: readonly string[];
}

/** A failure that the control routes asked for. `code` and `message` are the kind's to read; it has defaults by status. */
export interface ToldFailure {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string | undefined;
}

export interface SimulatedProvider {
  readonly kind: string;
  /** What the request asks for, as far as it can be read; for the log and for faults that strike single records. Changes nothing. */
  contentsOf(request: SimulatedRequest): { readonly isBatch: boolean; readonly items: readonly SimulatedItem[] };
  /** Carries the request out. `failItem` gives the failure that an item of a batch has to have, or undefined. */
  answer(request: SimulatedRequest, failItem: (item: SimulatedItem) => ToldFailure | undefined): Reply;
  /** What it holds, as JSON. */
  records(entity: string | undefined): Readonly<Record<string, unknown>>;
  /** Ends with no records held, no webhooks listed and its limits' windows empty. Tokens and settings stay. */
  clear(): void;
  /** Its own settings, as JSON. */
  settings(): unknown;
  change(settings: unknown): { readonly status: 'changed' } | { readonly status: 'refused'; readonly reason: string };

  /** Calls such as those for tokens, that no limit counts and no fault strikes (unless it says so). */
  isExempt?(request: SimulatedRequest): boolean;
  /** The kind's own limits, asked once as the call arrives: the refusal, or undefined when it was counted and let in. */
  admit?(request: SimulatedRequest): Reply | undefined;
  /** The refusal of a call over the plain limit; default 429 with Retry-After in seconds. */
  throttle?(waitMs: number, request: SimulatedRequest): Reply;
  /** The refusal of a call that was told to fail, in the kind's form; Retry-After is added to it. */
  refuse?(failure: ToldFailure, request: SimulatedRequest): Reply;
  /** Every reply passes here on its way out, refusals too: for headers that say how much is left. */
  after?(request: SimulatedRequest, reply: Reply): Reply;
  /** Access tokens given out so far are refused from now on as expired ones are. */
  expireTokens?(): void;
  /** Every token given out so far is unknown from now on, and every refresh token as if it were never used. */
  forgetTokens?(): void;
  /** Webhooks sent or being sent, oldest first, as JSON. */
  webhooks?(): readonly unknown[];
}
