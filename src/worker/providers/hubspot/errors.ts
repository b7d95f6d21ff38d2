/**
 * What HubSpot's refusals mean: one table of statuses, one of the categories that records of a batch are refused by. Every member of an
 * error's body is optional, so each is read with care.
 */
import type { ProviderError } from '../../../shared/domain/provider-error.ts';
import { type Refusal, type Refusals, refusalOfStatus, rejected } from '../answers.ts';
import type { ExchangeAnswer } from '../exchange.ts';
import { jsonText, listOf, memberOf, textOf } from '../json-members.ts';

/** Why a request, or one record of it, was refused. */
export interface Refused {
  readonly status: 'refused';
  readonly error: ProviderError;
  /** The record that stands in the way, where HubSpot names it. */
  readonly existingId: string | undefined;
}

const byStatus: Refusals = new Map<number, Refusal>([
  [423, { kind: 'transient', code: 'record_locked' }],
  // HubSpot moves the account to another place, for up to a day.
  [477, { kind: 'rate_limited', code: 'account_moving' }],
]);
const byCategory: ReadonlyMap<string, Refusal> = new Map([
  ['VALIDATION_ERROR', { kind: 'invalid', code: 'invalid_field' }],
  ['CONFLICT', { kind: 'conflict', code: 'conflict' }],
  ['OBJECT_NOT_FOUND', { kind: 'gone', code: 'not_found' }],
  ['OBJECT_ALREADY_EXISTS', { kind: 'conflict', code: 'conflict' }],
  ['MISSING_SCOPES', { kind: 'auth', code: 'forbidden' }],
  ['RATE_LIMIT', { kind: 'rate_limited', code: 'rate_limited' }],
  ['RATE_LIMITS', { kind: 'rate_limited', code: 'rate_limited' }],
  ['INTERNAL_ERROR', { kind: 'transient', code: 'provider_error' }],
]);
const taken: Refusal = { kind: 'conflict', code: 'conflict' };

function meaningOf(status: number, category: string | undefined): Refusal {
  if (status === 400 && category !== undefined) return byCategory.get(category) ?? rejected;
  return refusalOfStatus(status, byStatus);
}

/** The whole request was refused. */
export function readRefusal(answer: ExchangeAnswer, nowMs: number): Refused {
  const body = answer.json();
  const meaning = unlessTaken(meaningOf(answer.code, textOf(body, 'category')), body);
  const retryAfterMs = answer.retryAfterMs ?? usualPauseMs(answer, body, nowMs);
  // With a time to wait, what may pass holds for the whole account; a lock is one record's.
  const isPause = meaning.kind === 'transient' && answer.code !== 423 && answer.retryAfterMs !== undefined;
  const refused = describe(isPause ? { ...meaning, kind: 'rate_limited' } : meaning, body, `the provider answered ${answer.code}`);
  const isDaily = meaning.code === 'rate_limited' && policyOf(body) === 'DAILY';
  return {
    ...refused,
    error: {
      ...refused.error,
      ...(isDaily ? { code: 'daily_limit' } : {}),
      providerStatus: answer.code,
      ...(retryAfterMs === undefined || (meaning.kind !== 'rate_limited' && meaning.kind !== 'transient') ? {} : { retryAfterMs }),
      ...(answer.text === '' ? {} : { answer: answer.text }),
    },
  };
}

/** One record of a batch was refused: `body` is an item of the answer's `errors`. */
export function readRecordRefusal(body: unknown, batchStatus: number): Refused {
  const category = textOf(body, 'category');
  const meaning = unlessTaken((category !== undefined && byCategory.get(category)) || rejected, body);
  const refused = describe(meaning, body, 'the provider refused the record');
  return {
    ...refused,
    error: { ...refused.error, providerStatus: batchStatus, answer: jsonText(body) ?? '' },
  };
}

/** Whatever it is called: a value that another record has is a conflict with that record. */
function unlessTaken(meaning: Refusal, body: unknown): Refusal {
  return meaning.kind === 'invalid' && namedHolderOf(body) !== undefined ? taken : meaning;
}

function describe(meaning: Refusal, body: unknown, fallback: string): Refused {
  const text = messageOf(body);
  const fields = meaning.kind === 'invalid' ? fieldsOf(body) : [];
  const head = fields.length > 0 ? `the provider refuses ${fields.slice(0, 10).join(', ')}` : fallback;
  const message = text === undefined ? head : `${head}: ${text}`;
  return { status: 'refused', error: { ...meaning, message }, existingId: existingIdOf(body) };
}

/** The details say in words what the message says in JSON. */
function messageOf(body: unknown): string | undefined {
  const details = listOf(body, 'errors').flatMap((detail) => textOf(detail, 'message') ?? []);
  return details.length > 0 ? [...new Set(details)].join('; ') : textOf(body, 'message');
}

/** Properties that are named as bad: by the details, else within the message, which holds JSON. */
function fieldsOf(body: unknown): readonly string[] {
  const details = [body, ...listOf(body, 'errors')];
  const named = details.flatMap((detail) => contextOf(detail, 'propertyName'));
  const inMessage = [...(textOf(body, 'message') ?? '').matchAll(/"name":"([^"\\]{1,100})"/g)].map(([, name]) => name as string);
  return [...new Set(named.length > 0 ? named : inMessage)];
}

/** The answer to a conflict has the other record's id in its text only. */
function existingIdOf(body: unknown): string | undefined {
  return namedHolderOf(body) ?? /Existing ID: (\d+)/.exec(textOf(body, 'message') ?? '')?.[1];
}

/**
 * Who has the value, where that is said in a place of its own: an item of a batch (under VALIDATION_ERROR) in its context, the details of a
 * refusal at the end of their text. Texts at large are not searched here: those about bad values quote what the sender wrote.
 */
function namedHolderOf(body: unknown): string | undefined {
  const details = listOf(body, 'errors').filter((detail) => textOf(detail, 'code') === 'CONFLICTING_UNIQUE_VALUE');
  const named = details.map((detail) => /\b(\d+) already has that value\.?$/.exec(textOf(detail, 'message') ?? '')?.[1]);
  return contextOf(body, 'existingId')[0] ?? named.find((id) => id !== undefined);
}

const lockPauseMs = 2_000;
const movePauseMs = 60_000;
/** Of a limit by the day: its midnight is that of the account's time zone, which we do not know, so it is tried again meanwhile. */
const maxDailyPauseMs = 3_600_000;
const dayMs = 86_400_000;

/** How long to wait where the answer does not say: `Retry-After` is documented for 477 only. */
function usualPauseMs(answer: ExchangeAnswer, body: unknown, nowMs: number): number | undefined {
  if (answer.code === 423) return lockPauseMs;
  if (answer.code === 477) return movePauseMs;
  if (answer.code !== 429) return undefined;
  const policy = policyOf(body);
  if (policy === 'DAILY') return Math.min(dayMs - (nowMs % dayMs), maxDailyPauseMs);
  return policy === 'SECONDLY' ? 1_000 : 10_000;
}

function policyOf(body: unknown): string {
  const named = textOf(body, 'policyName');
  if (named !== undefined) return named.toUpperCase();
  return (/\b(ten_secondly_rolling|secondly|daily)\b/i.exec(textOf(body, 'message') ?? '')?.[1] ?? '').toUpperCase();
}

/** An error's context holds lists of texts. */
export function contextOf(error: unknown, name: string): readonly string[] {
  const context = memberOf(error, 'context');
  const member = memberOf(context, name);
  const items = Array.isArray(member) ? member : [member];
  return items.flatMap((item) => (typeof item === 'string' || typeof item === 'number' ? [String(item)] : []));
}
