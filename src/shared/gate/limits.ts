/** How a limit is told to the gate's scripts, and the margin its windows keep. */
import type { RateLimit } from '../providers/config.ts';
import type { Keys } from '../redis/keys.ts';

/**
 * A worker uses a permit within this of its start, or drops it. A permit used late shortens the distance to the calls after it,
 * so the margin has to cover it.
 */
export const useWithinMs = 25;

/** 25 ms of lateness, and 15 ms for what the network and the provider's own event loop add (DESIGN.md, section 4: 20 ms was too little). */
const fullMarginMs = 40;

/** With 3 % a limit is used to 1 / 1.03 = 97.1 %; 4 % would leave 96.2 %. A window of 1 s then keeps 30 ms: still above the 25. */
const largestShare = 0.03;

/** By how much a window of `perMs` is taken to be longer than the provider says, milliseconds. */
export function marginMs(perMs: number): number {
  return Math.min(fullMarginMs, perMs * largestShare);
}

/** The account's hash, then for each limit its list and its counts. */
export function gateKeys(keys: Keys, account: string, limits: readonly RateLimit[]): string[] {
  return [keys.gate(account), ...limits.flatMap(({ perMs }) => [keys.gateWindow(account, perMs), keys.gateQuota(account, perMs)])];
}

/** For each limit: length (ms), requests, burst, margin (ms). Throws a RangeError on a limit that no call could ever keep. */
export function limitArgs(limits: readonly RateLimit[]): number[] {
  return limits.flatMap(({ requests, perMs, burst }) => {
    if (![requests, perMs, burst].every((value) => Number.isSafeInteger(value) && value > 0)) {
      throw new RangeError(`a limit of ${requests} in ${perMs} ms with burst ${burst}: all three must be positive whole numbers`);
    }
    return [perMs, requests, burst, marginMs(perMs)];
  });
}
