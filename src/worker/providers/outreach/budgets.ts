/** What Outreach's headers say of the user's limit, which counts the requests of a fixed hour. */
import type { ExchangeAnswer } from '../exchange.ts';
import type { Budget } from '../provider.ts';

const hourMs = 3_600_000;

export function budgetsOf(answer: ExchangeAnswer, nowMs: number): readonly Budget[] {
  const remaining = smallest(answer.header('x-ratelimit-remaining'));
  if (remaining === undefined) return [];
  const requests = smallest(answer.header('x-ratelimit-limit'));
  return [{ perMs: hourMs, requests, remaining, resetInMs: readResetMs(answer, nowMs) }];
}

/** Several limits may be told at once (`9999, 19988`): the tightest counts. */
function smallest(text: string | undefined): number | undefined {
  const numbers = (text ?? '').split(',').map((part) => part.trim());
  const valid = numbers.filter((part) => /^[0-9]{1,12}$/.test(part)).map(Number);
  return valid.length === 0 ? undefined : Math.min(...valid);
}

/**
 * Milliseconds until the hour's window begins anew, at most an hour. The header's unit is not documented: seconds since 1970 have been
 * seen; milliseconds, a date, and seconds from now are told apart by their size.
 */
export function readResetMs(answer: ExchangeAnswer, nowMs: number): number | undefined {
  const text = answer.header('x-ratelimit-reset')?.trim() ?? '';
  // Several limits may be told at once; a date has a comma as well.
  const number = /^([0-9]+(?:\.[0-9]+)?)\s*(?:,|$)/.exec(text)?.[1];
  const inMs = number === undefined ? parseDate(text) - nowMs : fromNumber(Number(number), nowMs);
  // One that is over says nothing about the next.
  return inMs > 0 ? Math.min(Math.ceil(inMs), hourMs) : undefined;
}

function fromNumber(value: number, nowMs: number): number {
  if (value >= 1e11) return value - nowMs;
  return value >= 1e8 ? value * 1_000 - nowMs : value * 1_000;
}

/** A date that does not say its zone is in UTC. */
export function parseDate(text: string): number {
  return Date.parse(/^\d{4}-\d\d-\d\dT[\d:.]+$/.test(text) ? `${text}Z` : text);
}
