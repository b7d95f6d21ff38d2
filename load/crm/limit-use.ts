/**
 * How much of HubSpot's 100 calls in any rolling 10 s four workers use while there is work, and how often they pass it. The simulator
 * refuses the call too many in any window by its own clock; its log of calls is what is counted.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatedCall } from '../programs/crm-simulators.ts';
import { createContact, numbers } from './contacts.ts';
import { countBy, onCrmScene } from './scene.ts';

const workers = 4;
const requests = 100;
const perMs = 10_000;
/** The first window is the start's; refusals count from the first call on. */
const settleWindows = 1;
const countedWindows = 3;

export interface LimitUse {
  readonly variant: string;
  readonly workers: number;
  readonly calls: number;
  /** Of the limit, in each counted window; 0 to 1. */
  readonly windows: readonly number[];
  readonly use: number;
  /** Accepted calls in the fullest window of all that begin with a call. */
  readonly fullestWindow: number;
  readonly refused: number;
  readonly operationsPerSecond: number;
}

export function measureLimitUse(maxRecords: number): Promise<LimitUse> {
  return onCrmScene(workers, async ({ simulators, register, submit }) => {
    await simulators.ask('keepCalls', { crm: 'hubspot', keep: 10_000 });
    await register('hubspot', { limits: [{ requests, per: '10s' }], batch: { max_records: maxRecords } });
    // More than could be called meanwhile.
    const operations = Math.round(requests * maxRecords * (settleWindows + countedWindows + 1.5));
    await submit('hubspot', numbers(operations).map(createContact));
    const first = await firstCallMs(() => simulators.ask('calls', 'hubspot'));
    const endMs = first + (settleWindows + countedWindows) * perMs;
    await delay(Math.max(0, endMs + 500 - Date.now()));
    const calls = await simulators.ask('calls', 'hubspot');
    return { variant: maxRecords === 1 ? 'single creates' : `batches of ${maxRecords}`, workers, ...judge(calls, first) };
  });
}

async function firstCallMs(readCalls: () => Promise<readonly SimulatedCall[]>): Promise<number> {
  for (;;) {
    const [first] = await readCalls();
    if (first) return first.arrivedAtMs;
    await delay(50);
  }
}

function judge(calls: readonly SimulatedCall[], firstMs: number) {
  const counted = calls.filter(({ status }) => status !== 429);
  const times = counted.map(({ arrivedAtMs }) => arrivedAtMs);
  const windows = numbers(countedWindows, settleWindows).map((window) => {
    const fromMs = firstMs + window * perMs;
    return times.filter((ms) => ms >= fromMs && ms < fromMs + perMs).length / requests;
  });
  const fromMs = firstMs + settleWindows * perMs;
  const inTime = counted.filter(({ arrivedAtMs }) => arrivedAtMs >= fromMs && arrivedAtMs < fromMs + countedWindows * perMs);
  const operations = inTime.reduce((sum, call) => sum + call.operations.length, 0);
  return {
    calls: calls.length,
    byStatus: countBy(calls, ({ status }) => String(status ?? 'under way')),
    windows,
    use: windows.reduce((sum, use) => sum + use, 0) / countedWindows,
    fullestWindow: Math.max(...times.map((start) => times.filter((ms) => ms >= start && ms < start + perMs).length)),
    refused: calls.length - counted.length,
    operationsPerSecond: operations / ((countedWindows * perMs) / 1_000),
  };
}
