/**
 * A provider that admits so many calls in any window and says in each answer what remains, an outside user who takes a share of them,
 * and a fleet that wants all it can get: all on a clock of their own.
 */
import type { Grant } from '../../src/shared/gate/acquire.ts';
import type { BudgetReport } from '../../src/shared/gate/budgets.ts';
import type { Gate } from '../../src/shared/gate/gate.ts';
import { useWithinMs } from '../../src/shared/gate/limits.ts';
import type { RateLimit } from '../../src/shared/providers/config.ts';
import { gatePolicy, gateRequest } from './gate.ts';
import type { ClockedGates } from './gate-clock.ts';

export interface SharedAccount {
  readonly limit: RateLimit;
  /** Whether the fleet is told of it; if not, it learns of it from the answers. */
  readonly hasLimit: boolean;
  /** Of the limit, what the outside user asks for. */
  readonly share: number;
  readonly pattern: 'steady' | 'random' | 'clumps';
  readonly seed: number;
  readonly forMs: number;
  /** From a call's arrival to its answer: least, most. */
  readonly latencyMs: readonly [number, number];
  readonly workers: number;
}

export interface SharedUse {
  readonly ours: number;
  readonly oursThrottled: number;
  readonly outside: number;
  readonly outsideThrottled: number;
  /** Admitted calls of both, over what the limit allows. */
  readonly use: number;
}

interface Worker {
  readonly gate: Gate;
  askAtMs: number;
  inFlight: number;
  throttled: number;
  pauseMs: number;
  /** Of the answer to the call sent last. */
  said: { remaining: number; sentMs: number; answeredMs: number } | undefined;
}

const slots = 40;
const pauseMs = 1_000;
const stepMs = 5;

export async function simulateSharedAccount(clock: ClockedGates, account: SharedAccount): Promise<SharedUse> {
  const { limit, forMs } = account;
  const random = seeded(account.seed);
  const fromMs = clock.nowMs();
  const events = createEvents();
  const provider = createProvider(limit);
  for (const atMs of outsideCalls(account, random)) events.add(fromMs + atMs, (nowMs) => provider.call(nowMs, 'outside'));

  const call = createCall(account, provider, events, random);
  const workers = Array.from({ length: account.workers }, (_, i) => createWorker(clock.worker(`w${i}`)));
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += stepMs) {
    events.runUntil(nowMs);
    for (const worker of workers) {
      if (worker.askAtMs > nowMs) continue;
      await clock.setMs(nowMs);
      const grant = await ask(worker, account, nowMs);
      for (const startMs of grant.startsMs) call(worker, nowMs + startMs);
    }
  }
  const { ours, oursThrottled, outside, outsideThrottled } = provider.counts;
  const allowed = (limit.requests * forMs) / limit.perMs;
  return { ours, oursThrottled, outside, outsideThrottled, use: (ours + outside) / allowed };
}

function createWorker(gate: Gate): Worker {
  return { gate, askAtMs: 0, inFlight: 0, throttled: 0, pauseMs: 0, said: undefined };
}

/** Admits at most `requests` in any window; a call refused is not counted. Returns whether it was admitted, and what remains. */
function createProvider({ requests, perMs }: RateLimit) {
  const admitted: number[] = [];
  const counts = { ours: 0, oursThrottled: 0, outside: 0, outsideThrottled: 0 };
  return {
    counts,
    call(nowMs: number, by: 'ours' | 'outside') {
      while ((admitted[0] ?? Number.POSITIVE_INFINITY) <= nowMs - perMs) admitted.shift();
      const isAdmitted = admitted.length < requests;
      if (isAdmitted) admitted.push(nowMs);
      counts[isAdmitted ? by : (`${by}Throttled` as const)] += 1;
      return { isAdmitted, remaining: requests - admitted.length };
    },
  };
}

type Provider = ReturnType<typeof createProvider>;
type Events = ReturnType<typeof createEvents>;

/** A worker's call: sent a little late, counted when it arrives, answered later. */
function createCall({ latencyMs }: SharedAccount, provider: Provider, events: Events, random: () => number) {
  const between = (least: number, most: number) => least + random() * (most - least);
  return (worker: Worker, startMs: number) => {
    const sentMs = startMs + between(0, useWithinMs);
    worker.inFlight++;
    events.add(sentMs + between(1, 10), (arrivedMs) => {
      const { isAdmitted, remaining } = provider.call(arrivedMs, 'ours');
      events.add(arrivedMs + between(...latencyMs), (answeredMs) => {
        worker.inFlight--;
        if (!worker.said || worker.said.sentMs < sentMs) worker.said = { remaining, sentMs, answeredMs };
        if (!isAdmitted) Object.assign(worker, { throttled: worker.throttled + 1, pauseMs, askAtMs: 0 });
      });
    });
  };
}

async function ask(worker: Worker, { limit, hasLimit }: SharedAccount, nowMs: number): Promise<Grant> {
  const { said, throttled } = worker;
  const budgets: BudgetReport[] = [];
  if (said) {
    const { remaining, sentMs, answeredMs } = said;
    const ages = { sentMsAgo: nowMs - sentMs, answeredMsAgo: nowMs - answeredMs };
    budgets.push({ perMs: limit.perMs, requests: limit.requests, remaining, ...ages });
  }
  const request = gateRequest({
    want: Math.max(0, slots - worker.inFlight),
    horizonMs: 150,
    keepSlots: worker.inFlight,
    wantSlots: slots,
    throttled,
    budgets,
    ...(worker.pauseMs > 0 ? { pause: { ms: worker.pauseMs, reason: 'throttled' } } : {}),
  });
  const policy = gatePolicy({ limits: hasLimit ? [limit] : [], maxConcurrency: 200 });
  const grant = await worker.gate.acquire('crm', policy, request);
  const againMs = Math.min(200, Math.max(stepMs, grant.retryInMs ?? 20));
  Object.assign(worker, { said: undefined, throttled: 0, pauseMs: 0, askAtMs: nowMs + againMs });
  return grant;
}

function outsideCalls({ limit, share, pattern, forMs }: SharedAccount, random: () => number): number[] {
  const calls: number[] = [];
  const gapMs = limit.perMs / (limit.requests * share);
  for (let atMs = gapMs; atMs < forMs; ) {
    calls.push(atMs);
    if (pattern === 'steady') atMs += gapMs;
    else if (pattern === 'random') atMs += -Math.log(1 - random()) * gapMs;
    else atMs += calls.length % 10 === 0 ? gapMs * 10 : 1;
  }
  return calls;
}

function createEvents() {
  const events: { atMs: number; run: (nowMs: number) => void }[] = [];
  return {
    add(atMs: number, run: (nowMs: number) => void) {
      let i = events.length;
      while (i > 0 && (events[i - 1] as { atMs: number }).atMs < atMs) i--;
      events.splice(i, 0, { atMs, run });
    },
    runUntil(nowMs: number) {
      for (let next = events.at(-1); next && next.atMs <= nowMs; next = events.at(-1)) {
        events.pop();
        next.run(next.atMs);
      }
    },
  };
}

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
