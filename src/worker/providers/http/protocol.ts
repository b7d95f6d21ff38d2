/** What differs between one call for each operation and one for many; the adapter does the rest. */
import type { Refusal } from '../answers.ts';
import type { HttpRequest, HttpResult } from '../http-call.ts';
import type { Call, CallOutcome, Preparation, PreparedCall } from '../provider.ts';
import type { Session } from '../session.ts';

export type Answered = Extract<HttpResult, { status: 'answered' }>;

/** As it came; where its text was cut, that is masked, for the cut may go through a secret. */
export interface Answer extends Answered {
  readonly retryAfterMs: number | undefined;
  /** In place of the table's, where the authentication knows better. */
  readonly refusal: Refusal | undefined;
}

export interface Protocol {
  readonly maxBatch: number;
  readonly batchWaitMs: number;
  prepare(call: Call): Preparation;
  request(calls: readonly PreparedCall[], session: Session): HttpRequest;
  /** One for each call, in order, with the answer's words as they came. */
  outcomes(calls: readonly PreparedCall[], answer: Answer): readonly CallOutcome[];
}
