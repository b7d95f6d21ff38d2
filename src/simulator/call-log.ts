/** The calls a simulated provider got, the last `keep` of them in full and all of them counted. */
import type { SimulatedItem, SimulatedRequest } from './simulated-provider.ts';

export interface LoggedCall {
  /** Counts from 0 in order of arrival. */
  readonly index: number;
  /** Epoch milliseconds with fractions, on a clock that never jumps back. */
  readonly arrivedAtMs: number;
  /** Undefined while in flight. */
  endedAtMs: number | undefined;
  readonly method: string;
  readonly path: string;
  /** Without the question mark; encoded. */
  readonly query: string;
  /** Undefined while in flight, and for a connection that was cut. */
  status: number | undefined;
  readonly headers: SimulatedRequest['headers'];
  readonly body: string;
  readonly items: readonly SimulatedItem[];
}

export interface CallLog {
  add(request: SimulatedRequest, items: readonly SimulatedItem[], nowMs: number): LoggedCall;
  list(after: number, limit: number): readonly LoggedCall[];
  counts(): { readonly calls: number; readonly kept: number; readonly by_status: Readonly<Record<string, number>> };
  /** `status` is undefined when the connection was cut. */
  end(call: LoggedCall, status: number | undefined, nowMs: number): void;
  keep(count: number): void;
  clear(): void;
}

export function createCallLog(initialKeep: number): CallLog {
  let keep = initialKeep;
  let calls: LoggedCall[] = [];
  let total = 0;
  let byStatus: Record<string, number> = {};
  return {
    add(request, items, nowMs) {
      const { method, path, query, headers, text } = request;
      const state = { arrivedAtMs: nowMs, endedAtMs: undefined, status: undefined };
      const call: LoggedCall = { index: total, ...state, method, path, query: query.toString(), headers, body: text, items };
      total += 1;
      if (keep > 0) calls.push(call);
      // Cut by halves, so that a full log costs no shift for each call.
      if (calls.length > 2 * keep) calls = calls.slice(-keep);
      return call;
    },
    list: (after, limit) =>
      calls
        .slice(-keep)
        .filter((call) => call.index > after)
        .slice(0, limit),
    counts: () => ({ calls: total, kept: Math.min(calls.length, keep), by_status: { ...byStatus } }),
    end(call, status, nowMs) {
      call.endedAtMs = nowMs;
      call.status = status;
      const name = status === undefined ? 'cut' : String(status);
      byStatus[name] = (byStatus[name] ?? 0) + 1;
    },
    keep(count) {
      keep = count;
      calls = count === 0 ? [] : calls.slice(-count);
    },
    clear() {
      calls = [];
      total = 0;
      byStatus = {};
    },
  };
}
