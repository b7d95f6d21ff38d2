/** Outreach's limit: so many calls in each fixed window, which is an hour unless settings say otherwise. */
import type { Reply } from '../simulated-provider.ts';
import { rateLimited, toReply } from './errors.ts';
import type { OutreachSettings } from './settings.ts';

export interface OutreachLimit {
  /** The refusal of a call, or undefined when it was counted. */
  admit(): Reply | undefined;
  /** The refusal of a call that may come again at `untilMs`. */
  refuse(requests: number, untilMs: number): Reply;
  headers(): Readonly<Record<string, string>>;
  clear(): void;
}

export function createOutreachLimit({ now, settings }: { now: () => number; settings: () => OutreachSettings }): OutreachLimit {
  let window = { number: Number.NaN, used: 0 };

  /** When the window ends that is open now. */
  function endMs(): number {
    const { window_ms } = settings();
    const number = Math.floor(now() / window_ms);
    if (window.number !== number) window = { number, used: 0 };
    return (number + 1) * window_ms;
  }

  function refuse(requests: number, untilMs: number): Reply {
    const retryAfter = retryAfterOf(untilMs, now(), settings());
    return { ...toReply(rateLimited(requests, untilMs)), headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } };
  }

  return {
    admit() {
      const untilMs = endMs();
      const { requests } = settings();
      if (window.used >= requests) return refuse(requests, untilMs);
      window.used += 1;
      return undefined;
    },
    refuse,
    headers() {
      const untilMs = endMs();
      const { requests, doubled_remaining } = settings();
      const left = Math.max(0, requests - window.used);
      return {
        'x-ratelimit-limit': String(requests),
        'x-ratelimit-remaining': doubled_remaining ? `${left}, ${left + requests}` : String(left),
        'x-ratelimit-reset': resetOf(untilMs, now(), settings()),
      };
    },
    clear() {
      window = { number: Number.NaN, used: 0 };
    },
  };
}

function retryAfterOf(untilMs: number, nowMs: number, { retry_after }: OutreachSettings): string | undefined {
  if (retry_after === 'absent') return undefined;
  if (retry_after === 'seconds') return String(Math.ceil((untilMs - nowMs) / 1_000));
  // Both have no parts of a second: rounded up, so that the time has come when it says so.
  const until = new Date(Math.ceil(untilMs / 1_000) * 1_000);
  return retry_after === 'http_date' ? until.toUTCString() : until.toISOString().replace('.000', '');
}

function resetOf(untilMs: number, nowMs: number, { reset_unit }: OutreachSettings): string {
  if (reset_unit === 'milliseconds') return String(Math.ceil(untilMs));
  if (reset_unit === 'iso') return new Date(Math.ceil(untilMs)).toISOString();
  return String(Math.ceil((reset_unit === 'delta' ? untilMs - nowMs : untilMs) / 1_000));
}
