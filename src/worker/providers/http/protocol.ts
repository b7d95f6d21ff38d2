/** What differs between one call for each operation and one for many; the adapter does the rest. */
import type { HttpRequest, HttpResult } from '../http-call.ts';
import type { Call, CallOutcome, Preparation, PreparedCall } from '../provider.ts';
import type { Session } from '../session.ts';
import type { Refusal } from './answers.ts';

export type Answered = Extract<HttpResult, { status: 'answered' }>;

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
  /** One for each call, in order. */
  outcomes(calls: readonly PreparedCall[], answer: Answer, session: Session): readonly CallOutcome[];
}
