/**
 * Record ids that carry the moment their request was sent, so that a provider can tell how long an operation took without asking
 * anybody: `r<microseconds of the machine's clock, base 36>-<number>`.
 */
import { machineMs } from '../clock.ts';

export function stampedId(number: number): string {
  return `r${Math.round(machineMs() * 1_000).toString(36)}-${number}`;
}

const pathMark = '/contact/r';

/** Of a request whose path is `/contact/<record id>`; NaN of any other. */
export function sentAtMs(head: string): number {
  const start = head.indexOf(pathMark) + pathMark.length;
  return Number.parseInt(head.slice(start, head.indexOf('-', start)), 36) / 1_000;
}
