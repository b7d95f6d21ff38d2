/**
 * One simulated provider with its faults, its limit and its log. A call is counted against the limits when it arrives, waits out the
 * latency, is struck by a fault or carried out, and is then answered, cut or left hanging.
 */
import { type CallLog, createCallLog } from './call-log.ts';
import { type Faults, judge, judgeItem, noFaults, type Verdict } from './faults.ts';
import { createRollingLimit, type RollingLimit } from './rolling-limit.ts';
import type { Reply, SimulatedItem, SimulatedProvider, SimulatedRequest, ToldFailure } from './simulated-provider.ts';

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
  /** No faults, no limit, no calls, no records, no tokens. Settings stay. */
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

interface Contents {
  readonly isBatch: boolean;
  readonly items: readonly SimulatedItem[];
}

export function createSimulator({ provider, now, random, wait, keepCalls }: SimulatorDeps): Simulator {
  const log = createCallLog(keepCalls);
  let faults = noFaults;
  let strikes = 0;
  let limit: RollingLimit | undefined;

  /** The faults that may still strike: latency alone once `times` is used up. */
  const active = (): Faults =>
    strikes < (faults.times ?? Number.POSITIVE_INFINITY) ? faults : { ...noFaults, latency_ms: faults.latency_ms };

  function verdictOn(contents: Contents, isExempt: boolean): Verdict {
    const verdict: Verdict = isExempt && !faults.token_calls ? { does: 'apply' } : judge(active(), contents, random);
    if (verdict.does !== 'apply') strikes += 1;
    return verdict;
  }

  function failItem(item: SimulatedItem): ToldFailure | undefined {
    const failure = judgeItem(active(), item, random);
    if (failure) strikes += 1;
    return failure;
  }

  function overLimit(request: SimulatedRequest): Reply | undefined {
    const waitMs = limit?.take(now()) ?? 0;
    if (waitMs > 0) return provider.throttle?.(waitMs, request) ?? throttled(waitMs);
    return provider.admit?.(request);
  }

  async function decide(request: SimulatedRequest, contents: Contents): Promise<Ending> {
    const isExempt = provider.isExempt?.(request) ?? false;
    const refusal = isExempt ? undefined : overLimit(request);
    if (refusal) return { with: 'reply', reply: refusal };
    if (!isExempt && faults.latency_ms > 0) await wait(faults.latency_ms);
    const verdict = verdictOn(contents, isExempt);
    if (verdict.does === 'hang') return { with: 'nothing' };
    if (verdict.does === 'refuse') {
      const told = provider.refuse?.(verdict.failure, request) ?? refused(verdict.failure.status);
      return { with: 'reply', reply: withRetryAfter(told, verdict.retryAfter) };
    }
    const answer = provider.answer(request, failItem);
    if (verdict.does === 'apply_and_fail') return { with: 'reply', reply: withRetryAfter(gatewayPage(verdict.status), verdict.retryAfter) };
    return verdict.does === 'apply_and_drop' ? { with: 'cut' } : { with: 'reply', reply: answer };
  }

  return {
    provider,
    log,
    async call(request) {
      const contents = provider.contentsOf(request);
      const call = log.add(request, contents.items, now());
      const ending = await decide(request, contents);
      if (ending.with !== 'nothing') log.end(call, ending.with === 'reply' ? ending.reply.status : undefined, now());
      if (ending.with !== 'reply' || !provider.after) return ending;
      return { with: 'reply', reply: provider.after(request, ending.reply) };
    },
    faults: () => faults,
    setFaults(next) {
      faults = next;
      strikes = 0;
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
      provider.forgetTokens?.();
    },
  };
}

function throttled(waitMs: number): Reply {
  return withRetryAfter(refused(429), String(Math.ceil(waitMs / 1_000)));
}

function refused(status: number): Reply {
  return { status, body: { error: status === 429 ? 'too many requests' : 'told to fail' } };
}

/** Of no kind's own form: what stands before the provider knows nothing of it. */
function gatewayPage(status: number): Reply {
  return { status, text: `<html><body>${status}: no answer from the server behind</body></html>`, contentType: 'text/html' };
}

function withRetryAfter(reply: Reply, retryAfter: string | undefined): Reply {
  return retryAfter === undefined ? reply : { ...reply, headers: { ...reply.headers, 'retry-after': retryAfter } };
}
