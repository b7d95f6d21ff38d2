/** What Outreach's refusals mean: by status, and where that is not enough by the JSON:API error's id and words. */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import { type Refusal, type Refusals, refusalOfStatus, rejected } from '../answers.ts';
import type { ExchangeAnswer } from '../exchange.ts';
import { listOf, memberOf, textOf } from '../json-members.ts';
import { parseDate, readResetMs } from './budgets.ts';

export interface Refused {
  readonly error: ProviderError;
  /**
   * Another record has the e-mail: `said` where the answer says so; `possible` where the address is excluded, which is also how one can be
   * kept from a second record.
   */
  readonly duplicate: 'said' | 'possible' | undefined;
}

const byStatus: Refusals = new Map<number, Refusal>([[422, { kind: 'invalid', code: 'invalid_field' }]]);
const byErrorId: ReadonlyMap<string, Refusal> = new Map([
  ['scheduledServerMaintenance', { kind: 'transient', code: 'maintenance' }],
  ['rateLimitExceeded', { kind: 'rate_limited', code: 'rate_limited' }],
  // The path is wrong, not the record gone.
  ['routeNotFound', rejected],
]);

function meaningOf(status: number, errorIds: readonly string[]): Refusal {
  for (const id of errorIds) {
    const named = byErrorId.get(id);
    if (named) return named;
  }
  return refusalOfStatus(status, byStatus);
}

/** Where a throttling answer does not say for how long. */
const usualPauseMs = 60_000;

export function readRefusal(answer: ExchangeAnswer, nowMs: number): Refused {
  const errors = listOf(answer.json(), 'errors');
  const ids = errors.flatMap((error) => textOf(error, 'id') ?? []);
  const meaning = meaningOf(answer.code, ids);
  const isThrottled = meaning.kind === 'rate_limited';
  // With a time to wait, what may pass holds for the whole account.
  const isPause = meaning.kind === 'transient' && answer.retryAfterMs !== undefined;
  const retryAfterMs = isThrottled ? pauseOf(answer, errors, nowMs) : isPause ? answer.retryAfterMs : undefined;
  const duplicate = answer.code === 422 ? duplicateOf(errors, ids) : undefined;
  const kept = duplicate === 'said' ? ({ kind: 'conflict', code: 'duplicate_record' } as const) : meaning;
  const error: ProviderError = {
    kind: isPause ? 'rate_limited' : kept.kind,
    code: kept.code,
    message: messageOf(answer.code, errors),
    providerStatus: answer.code,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(answer.text === '' ? {} : { answer: answer.text }),
  };
  return { error, duplicate };
}

/** Each error in its own words, after the attribute it points to. */
function messageOf(status: number, errors: readonly unknown[]): string {
  const texts = errors.flatMap((error) => {
    const words = wordsOf(error);
    const pointer = textOf(memberOf(error, 'source'), 'pointer')?.replace(/^\/data(?:\/attributes)?\/?/, '');
    return words === undefined ? [] : [pointer ? `${pointer}: ${words}` : words];
  });
  return texts.length === 0 ? `the provider answered ${status}` : `the provider answered ${status}: ${texts.join('; ')}`;
}

/** An unsupported media type has `details`. */
function wordsOf(error: unknown): string | undefined {
  return textOf(error, 'detail') ?? textOf(error, 'details') ?? textOf(error, 'title') ?? textOf(error, 'id');
}

function duplicateOf(errors: readonly unknown[], ids: readonly string[]): Refused['duplicate'] {
  const words = errors.map((error) => wordsOf(error) ?? '').join('; ');
  if (ids.includes('validationDuplicateValueError') || /email.?hash\b.*already (?:been taken|exists)/i.test(words)) return 'said';
  return /excluded email address/i.test(words) ? 'possible' : undefined;
}

/** The limit is by the hour. */
const maxPauseMs = 3_600_000;

/** What the answer says first: `Retry-After`, the window's end, or the time in its words ("please try again at ..."). */
function pauseOf(answer: ExchangeAnswer, errors: readonly unknown[], nowMs: number): number {
  const said = answer.retryAfterMs ?? readResetMs(answer, nowMs);
  if (said !== undefined) return said;
  const words = errors.map((error) => wordsOf(error) ?? '').join(' ');
  const text = /try again at (\d{4}-\d\d-\d\dT[\d:.]*\d(?:Z|[+-]\d\d:?\d\d)?)/i.exec(words)?.[1];
  const inMs = text === undefined ? Number.NaN : parseDate(text) - nowMs;
  return inMs > 0 ? Math.min(inMs, maxPauseMs) : usualPauseMs;
}
