/**
 * HubSpot's limits: a rolling window for each static token and each OAuth app, calls a day for the account (static tokens only), and
 * searches a second for the account. A search counts to the day but not to the burst, and its answers say nothing of limits.
 */
import { createRollingLimit, type RollingLimit } from '../rolling-limit.ts';
import type { Reply } from '../simulated-provider.ts';
import { rateLimited } from './errors.ts';
import type { Caller } from './oauth.ts';
import type { HubspotSettings } from './settings.ts';

export interface HubspotLimits {
  /** The refusal of a call, or undefined when it was counted. */
  admit(caller: Caller, isSearch: boolean): Reply | undefined;
  headers(caller: Caller, isSearch: boolean): Readonly<Record<string, string>>;
  /** Forgets what was counted. */
  clear(): void;
}

interface LimitDeps {
  readonly now: () => number;
  readonly random: () => number;
  readonly settings: () => HubspotSettings;
}

const dayMs = 86_400_000;

export function createHubspotLimits({ now, random, settings }: LimitDeps): HubspotLimits {
  let bursts = new Map<string, RollingLimit>();
  let searches: RollingLimit | undefined;
  let day = { number: Number.NaN, used: 0 };

  function burstOf({ app, isStatic }: Caller): RollingLimit {
    const { burst_requests, oauth_burst_requests, burst_ms } = settings();
    const requests = isStatic ? burst_requests : oauth_burst_requests;
    const held = bursts.get(app);
    if (held?.requests === requests && held.perMs === burst_ms) return held;
    const made = createRollingLimit(requests, burst_ms);
    bursts.set(app, made);
    return made;
  }

  function searchLimit(): RollingLimit {
    const { search_per_second } = settings();
    if (searches?.requests !== search_per_second) searches = createRollingLimit(search_per_second, 1_000);
    return searches;
  }

  /** Milliseconds since the account's midnight; a new day is begun on the way. */
  function intoDay(): number {
    const localMs = now() + settings().utc_offset_minutes * 60_000;
    const number = Math.floor(localMs / dayMs);
    if (day.number !== number) day = { number, used: 0 };
    return localMs - number * dayMs;
  }

  function refuse(policy: string, waitMs: number): Reply {
    return rateLimited(policy, random, settings().retry_after_on_429 ? Math.ceil(waitMs / 1_000) : undefined);
  }

  return {
    admit(caller, isSearch) {
      const { daily_requests } = settings();
      const sinceMidnightMs = intoDay();
      const countsToDay = caller.isStatic && daily_requests !== null;
      if (countsToDay && day.used >= daily_requests) return refuse('DAILY', dayMs - sinceMidnightMs);
      const waitMs = (isSearch ? searchLimit() : burstOf(caller)).take(now());
      if (waitMs > 0) return refuse(isSearch ? 'SECONDLY' : 'TEN_SECONDLY_ROLLING', waitMs);
      if (countsToDay) day.used += 1;
      return undefined;
    },
    headers(caller, isSearch) {
      if (isSearch) return {};
      const { daily_requests } = settings();
      const burst = burstOf(caller);
      const left = burst.left(now());
      const perSecond = Math.max(1, Math.floor((burst.requests * 1_000) / burst.perMs));
      intoDay();
      return {
        'x-hubspot-ratelimit-interval-milliseconds': String(burst.perMs),
        'x-hubspot-ratelimit-max': String(burst.requests),
        'x-hubspot-ratelimit-remaining': String(left),
        'x-hubspot-ratelimit-secondly': String(perSecond),
        'x-hubspot-ratelimit-secondly-remaining': String(Math.min(left, perSecond)),
        ...(caller.isStatic &&
          daily_requests !== null && {
            'x-hubspot-ratelimit-daily': String(daily_requests),
            'x-hubspot-ratelimit-daily-remaining': String(Math.max(0, daily_requests - day.used)),
          }),
      };
    },
    clear() {
      bursts = new Map();
      searches = undefined;
      day = { number: Number.NaN, used: 0 };
    },
  };
}
