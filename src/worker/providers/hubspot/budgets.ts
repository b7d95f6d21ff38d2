/** What HubSpot's headers say of the account's limits. Answers of OAuth apps have none by the day, those of the search none at all. */
import type { ExchangeAnswer } from '../exchange.ts';
import type { Budget } from '../provider.ts';

const dayMs = 86_400_000;
/** The window that is documented, where the answer does not tell its length. */
const usualIntervalMs = 10_000;

/** The day's window begins anew at midnight in the account's time zone, which nobody tells; the short one rolls. */
export function budgetsOf(answer: ExchangeAnswer): readonly Budget[] {
  const perMs = numberOf(answer, 'interval-milliseconds') ?? usualIntervalMs;
  const windows = [
    { perMs, requests: numberOf(answer, 'max'), remaining: numberOf(answer, 'remaining') },
    { perMs: dayMs, requests: numberOf(answer, 'daily'), remaining: numberOf(answer, 'daily-remaining') },
  ];
  return windows.flatMap(({ remaining, ...window }) => (remaining === undefined ? [] : [{ ...window, remaining, resetInMs: undefined }]));
}

function numberOf(answer: ExchangeAnswer, name: string): number | undefined {
  const text = answer.header(`x-hubspot-ratelimit-${name}`)?.trim();
  return text !== undefined && /^[0-9]{1,12}$/.test(text) ? Number(text) : undefined;
}
