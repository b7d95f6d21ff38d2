/**
 * What the org has left: calls in a rolling day, and calls that take long at the same time. The day is counted in slices, so that it
 * costs the same for a million calls; a slice is forgotten as a whole once its end has left the window.
 */
import type { SimulatedRequest } from '../simulated-provider.ts';
import type { Org } from './org.ts';
import { errorOf, errors, type SalesforceError } from './salesforce-errors.ts';

const slices = 1_440;

export interface Usage {
  /** Why a call may not come in; undefined when it was counted. */
  admit(request: SimulatedRequest): SalesforceError | undefined;
  /** The call takes no time any more. */
  end(request: SimulatedRequest): void;
  used(): number;
  clear(): void;
}

export function createUsage(org: Org): Usage {
  /** Calls by slice, oldest first. */
  const counted = new Map<number, number>();
  let total = 0;
  /** Calls under way and when they came, oldest first. */
  const running = new Map<SimulatedRequest, number>();

  function used(): number {
    const sliceMs = org.settings.daily_window_ms / slices;
    const oldest = Math.floor((org.now() - org.settings.daily_window_ms) / sliceMs);
    for (const [slice, calls] of counted) {
      if (slice >= oldest) break;
      counted.delete(slice);
      total -= calls;
    }
    return total + org.settings.daily_used;
  }

  function longRunning(): number {
    const { long_running_ms, call_timeout_ms } = org.settings;
    let count = 0;
    for (const [request, sinceMs] of running) {
      const ageMs = org.now() - sinceMs;
      if (ageMs >= call_timeout_ms) running.delete(request);
      else if (ageMs < long_running_ms) break;
      else count += 1;
    }
    return count;
  }

  return {
    admit(request) {
      if (used() >= org.settings.daily_max) return errors.dailyLimit;
      if (longRunning() >= org.settings.concurrent_max) return errorOf.concurrency(org.settings.concurrent_message);
      const slice = Math.floor((org.now() / org.settings.daily_window_ms) * slices);
      counted.set(slice, (counted.get(slice) ?? 0) + 1);
      total += 1;
      running.set(request, org.now());
      return undefined;
    },
    end: (request) => void running.delete(request),
    used,
    clear() {
      counted.clear();
      total = 0;
      running.clear();
    },
  };
}
