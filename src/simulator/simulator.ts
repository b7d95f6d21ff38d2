/**
 * One simulated provider with its faults, its limit and its log. A call is counted against the limit when it arrives, waits out the
 * latency, is struck by a fault or carried out, and is then answered, cut or left hanging.
 */
import { type CallLog, createCallLog } from './call-log.ts';
import { type Faults, judge, judgeItem, noFaults } from './faults.ts';
import { createRollingLimit, type RollingLimit } from './rolling-limit.ts';
import type { Reply, SimulatedProvider, SimulatedRequest } from './simulated-provider.ts';

export type Ending = { readonly with: 'reply'; readonly reply: Reply } | { readonly with: 'cut' } | { readonly with: 'nothing' };

export interface Simulator {
  readonly provider: SimulatedProvider;
  readonly log: CallLog;
  /** Carries a call through; the ending says what to do with its connection. */
  call(request: SimulatedRequest): Promise<Ending>;
  faults(): Faults;
  setFaults(faults: Faults): void;
  limit(): RollingLimit | undefined;
  setLimit(limit: { requests: number; per_ms: number } | undefined): void;
  /** No faults, no limit, no calls, no records. */
  reset(): void;
}

export interface SimulatorDeps {
  readonly provider: SimulatedProvider;
  /** Epoch milliseconds with fractions; never jumps back. */
  readonly now: () => number;
  readonly random: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** Calls kept in full. */
  readonly keepCalls: number;
}

export function createSimulator({ provider, now, random, wait, keepCalls }: SimulatorDeps): Simulator {
  const log = createCallLog(keepCalls);
  let faults = noFaults;
  let limit: RollingLimit | undefined;

  async function decide(request: SimulatedRequest, struck: { isBatch: boolean; recordIds: readonly string[] }): Promise<Ending> {
    const waitMs = limit?.take(now()) ?? 0;
    if (waitMs > 0) return reply(throttled(waitMs));
    const active = faults;
    if (active.latency_ms > 0) await wait(active.latency_ms);
    const verdict = judge(active, struck, random);
    if (verdict.does === 'hang') return { with: 'nothing' };
    if (verdict.does === 'refuse') return reply(refused(verdict.status, verdict.retryAfter));
    const answer = provider.answer(request, (item) => judgeItem(active, item.recordId, random));
    return verdict.does === 'apply_and_drop' ? { with: 'cut' } : reply(answer);
  }

  return {
    provider,
    log,
    async call(request) {
      const { isBatch, items } = provider.contentsOf(request);
      const call = log.add(request, items, now());
      const recordIds = items.map((item) => item.recordId);
      const ending = await decide(request, { isBatch, recordIds });
      if (ending.with !== 'nothing') log.end(call, ending.with === 'reply' ? ending.reply.status : undefined, now());
      return ending;
    },
    faults: () => faults,
    setFaults(next) {
      faults = next;
    },
    limit: () => limit,
    setLimit(next) {
      limit = next && createRollingLimit(next.requests, next.per_ms);
    },
    reset() {
      faults = noFaults;
      limit = undefined;
      log.clear();
      provider.clear();
    },
  };
}

function reply(answer: Reply): Ending {
  return { with: 'reply', reply: answer };
}

function throttled(waitMs: number): Reply {
  return refused(429, String(Math.ceil(waitMs / 1_000)));
}

function refused(status: number, retryAfter: string | undefined): Reply {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  return { status, headers, body: { error: status === 429 ? 'too many requests' : 'told to fail' } };
}
