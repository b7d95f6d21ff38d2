/** A stock of permits on timers that the test passes itself (`vi.useFakeTimers`), with a played gate. */
import { expect, vi } from 'vitest';
import type { Permit } from '../../src/worker/engine/call-under-way.ts';
import { PermitStock } from '../../src/worker/engine/permit-stock.ts';
import { createPlayedGate, type PlayedGate } from './played-gate.ts';

const breaker = { failureRate: 1, minCalls: 1_000, windowMs: 10_000, openMs: 1_000 };
export const limits = [{ requests: 100, perMs: 1_000, burst: 10 }];
/** Between this process's clock and the gate's. */
export const offsetMs = 5_000_000;
export const holdTtlMs = 9_000;

/** A stock and what a dispatcher does with it: takes what it may for its ready calls. `callMs` undefined: calls end when told. */
export function playStock(part: { limits?: typeof limits; ready?: number; callMs?: number; gate?: Partial<PlayedGate> } = {}) {
  const gate = Object.assign(createPlayedGate({ now: () => Date.now() + offsetMs }), part.gate);
  const demand = { ready: part.ready ?? 0, inFlight: 0 };
  const taken: { permit: Permit; at: number; inFlight: number; isAsking: boolean }[] = [];
  let errors = 0;
  let lifted = 0;
  let asking: number | undefined;
  const stock = new PermitStock(
    { limits: part.limits ?? [], maxConcurrency: 8, breaker },
    {
      gate: {
        leave: (account) => gate.leave(account),
        lift: (account, options) => gate.lift(account, options),
        async acquire(account, policy, request) {
          asking = request.keepSlots;
          try {
            return await gate.acquire(account, policy, request);
          } finally {
            asking = undefined;
          }
        },
      },
      account: 'crm',
      holdTtlMs,
      now: Date.now,
      onChange: () => pump(),
      onLifted: () => void lifted++,
      onGrant: () => {},
      onError: () => void errors++,
    },
  );
  const end = (permit: Permit) => {
    demand.inFlight--;
    stock.report(permit, false);
    pump();
  };
  let pumps = 0;
  function pump(): void {
    pumps++;
    while (demand.ready > 0) {
      const permit = stock.take(demand.inFlight);
      if (!permit) break;
      demand.ready--;
      demand.inFlight++;
      taken.push({ permit, at: Date.now(), inFlight: demand.inFlight, isAsking: asking !== undefined });
      if (asking !== undefined) expect(demand.inFlight).toBeLessThanOrEqual(asking);
      if (part.callMs !== undefined) setTimeout(() => end(permit), part.callMs);
    }
    stock.refill(demand);
  }
  const work = async (ready: number) => {
    demand.ready += ready;
    pump();
    await vi.advanceTimersByTimeAsync(1);
  };
  pump();
  return { stock, gate, demand, taken, pump, end, work, errors: () => errors, pumps: () => pumps, lifted: () => lifted };
}

/** Time passes, on timers that the test has faked. */
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
