/** What providers' answers say is left of an account's windows, and how it is told to the gate's scripts (budgets.lua, reports.lua). */

/** What one answer said. Everybody who uses the account is in its numbers. */
export interface BudgetReport {
  /** Length of the window it speaks of: that of a configured limit, or of a window that nobody configured. */
  readonly perMs: number;
  /** Requests that everybody together may make in that window, where the provider says so. */
  readonly requests?: number | undefined;
  readonly remaining: number;
  /** From the answer's coming until the window begins anew; left out where it rolls, or nobody says. */
  readonly resetInMs?: number | undefined;
  /** How long before this report the answer came; default 0. */
  readonly answeredMsAgo?: number | undefined;
  /**
   * How long before this report its request was sent. Calls that start later are taken not to be in its numbers; so with a limit of
   * `requests` about `requests × (sentMsAgo - answeredMsAgo) / perMs` go unused. Default: half a second before the answer came, in short
   * windows a twentieth of them.
   */
  readonly sentMsAgo?: number | undefined;
}

/** A permit is used up to 25 ms after its start, and its call is on its way a little longer. */
const arrivesWithinMs = 40;
/** Without limits all permits start at once, and are used within a second. */
const unlimitedArrivesWithinMs = 1_000;

const longestWindowMs = 400 * 86_400_000;
/** Nothing that a provider says makes the account's hash large. */
const mostBudgets = 8;

/** For each report six arguments. What makes no sense is left out, not refused: it was written by somebody else's server. */
export function budgetArgs(budgets: readonly BudgetReport[], hasLimits: boolean): (string | number)[] {
  const lateMs = hasLimits ? arrivesWithinMs : unlimitedArrivesWithinMs;
  return budgets
    .filter(makesSense)
    .slice(-mostBudgets)
    .flatMap(({ perMs, requests, remaining, resetInMs, answeredMsAgo = 0, sentMsAgo }) => [
      perMs,
      requests === undefined || !isCount(requests) ? 0 : requests,
      Math.floor(remaining),
      resetInMs === undefined ? '' : resetInMs,
      answeredMsAgo,
      Math.max(answeredMsAgo, sentMsAgo ?? answeredMsAgo + Math.min(500, perMs / 20)) + lateMs,
    ]);
}

function makesSense({ perMs, remaining, resetInMs, answeredMsAgo = 0, sentMsAgo = 0 }: BudgetReport): boolean {
  const isWindow = Number.isSafeInteger(perMs) && perMs > 0 && perMs <= longestWindowMs;
  return isWindow && [remaining, resetInMs ?? 0, answeredMsAgo, sentMsAgo].every(isCount);
}

function isCount(value: number): boolean {
  return Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}
