/**
 * How a provider's refusal is told to the rest of the system. Adapters classify their provider's answers into these kinds; what
 * follows is decided in one place (settlement.ts), and nothing else looks at a status code.
 */
export type ProviderErrorKind =
  /** The provider asks for fewer calls; `retryAfterMs` when it says until when. */
  | 'rate_limited'
  /** Nothing was done, and the same call may pass later. */
  | 'transient'
  /** The call may have been carried out: its answer was lost. */
  | 'ambiguous'
  /** Our credentials were refused. */
  | 'auth'
  /** The provider will never take this payload. */
  | 'invalid'
  /** Another record stands in the way. */
  | 'conflict'
  /** The record is not there. */
  | 'gone';

export interface ProviderError {
  readonly kind: ProviderErrorKind;
  /** Stable, snake_case, documented; at most 64 characters. */
  readonly code: string;
  /** For people; holds no secret. */
  readonly message: string;
  readonly providerStatus?: number;
  readonly retryAfterMs?: number;
  /** The provider's answer, masked and cut to a few kilobytes. */
  readonly answer?: string;
  /** An earlier attempt may have been carried out, and this one has not found out: the next one is as much in doubt. */
  readonly isInDoubt?: boolean;
  /** The batch was refused as one, so this says nothing yet about the single operation. */
  readonly isWholeBatch?: boolean;
}
