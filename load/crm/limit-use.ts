/**
 * How much of HubSpot's 100 calls in any rolling 10 s four workers use while there is work, and how often they pass it. The simulator
 * refuses the call too many in any window by its own clock; its log of calls is what is counted.
 *
 * Use is a rate over whole rounds: the limit allows call k + 100 ten seconds after call k at the earliest, so 10 s over the time it took
 * is the share of the limit that was used. Counting the calls in windows from the start on says less: calls come in bursts a little over
 * 10 s apart, and a window that ends right before one lacks all of it.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatedCall } from '../programs/crm-simulators.ts';
import { createContact, numbers } from './contacts.ts';
import { countBy, onCrmScene } from './scene.ts';

const workers = 4;
const requests = 100;
const perMs = 10_000;
/** Calls count from then on; refusals from the first call on. */
const settleMs = perMs;
const countedRounds = 3;
/** A round has come to its end by half the limit, or it does not count. */
const deadlineMs = settleMs + countedRounds * 2 * perMs;
const pollMs = 500;

export interface LimitUse {
  readonly variant: string;
  readonly workers: number;
  readonly calls: number;
  /** Of the limit, in each round; 0 to 1. Fewer than there should be: the others did not end in time. */
  readonly rounds: readonly number[];
  /** Of the limit, over all rounds; 0 unless all of them ended in time. */
  readonly use: number;
  /** Accepted calls in the fullest window of all that begin with a call. */
  readonly fullestWindow: number;
  readonly refused: number;
  readonly operationsPerSecond: number;
}

export function measureLimitUse(maxRecords: number): Promise<LimitUse> {
  return onCrmScene(workers, async ({ simulators, register, submit }) => {
    const readCalls = () => simulators.ask('calls', 'hubspot');
    await simulators.ask('keepCalls', { crm: 'hubspot', keep: 10_000 });
    await register('hubspot', { limits: [{ requests, per: '10s' }], batch: { max_records: maxRecords } });
    // More than the limit lets through until the deadline.
    const operations = Math.ceil(requests * maxRecords * (deadlineMs / perMs + 1));
    await submit('hubspot', numbers(operations).map(createContact));
    const calls = await untilCounted(readCalls);
    return { variant: maxRecords === 1 ? 'single creates' : `batches of ${maxRecords}`, workers, ...judge(calls) };
  });
}

/** The log once all rounds have ended, or at the deadline. Not asked for before they can have: it is large. */
async function untilCounted(readCalls: () => Promise<readonly SimulatedCall[]>): Promise<readonly SimulatedCall[]> {
  let calls = await readCalls();
  for (; calls.length === 0; calls = await readCalls()) await delay(pollMs);
  const firstMs = (calls[0] as SimulatedCall).arrivedAtMs;
  await delay(Math.max(0, firstMs + settleMs + countedRounds * perMs - Date.now()));
  do {
    await delay(pollMs);
    calls = await readCalls();
  } while (roundEnds(acceptedOf(calls), firstMs).length <= countedRounds && Date.now() < firstMs + deadlineMs);
  return calls;
}

const acceptedOf = (calls: readonly SimulatedCall[]) => calls.filter(({ status }) => status !== 429);

/** The calls at which the counted rounds begin and end: each the hundredth after the one before. */
function roundEnds(accepted: readonly SimulatedCall[], firstMs: number): SimulatedCall[] {
  const begin = accepted.findIndex(({ arrivedAtMs }) => arrivedAtMs >= firstMs + settleMs);
  if (begin < 0) return [];
  return numbers(countedRounds + 1).flatMap((round) => accepted[begin + round * requests] ?? []);
}

function judge(calls: readonly SimulatedCall[]) {
  const accepted = acceptedOf(calls);
  const times = accepted.map(({ arrivedAtMs }) => arrivedAtMs);
  const ends = roundEnds(accepted, calls[0]?.arrivedAtMs ?? 0);
  const [begin, end] = [ends[0], ends.at(-1)];
  const took = (from: SimulatedCall, to: SimulatedCall) => to.arrivedAtMs - from.arrivedAtMs;
  const rounds = ends.slice(1).map((each, index) => perMs / took(ends[index] as SimulatedCall, each));
  const countedMs = begin && end ? took(begin, end) : 0;
  const counted = begin && end ? accepted.slice(accepted.indexOf(begin), accepted.indexOf(end)) : [];
  const operations = counted.reduce((sum, call) => sum + call.operations.length, 0);
  return {
    calls: calls.length,
    byStatus: countBy(calls, ({ status }) => String(status ?? 'under way')),
    rounds,
    use: rounds.length === countedRounds ? (countedRounds * perMs) / countedMs : 0,
    fullestWindow: Math.max(0, ...times.map((start) => times.filter((ms) => ms >= start && ms < start + perMs).length)),
    refused: calls.length - accepted.length,
    operationsPerSecond: countedMs > 0 ? operations / (countedMs / 1_000) : 0,
  };
}
